"""The proxy in front of a real server: cut, hold back, delay, and trap at the right moment."""

import asyncio
import time
from collections.abc import AsyncIterator

import asyncpg
import pytest

from boxoffice.settings import Settings
from faults.cluster.proxy import Moment, Proxy, Trap

TIMEOUT_S = 20.0
# Text of only one statement of a test, and the client's error after a cut.
CUT = (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError)


@pytest.fixture
async def proxy(settings: Settings) -> AsyncIterator[Proxy]:
    """A proxy in front of this test's database, with a table to write to."""
    direct = await asyncpg.connect(settings.database.database_url)
    await direct.execute("CREATE TABLE told (number integer)")
    await direct.close()
    async with Proxy.of_postgres(settings.database.database_url).listening() as one:
        yield one


async def numbers(settings: Settings) -> list[int]:
    """Return the table's rows, past the proxy."""
    direct = await asyncpg.connect(settings.database.database_url)
    try:
        return [scenario["number"] for scenario in await direct.fetch("SELECT number FROM told")]
    finally:
        await direct.close()


async def insert(proxy: Proxy, number: int) -> None:
    """Write through the proxy."""
    connection = await asyncpg.connect(proxy.url)
    try:
        await connection.fetch("INSERT INTO told VALUES ($1) RETURNING number", number)
    finally:
        connection.terminate()


async def test_without_a_trap_everything_passes(settings: Settings, proxy: Proxy) -> None:
    trap = proxy.set_trap(Trap(b"another statement", Moment.ASKED))
    await insert(proxy, 1)
    assert await numbers(settings) == [1]
    assert not trap.sprung.is_set()


@pytest.mark.parametrize(
    ("moment", "there"),
    [(Moment.ASKED, []), (Moment.HALF_ASKED, []), (Moment.ANSWERED, [2])],
)
async def test_a_trap_springs_before_or_after_the_commit(
    settings: Settings, proxy: Proxy, moment: Moment, there: list[int]
) -> None:
    seen: list[str] = []
    trap = proxy.set_trap(Trap(b"INSERT INTO told", moment, lambda: seen.append("sprung")))
    async with asyncio.timeout(TIMEOUT_S):
        with pytest.raises(CUT):
            await insert(proxy, 2)
        await trap.sprung.wait()
    assert seen == ["sprung"]
    assert await numbers(settings) == there
    await insert(proxy, 3)
    assert await numbers(settings) == [*there, 3], "a trap springs once"


async def test_what_is_only_seen_is_passed_on(settings: Settings, proxy: Proxy) -> None:
    trap = proxy.set_trap(Trap(b"INSERT INTO told", Moment.SEEN))
    await insert(proxy, 4)
    assert trap.sprung.is_set()
    assert await numbers(settings) == [4]


async def test_what_is_held_back_comes_later_and_what_is_cut_does_not(
    settings: Settings, proxy: Proxy
) -> None:
    connection = await asyncpg.connect(proxy.url)
    proxy.hold_back()
    waiting = asyncio.create_task(connection.fetchval("SELECT 5"))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    proxy.let_go()
    async with asyncio.timeout(TIMEOUT_S):
        assert await waiting == 5
        proxy.cut()
        with pytest.raises(CUT):
            await connection.fetchval("SELECT 6")
    assert await numbers(settings) == []


async def test_a_slow_proxy_is_slow_and_a_refusing_one_accepts_no_connection(proxy: Proxy) -> None:
    connection = await asyncpg.connect(proxy.url)
    proxy.delay_s = 0.1
    began_s = time.monotonic()
    await connection.fetchval("SELECT 7")
    assert time.monotonic() - began_s >= 0.2
    connection.terminate()
    proxy.refuses = True
    with pytest.raises(CUT):
        await asyncpg.connect(proxy.url, timeout=TIMEOUT_S)
