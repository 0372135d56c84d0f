"""A pooled session does not outlive its server's role."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from boxoffice.errors import Unavailable
from boxoffice.platform.postgres.database import Database, connect
from boxoffice.platform.postgres.multi_host import split_hosts
from boxoffice.settings import Settings
from faults.cluster.proxy import Proxy
from tests.e2e.failover.conftest import Primary
from tests.support.hall import Hall, open_hall
from tests.support.waiting import until

_OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
_READ_ONLY = "ALTER ROLE boxoffice SET default_transaction_read_only = on"
_WRITABLE = "BEGIN READ WRITE; ALTER ROLE boxoffice RESET default_transaction_read_only; COMMIT"


@asynccontextmanager
async def read_only(primary: Primary) -> AsyncIterator[None]:
    """Let every new session take no writes, as a standby's; end the old ones."""
    await primary.run(_READ_ONLY)
    await primary.run(_OTHERS)
    try:
        yield
    finally:
        await primary.run(_WRITABLE)


# The errors of a session that takes no writes, or was just ended: before or after it was asked.
_REFUSALS = (
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.AdminShutdownError,
    asyncpg.PostgresConnectionError,
    asyncpg.InternalClientError,
)


async def _refused(hall: Hall) -> None:
    with pytest.raises(_REFUSALS):
        await hall.hold(hall.people[0], "S001")


async def test_sessions_that_take_no_writes_are_dropped(
    patient: Database, primary: Primary
) -> None:
    hall = await open_hall(patient)
    async with read_only(primary):
        # Each of the pool's sessions was ended, and is found to be so once.
        for _ in range(8):
            await _refused(hall)

    async def is_sold() -> bool:
        try:
            return (await hall.hold(hall.people[0], "S001")).name == "held"
        except asyncpg.ReadOnlySQLTransactionError:
            return False

    await until(is_sold)


async def test_also_those_that_write_in_transactions(patient: Database, primary: Primary) -> None:
    async def write() -> None:
        async with patient.writing() as connection:
            await connection.execute("DELETE FROM outbox WHERE false")

    async with read_only(primary):
        for _ in range(8):
            with pytest.raises(Unavailable):
                await write()

    async def is_written() -> bool:
        with contextlib.suppress(Unavailable):
            await write()
            return True
        return False

    await until(is_written)


async def test_with_one_of_them_all_go(patient: Database, primary: Primary) -> None:
    async def who(count: int) -> set[int]:
        have_one = asyncio.Barrier(count)

        async def one() -> int:
            async with patient.connection() as connection:
                await have_one.wait()
                return int(await connection.fetchval("SELECT pg_backend_pid()"))

        return set(await asyncio.gather(*(one() for _ in range(count))))

    before = await who(4)
    assert len(before) == 4
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await patient.fetch("SELECT set_config('transaction_read_only', 'on', true), lo_creat(-1)")
    assert not before & await who(4)


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        ("postgresql://u:p@h1/db", ["postgresql://u:p@h1/db"]),
        (
            "postgresql://u:p@h1:1,h2:2/db?target_session_attrs=primary",
            [
                "postgresql://u:p@h1:1/db?target_session_attrs=primary",
                "postgresql://u:p@h2:2/db?target_session_attrs=primary",
            ],
        ),
        (
            "postgres://[::1]:5,h2/db?sslmode=disable",
            [
                "postgres://[::1]:5/db?sslmode=disable&target_session_attrs=read-write",
                "postgres://h2/db?sslmode=disable&target_session_attrs=read-write",
            ],
        ),
        (
            "postgresql://h1,h2",
            [
                "postgresql://h1?target_session_attrs=read-write",
                "postgresql://h2?target_session_attrs=read-write",
            ],
        ),
        ("postgresql:///db?host=h1,h2", ["postgresql:///db?host=h1,h2"]),
    ],
)
def test_an_address_of_several_hosts_is_one_per_host(address: str, wanted: list[str]) -> None:
    assert split_hosts(address) == wanted


@asynccontextmanager
async def silent() -> AsyncIterator[str]:
    """Be a host that takes connections and never says a word, as a frozen server does."""

    async def ignore(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    writers: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(ignore, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()


def _also(settings: Settings, host: str) -> Settings:
    before, _, after = settings.database.database_url.rpartition("@")
    return Settings.of(
        database_url=f"{before}@{host},{after}",
        valkey_url=settings.valkey.valkey_url,
        db_connect_timeout_ms=30_000,
    )


async def test_a_frozen_host_does_not_stand_before_the_others(settings: Settings) -> None:
    async with silent() as host:
        db = Database(_also(settings, host))
        # Much less than a host is given to connect.
        async with asyncio.timeout(15):
            await db.open()
            assert (await db.fetch("SELECT 1 AS one"))[0]["one"] == 1
            await db.close()


async def test_where_no_host_takes_writes_nothing_is_in_doubt(
    settings: Settings, primary: Primary
) -> None:
    twice = _also(settings, settings.database.database_url.rpartition("@")[2].partition("/")[0])
    async with read_only(primary):
        with pytest.raises(Unavailable):
            await Database(twice).open()
        with pytest.raises(Unavailable):
            await connect(twice)


async def test_sessions_with_a_server_that_froze_are_given_up(settings: Settings) -> None:
    before, _, after = settings.database.database_url.rpartition("@")
    async with Proxy.of_postgres(settings.database.database_url).listening() as line:
        first = line.url.rpartition("@")[2].partition("/")[0]
        # Who waits for the first host to connect is refused before it has given that up.
        hosts = settings.replace(
            database_url=f"{before}@{first},{after}",
            db_connect_timeout_ms=30_000,
            db_acquire_timeout_ms=10_000,
        )
        db = Database(hosts)
        await db.open()
        try:
            line.hold_back()
            sessions = [db.fetch("SELECT pg_backend_pid()") for _ in range(2)]
            ended = await asyncio.gather(*sessions, return_exceptions=True)
            assert all(isinstance(one, TimeoutError) for one in ended)
            assert (await db.fetch("SELECT 1 AS one"))[0]["one"] == 1
        finally:
            await db.close()
