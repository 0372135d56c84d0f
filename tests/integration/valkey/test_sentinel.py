"""A master under three Sentinels: the client finds it, and a promotion is a lost Valkey."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from boxoffice.platform.valkey import Script, Valkey, ValkeyUnavailable
from boxoffice.settings import Settings
from boxoffice.waiting_room.engine.queue_state import QueueStateLost
from drills.servers.valkey_groups import SentinelGroup
from drills.servers.valkey_process import HOST, PASSWORD, ValkeyProcess
from tests.integration.guards.waiting_room.scripts.stand import Stand
from tests.support.waiting import until

_COUNT = Script("count", "return redis.call('INCR', KEYS[1])")
_DOWN_MS = 1_500


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentinelGroup]:
    """The servers."""
    with SentinelGroup(tmp_path_factory.mktemp("sentinel"), down_ms=_DOWN_MS) as servers:
        yield servers


@pytest.fixture
async def valkey(group: SentinelGroup) -> AsyncIterator[Valkey]:
    """A client that knows the Sentinels alone."""
    settings = Settings.of(valkey_url=group.url, valkey_timeout_ms=5_000, breaker_open_ms=50)
    client = Valkey(settings.valkey)
    yield client
    await client.close()


async def test_a_killed_master_is_replaced_and_its_queue_is_lost(
    group: SentinelGroup, valkey: Valkey, make_stand: Callable[[Valkey], Stand]
) -> None:
    stand = make_stand(valkey)
    await stand.make()
    assert await stand.numbers(uuid4(), uuid4()) == [1, 2]
    assert await valkey.run(_COUNT, ["n"], []) == 1
    listening = asyncio.create_task(_listen(valkey))
    old = group.master()
    # The replica has the queue, so nothing but the rule makes it a lost one.
    replica = next(one for one in group.servers if one is not old)
    await until(lambda: _has(replica, stand))
    old.kill()

    async def answers() -> bool:
        try:
            # The promoted server has no scripts: they are sent again.
            return bool(await valkey.run(_COUNT, ["n"], []) >= 2)
        except ValkeyUnavailable:
            return False

    await until(answers, 40.0)
    with pytest.raises(QueueStateLost):
        await stand.numbers(uuid4())
    assert await asyncio.wait_for(listening, 20.0) == "ended", "its subscribers subscribe again"
    await stand.make()
    assert (await stand.numbers(uuid4()))[0] > 0
    old.start()


async def _listen(valkey: Valkey) -> str:
    try:
        async with valkey.subscribed("news", 30.0) as messages:
            async for _ in messages:
                pass
    except ValkeyUnavailable:
        return "ended"
    return "no end"


async def _has(server: ValkeyProcess, stand: Stand) -> bool:
    key = f"boxoffice:queue:{{{stand.room.schedule_id}}}:state"
    return bool(await asyncio.to_thread(server.command, "HGET", key, "joined") == b"2")


async def test_without_sentinels_the_known_master_serves_on(group: SentinelGroup) -> None:
    settings = Settings.of(valkey_url=group.url, valkey_timeout_ms=1_000, breaker_open_ms=50)
    valkey = Valkey(settings.valkey)
    try:
        before = await valkey.run(_COUNT, ["served"], [])
        for sentinel in group.sentinels:
            sentinel.pause()
        began = time.monotonic()
        while time.monotonic() - began < 1.5:
            before += 1
            assert await valkey.run(_COUNT, ["served"], []) == before
            await asyncio.sleep(0.01)
    finally:
        for sentinel in group.sentinels:
            sentinel.resume()
        await valkey.close()


async def test_an_unknown_master_is_unavailable(group: SentinelGroup) -> None:
    url = group.url.replace("/mymaster", "/another")
    valkey = Valkey(Settings.of(valkey_url=url).valkey)
    try:
        with pytest.raises(ValkeyUnavailable, match="no Sentinel"):
            await valkey.command("PING")
    finally:
        await valkey.close()


async def test_a_master_that_comes_back_without_its_last_numbers_is_lost(
    tmp_path: Path, make_stand: Callable[[Valkey], Stand]
) -> None:
    """A, then B, then A again, and no rebuild at B: the process is the same, its data is not.

    The start of the process (`run_id`) alone would take A for the server that has issued number 3.
    """
    one, two = (ValkeyProcess(tmp_path, name=name) for name in ("one", "two"))
    valkey = Valkey(Settings.of(valkey_url=_url(one), valkey_timeout_ms=2_000).valkey)
    try:
        one.start()
        two.start()
        stand = make_stand(valkey)
        two.command("REPLICAOF", HOST, one.port)
        await until(lambda: _follows(two), 10.0)
        await stand.make()
        assert await stand.numbers(uuid4(), uuid4()) == [1, 2]
        await until(lambda: _has(two, stand))
        two.command("REPLICAOF", "NO", "ONE")
        assert await stand.numbers(uuid4()) == [3], "the promoted server never has it"
        one.command("REPLICAOF", HOST, two.port)
        await until(lambda: _follows(one), 10.0)
        one.command("REPLICAOF", "NO", "ONE")
        assert await _has(one, stand)
        with pytest.raises(QueueStateLost):
            await stand.numbers(uuid4())
    finally:
        await valkey.close()
        one.kill()
        two.kill()


def _url(server: ValkeyProcess) -> str:
    return f"redis://:{PASSWORD}@{server.at}"


async def _follows(replica: ValkeyProcess) -> bool:
    role = await asyncio.to_thread(replica.command, "ROLE")
    return bool(role[0] == b"slave" and role[3] == b"connected")
