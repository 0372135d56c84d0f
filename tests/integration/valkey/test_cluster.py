"""Three masters: scripts in one slot, slots that move, a node that is away, a channel per schedule."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from statistics import quantiles
from uuid import UUID, uuid4

import pytest
from prometheus_client import REGISTRY
from redis.crc import key_slot

from boxoffice.platform.valkey import Script, Valkey, ValkeyUnavailable
from boxoffice.platform.valkey.node import ValkeyNode
from boxoffice.seats.cache.states import HELD
from boxoffice.seats.changes.publisher import SeatChange, SeatChangePublisher
from boxoffice.seats.changes.sharded_bus import ShardedSeatChangeBus, channel_of
from boxoffice.settings import Settings
from boxoffice.waiting_room.engine.queue_state import QueueStateLost
from drills.servers.valkey_groups import ValkeyCluster
from drills.servers.valkey_process import HOST, PASSWORD, ValkeyProcess
from tests.integration.catalog.support import Shop
from tests.integration.guards.waiting_room.scripts.stand import Stand
from tests.integration.valkey.every_use import SCRIPTS, use_everything
from tests.support.waiting import until

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FAR = 4_000_000_000.0
_READ_EVERY_S = "boxoffice.platform.valkey.cluster._READ_EVERY_S"
_COUNT = Script("count", "return redis.call('INCR', KEYS[1])")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyCluster]:
    """The servers; each test leaves them running."""
    with ValkeyCluster(tmp_path_factory.mktemp("cluster")) as servers:
        yield servers


@pytest.fixture
async def valkey(cluster: ValkeyCluster) -> AsyncIterator[Valkey]:
    """A client of the Cluster; its deadline is for a loaded machine, where a node may sync its file."""
    client = Valkey(Settings.of(valkey_url=cluster.url, valkey_timeout_ms=2_000).valkey)
    yield client
    await client.close()


def _tags(cluster: ValkeyCluster) -> dict[int, str]:
    """A key of each node, by the node's port."""
    found: dict[int, str] = {}
    while len(found) < len(cluster.nodes):
        tag = f"{{{uuid4()}}}:test"
        found.setdefault(cluster.owner(tag).port, tag)
    return found


async def test_every_script_keeps_to_one_slot(
    cluster: ValkeyCluster, valkey: Valkey, make_stand: Callable[[Valkey], Stand]
) -> None:
    """The nodes refuse keys of two slots; that each script ran is asked of the nodes."""
    for node in cluster.nodes:
        node.command("SCRIPT", "FLUSH")
    settings = Settings.of()
    # As many schedules and people as it takes to have every node and many slots among them.
    stands = [make_stand(valkey) for _ in range(12)]
    for stand in stands:
        await use_everything(valkey, settings, stand)
    schedules = {str(stand.room.schedule_id) for stand in stands}
    ran = {
        path
        for digest, path in SCRIPTS.items()
        if any(node.command("SCRIPT", "EXISTS", digest)[0] for node in cluster.nodes)
    }
    assert ran == set(SCRIPTS.values())
    # All keys of a schedule, and its channel, are in the slot of its id.
    keys = {key.decode() for node in cluster.nodes for key in node.command("KEYS", "*")}
    of_schedules = {one for one in keys if (found := _ID.search(one)) and found[0] in schedules}
    assert {_ID.sub("…", one).split(":")[0] for one in of_schedules} == {"{…}", "boxoffice"}
    for key in of_schedules | {channel_of(UUID(one)) for one in schedules}:
        found = _ID.search(key)
        assert found is not None
        assert key_slot(key.encode()) == key_slot(found[0].encode()), key


@pytest.mark.parametrize("is_atomic", [False, True])
async def test_a_moved_slot_is_followed_within_a_call(
    cluster: ValkeyCluster, valkey: Valkey, is_atomic: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tag = f"{{{uuid4()}}}"
    source = cluster.owner(tag)
    target = next(node for node in cluster.nodes if node is not source)
    assert await valkey.run(_COUNT, [f"{tag}:n"], []) == 1
    # The reading that comes every few seconds would find it, too.
    monkeypatch.setattr(_READ_EVERY_S, 3_600.0)
    calls: list[int] = []

    async def call_on() -> None:
        while True:
            calls.append(await valkey.run(_COUNT, [f"{tag}:n"], []))

    calling = asyncio.create_task(call_on())
    move = cluster.migrate_slot if is_atomic else cluster.move_slot
    await asyncio.to_thread(move, tag, target)
    await until(lambda: _knows(valkey, tag, target))
    assert not calling.done(), "no call has failed"
    calling.cancel()
    await asyncio.gather(calling, return_exceptions=True)
    assert cluster.owner(tag) is target
    assert calls == list(range(2, len(calls) + 2)), "each call counted once"
    await asyncio.to_thread(cluster.move_slot, tag, source)


async def _knows(valkey: Valkey, tag: str, target: ValkeyProcess) -> bool:
    assert valkey.cluster is not None
    return valkey.cluster.owner(tag) == target.at


async def test_a_key_that_has_moved_ahead_of_its_slot_is_asked_for(
    cluster: ValkeyCluster, valkey: Valkey
) -> None:
    tag = f"{{{uuid4()}}}"
    source = cluster.owner(tag)
    target = next(node for node in cluster.nodes if node is not source)
    slot = key_slot(tag.encode())
    source_id, target_id = source.command("CLUSTER", "MYID"), target.command("CLUSTER", "MYID")
    target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
    source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
    try:
        assert await valkey.run(_COUNT, [f"{tag}:n"], []) == 1, "a new key is the target's"
        assert await valkey.command("GET", f"{tag}:n") == b"1"
        assert valkey.cluster is not None
        assert valkey.cluster.owner(tag) == source.at, "the slot itself has not moved"
    finally:
        target.command("CLUSTER", "SETSLOT", slot, "STABLE")
        source.command("CLUSTER", "SETSLOT", slot, "STABLE")


async def test_a_node_that_is_away_costs_only_its_own_slots(cluster: ValkeyCluster) -> None:
    settings = Settings.of(valkey_url=cluster.url, breaker_open_ms=100, valkey_timeout_ms=1_000)
    valkey = Valkey(settings.valkey)
    tags = _tags(cluster)
    for tag in tags.values():
        await valkey.run(_COUNT, [tag], [])
    dead = cluster.nodes[1]
    dead_tag, other_tags = tags.pop(dead.port), list(tags.values())
    dead.pause()
    try:
        durations, refused = await _call_beside(valkey, other_tags, dead_tag)
        assert refused > 0
        assert not valkey.is_breaker_open, "one node does not stand for all"
        # Others do not wait for the dead node, whose calls take a second.
        assert quantiles(durations, n=100)[97] < 0.5
        dead.kill()
        dead.start()

        async def is_back() -> bool:
            try:
                return bool(await valkey.run(_COUNT, [dead_tag], []) == 1)
            except ValkeyUnavailable:
                return False

        # It comes back empty and without scripts.
        await until(is_back, 20.0)
    finally:
        await valkey.close()


async def _call_beside(valkey: Valkey, tags: list[str], dead_tag: str) -> tuple[list[float], int]:
    """Call live nodes and the dead one for a while; return durations, and the dead one's refusals."""
    durations: list[float] = []
    refused = 0
    ends_at = time.monotonic() + 1.5

    async def others() -> None:
        while (began := time.monotonic()) < ends_at:
            await valkey.run(_COUNT, [tags[len(durations) % len(tags)]], [])
            durations.append(time.monotonic() - began)

    async def dead() -> None:
        nonlocal refused
        while time.monotonic() < ends_at:
            with pytest.raises(ValkeyUnavailable):
                await valkey.run(_COUNT, [dead_tag], [])
            refused += 1
            await asyncio.sleep(0.001)

    await asyncio.gather(others(), dead())
    return durations, refused


async def test_calls_that_a_close_ends_leave_no_open_breaker(cluster: ValkeyCluster) -> None:
    """A node that has left the Cluster is closed, perhaps with calls in progress."""
    server = cluster.nodes[0]
    settings = Settings.of(valkey_timeout_ms=10_000, breaker_failures_max=2).valkey
    connection = {"host": HOST, "port": server.port, "password": PASSWORD}
    node = ValkeyNode(settings, connection, in_cluster=True)
    key = f"{_tags(cluster)[server.port]}:never"
    calls = [asyncio.create_task(node.command("BLPOP", key, 0)) for _ in range(4)]

    async def all_wait() -> bool:
        clients = await asyncio.to_thread(server.command, "INFO", "clients")
        return bool(clients["blocked_clients"] == len(calls))

    await until(all_wait)
    await node.close()
    ended = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(one) for one in ended] == [ValkeyUnavailable] * len(calls)
    labels = {"node": node.name}
    assert not REGISTRY.get_sample_value("boxoffice_valkey_breakers_open", labels)


async def test_a_queue_whose_slot_has_moved_is_lost_and_not_continued(
    cluster: ValkeyCluster, valkey: Valkey, make_stand: Callable[[Valkey], Stand]
) -> None:
    stand = make_stand(valkey)
    await stand.make()
    await stand.join(3)
    tag = f"{{{stand.room.schedule_id}}}"
    source = cluster.owner(tag)
    target = next(node for node in cluster.nodes if node is not source)
    await asyncio.to_thread(cluster.move_slot, tag, target)
    with pytest.raises(QueueStateLost):
        await stand.numbers(uuid4())
    with pytest.raises(QueueStateLost):
        await stand.tick()
    await asyncio.to_thread(cluster.move_slot, tag, source)


class Process:
    """The seats and the bus of one process."""

    def __init__(self, cluster: ValkeyCluster, shop: Shop) -> None:
        # A deadline for a loaded machine, so short that a dead node delays no heartbeat too much.
        settings = Settings.of(valkey_url=cluster.url, breaker_open_ms=100, valkey_timeout_ms=500)
        self.valkey = Valkey(settings.valkey)
        assert self.valkey.cluster is not None
        self.shop = shop
        self.bus = ShardedSeatChangeBus(self.valkey, self.valkey.cluster, shop.applier)


@asynccontextmanager
async def _processes(
    cluster: ValkeyCluster, make_shop: Callable[[], Shop]
) -> AsyncIterator[tuple[Process, Process]]:
    both = Process(cluster, make_shop()), Process(cluster, make_shop())
    running = [asyncio.create_task(one.bus.run()) for one in both]

    async def acquainted() -> bool:
        return all(one.bus.has_peers and one.bus.is_receiving for one in both)

    try:
        await until(acquainted, 20.0)
        yield both
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for one in both:
            await one.valkey.close()


async def _read(process: Process, *schedule_ids: UUID) -> None:
    """Have schedules in memory, and their changes arrive."""
    for schedule_id in schedule_ids:
        await process.shop.seats.states(schedule_id, max_age_s=0)

    async def follows() -> bool:
        return all(process.bus.follows(one) for one in schedule_ids)

    await until(follows, 20.0)
    for schedule_id in schedule_ids:
        await process.shop.seats.states(schedule_id, max_age_s=0)


async def _announce(seller: Process, schedule_id: UUID, seat_id: str) -> None:
    """Send that a person holds a seat; the listener has it from nowhere else."""
    publisher = SeatChangePublisher(seller.shop.applier, seller.shop.seats, seller.bus)
    change = SeatChange(uuid4(), HELD, [seat_id], [2], _FAR)
    await publisher.publish_and_wait(schedule_id, [change])


async def test_changes_go_by_schedule_and_a_lost_one_is_noticed(
    cluster: ValkeyCluster, make_shop: Callable[[], Shop]
) -> None:
    async with _processes(cluster, make_shop) as (seller, listener):
        sold = (await seller.shop.on_sale(3)).schedule_id
        other = (await seller.shop.on_sale(3)).schedule_id
        for process in (seller, listener):
            await _read(process, sold, other)
        stranger = uuid4()
        assert listener.shop.refusals.taken(sold, ["1-1-1"], stranger) == []
        await _announce(seller, sold, "1-1-1")

        async def is_taken() -> bool:
            return listener.shop.refusals.taken(sold, ["1-1-1"], stranger) == ["1-1-1"]

        # The first message of a sender has number 1: nothing can be missing before it.
        await until(is_taken)
        # A message that Valkey never had: the next heartbeat counts it.
        seller.bus._count_sent(sold)

        async def is_read_again() -> bool:
            return listener.shop.refusals.taken(sold, ["1-1-1"], stranger) is None

        await until(is_read_again)
        assert listener.shop.refusals.taken(other, ["1-1-1"], stranger) == [], "and only that one"
        # What a sender has sold before it knew of this process was never sent.
        del listener.bus._peers[seller.bus._me]

        async def is_all_read_again() -> bool:
            return listener.shop.refusals.taken(other, ["1-1-1"], stranger) is None

        await until(is_all_read_again)


async def test_heartbeats_are_where_a_later_process_sends_them(
    cluster: ValkeyCluster, make_shop: Callable[[], Shop]
) -> None:
    """A node that gets the slot of a lower number has another first channel from then on."""
    async with _processes(cluster, make_shop) as both:
        channels = {link.heartbeat_channel: at for at, link in both[0].bus._links.items()}
        lowest, *_, highest = sorted(channels, key=lambda one: int(one.split("{")[1][:-1]))
        source = cluster.owner(lowest)
        target = next(node for node in cluster.nodes if node.at == channels[highest])
        await asyncio.to_thread(cluster.migrate_slot, lowest, target)
        # A command finds the slot elsewhere before all slots are read again.
        for one in both:
            await one.valkey.command("GET", lowest)

        async def is_moved() -> bool:
            links = [one.bus._links.get(target.at) for one in both]
            return all(one is not None and one.heartbeat_channel == lowest for one in links)

        async def are_heard() -> bool:
            return all(one.bus.is_receiving and one.bus.has_peers for one in both)

        try:
            await until(is_moved, 20.0)
            await until(are_heard, 20.0)
        finally:
            await asyncio.to_thread(cluster.move_slot, lowest, source)


async def test_a_subscription_follows_its_slot_and_a_dead_node_is_a_gap(
    cluster: ValkeyCluster, make_shop: Callable[[], Shop], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _processes(cluster, make_shop) as (seller, listener):
        moved = (await seller.shop.on_sale(3)).schedule_id
        for process in (seller, listener):
            await _read(process, moved)
        # Its own end shows it, and not the reading that comes every few seconds.
        monkeypatch.setattr(_READ_EVERY_S, 3_600.0)
        source = cluster.owner(channel_of(moved))
        target = next(node for node in cluster.nodes if node is not source)
        await asyncio.to_thread(cluster.migrate_slot, channel_of(moved), target)

        async def is_lost() -> bool:
            return not listener.bus.follows(moved)

        await until(is_lost)
        await _read(listener, moved)
        await _announce(seller, moved, "1-1-2")

        async def is_taken() -> bool:
            return listener.shop.refusals.taken(moved, ["1-1-2"], uuid4()) == ["1-1-2"]

        await until(is_taken)
        safe = await _on_another_node(cluster, seller.shop, target)
        await _read(listener, safe)
        target.pause()
        try:
            await until(is_lost, 20.0)
            assert listener.bus.follows(safe), "the other nodes' schedules are as they were"
        finally:
            target.resume()
        await asyncio.to_thread(cluster.move_slot, channel_of(moved), source)


async def _on_another_node(cluster: ValkeyCluster, shop: Shop, node: ValkeyProcess) -> UUID:
    while True:
        schedule_id = (await shop.on_sale(1)).schedule_id
        if cluster.owner(channel_of(schedule_id)) is not node:
            return schedule_id
