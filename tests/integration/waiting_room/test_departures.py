"""A place is refilled once every process knows the exit and refuses the pass."""

import asyncio
from uuid import UUID, uuid4

import asyncpg
import pytest

from boxoffice.errors import Unavailable
from boxoffice.platform.concurrency.coalesced_reads import CoalescedReads
from boxoffice.settings import Settings
from boxoffice.waiting_room import departures, rules
from boxoffice.waiting_room.engine.queue_state import Admission, Exit, keys_of
from boxoffice.waiting_room.rules import PositionState
from tests.integration.waiting_room.conftest import Clock, MakePod, Pod, Queue
from tests.support.waiting import until


async def lose(queue: Queue) -> None:
    """Delete the queue in Valkey."""
    await queue.pod.valkey.command("DEL", *keys_of(queue.schedule_id))


async def test_a_place_is_refilled_once_every_process_knows_the_exit(
    queue: Queue, make_pod: MakePod
) -> None:
    """The other process does not refresh, so its cache is too old to accept a pass."""
    other = await make_pod()
    await other.refresh(queue.schedule_id)
    await queue.set(inside_max=1)
    first, second = await queue.join(), await queue.join()
    await queue.tick(seconds=1)
    own = (await queue.ask(first)).queue_pass
    await other.refresh(queue.schedule_id)
    assert other.room.may_hold_by_cache(queue.schedule_id, first, own)
    await queue.leave(first)
    await queue.tick()

    waited_s = 0.0
    while (await queue.ask(second)).state is not PositionState.ADMITTED:
        assert waited_s < 3
        queue.clock.pass_(0.1)
        waited_s += 0.1
        await queue.tick()
    assert waited_s == pytest.approx(rules.DEPARTURES_FRESH_FOR_S, abs=0.11)
    assert not queue.pod.room.may_hold_by_cache(queue.schedule_id, first, own)
    assert not other.room.may_hold_by_cache(queue.schedule_id, first, own)
    # It reads before it refuses, and accepts the pass again.
    assert not await other.room.may_hold(queue.schedule_id, first, own)
    newer = (await queue.ask(second)).queue_pass
    assert other.room.may_hold_by_cache(queue.schedule_id, second, newer)


async def test_a_rebuilt_queue_refills_no_recently_left_place(
    queue: Queue,
) -> None:
    await queue.set(inside_max=1)
    first, second = await queue.join(), await queue.join()
    await queue.pod.join_writer.flush()
    await queue.tick(seconds=1)
    await queue.ask(first)
    await queue.leave(first)
    await queue.tick()
    await lose(queue)
    await queue.tick()
    for _ in range(4):
        await queue.tick(seconds=0.2)
        assert (await queue.ask(second)).state is PositionState.WAITING
    await queue.tick(2, seconds=0.2)
    assert (await queue.ask(second)).state is PositionState.ADMITTED


async def test_a_later_leader_waits_for_exits_of_the_earlier_one(
    queue: Queue, make_pod: MakePod
) -> None:
    await queue.set(inside_max=1)
    first, second = await queue.join(), await queue.join()
    await queue.tick(seconds=1)
    await queue.ask(first)
    await queue.leave(first)
    await queue.tick(2, seconds=0.4)
    other = await make_pod()
    await queue.pod.lease.release()
    await other.refresh(queue.schedule_id)
    await other.tick(queue.schedule_id)
    queue.clock.pass_(0.5)
    await other.tick(queue.schedule_id)
    await queue.pod.refresh(queue.schedule_id)
    assert (await queue.ask(second)).state is PositionState.WAITING
    queue.clock.pass_(0.6)
    await other.tick(queue.schedule_id)
    await queue.pod.refresh(queue.schedule_id)
    assert (await queue.ask(second)).state is PositionState.ADMITTED


async def test_without_valkey_passes_stay_valid(queue: Queue) -> None:
    person = await queue.join()
    await queue.tick(seconds=1)
    own = (await queue.ask(person)).queue_pass
    await lose(queue)
    queue.clock.pass_(30)
    assert not queue.pod.room.may_hold_by_cache(queue.schedule_id, person, own)
    assert await queue.pod.room.may_hold(queue.schedule_id, person, own)
    assert queue.pod.room.may_hold_by_cache(queue.schedule_id, person, own)


async def test_without_postgresql_no_pass_is_accepted(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await queue.join()
    await queue.tick(seconds=1)
    own = (await queue.ask(person)).queue_pass

    async def away(*_: object) -> None:
        raise Unavailable

    monkeypatch.setattr(queue.pod.store, "departures", away)
    assert queue.pod.room.may_hold_by_cache(queue.schedule_id, person, own)
    queue.clock.pass_(rules.DEPARTURES_FRESH_FOR_S)
    assert not queue.pod.room.may_hold_by_cache(queue.schedule_id, person, own)
    with pytest.raises(Unavailable):
        await queue.pod.room.may_hold(queue.schedule_id, person, own)


# Reads ---------------------------------------------------------------------------------------------


async def let_in(queue: Queue, *numbers: int, ends_in_s: float = 600) -> None:
    """Record admissions."""
    now_ms = int(queue.clock() * 1000)
    people = [
        Admission(uuid4(), one, one, 1, 10, now_ms + int(1000 * ends_in_s), now_ms)
        for one in numbers
    ]
    assert await queue.pod.store.admit(queue.schedule_id, queue.known.epoch, 1_000, now_ms, people)


def exits(queue: Queue, *numbers: int) -> list[Exit]:
    """The exits that the leader records."""
    return [Exit(one, int(queue.clock() * 1000), "left") for one in numbers]


def known(pod: Pod, schedule_id: UUID, *numbers: int) -> list[bool]:
    """Whether a worker knows the numbers as departed."""
    return [pod.rooms.departures.has_left(schedule_id, one) for one in numbers]


async def test_a_late_commit_is_not_missed(queue: Queue, settings: Settings) -> None:
    """A transaction that began earlier commits after later ones were read."""
    here, reading = queue.schedule_id, queue.pod.rooms.departures
    await let_in(queue, 1, 2, 3)
    slow = await asyncpg.connect(settings.database.database_url)
    try:
        transaction = slow.transaction()
        await transaction.start()
        await slow.execute(
            "SELECT queue_end_v1($1, ARRAY[1::bigint], ARRAY[to_timestamp($2)], ARRAY['left'])",
            here,
            queue.clock(),
        )
        await queue.pod.store.record_exits(here, exits(queue, 2))
        for _ in range(2):
            await reading.refresh()
            assert known(queue.pod, here, 1, 2, 3) == [False, True, False]
        await transaction.commit()
    finally:
        await slow.close()
    await reading.refresh()
    assert known(queue.pod, here, 1, 2, 3) == [True, True, False]


async def test_many_departures_are_read_in_pages(
    queue: Queue, make_pod: MakePod, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = range(1, 8)
    await let_in(queue, *numbers)
    for one in numbers:
        await queue.pod.store.record_exits(queue.schedule_id, exits(queue, one))
    monkeypatch.setattr(departures, "_PAGE_MAX", 3)
    other = await make_pod()
    await other.rooms.departures.refresh()
    assert known(other, queue.schedule_id, *numbers, 8) == [*[True] * 7, False]
    # Nothing follows for another room.
    assert known(other, uuid4(), 1) == [False]


async def test_departures_expire_with_their_passes(queue: Queue, clock: Clock) -> None:
    here, reading = queue.schedule_id, queue.pod.rooms.departures
    ahead_s = (
        clock() - (await queue.pod.db.fetch("SELECT date_part('epoch', now()) AS at"))[0]["at"]
    )
    await let_in(queue, 1, ends_in_s=20)
    await let_in(queue, 2, ends_in_s=90_000)
    await queue.pod.store.record_exits(here, exits(queue, 1))
    await queue.pod.store.record_exits(here, exits(queue, 2))
    await reading.refresh()
    assert known(queue.pod, here, 1, 2) == [True, True]
    clock.pass_(ahead_s + 30)
    await reading.refresh()
    assert known(queue.pod, here, 1, 2) == [False, True]
    # A pass lasts an hour at most.
    clock.pass_(3_600)
    await reading.refresh()
    assert known(queue.pod, here, 1, 2) == [False, False]


async def test_coalesced_reads_begin_after_the_call_and_are_shared() -> None:
    began: list[str] = []
    under_way = 0
    most = 0
    go = asyncio.Event()

    async def read(key: str) -> int:
        nonlocal under_way, most
        began.append(key)
        under_way += 1
        most = max(most, under_way)
        await go.wait()
        under_way -= 1
        if key == "bad":
            raise Unavailable
        return len(began)

    async def has_begun() -> bool:
        return len(began) == 1

    reads = CoalescedReads(read)
    first = [asyncio.create_task(reads.get("a")) for _ in range(5)]
    await until(has_begun)
    late = [asyncio.create_task(reads.get("a")) for _ in range(5)]
    await asyncio.sleep(0.1)
    assert began == ["a"], "one at a time"
    go.set()
    assert await asyncio.gather(*first) == [1] * 5
    assert await asyncio.gather(*late) == [2] * 5
    with pytest.raises(Unavailable):
        await reads.get("bad")
    many = [asyncio.create_task(reads.get(f"k{at}")) for at in range(50)]
    await asyncio.gather(*many)
    assert most <= 8
    # Repeated calls cause few reads of one key.
    before = len(began)
    loop = asyncio.get_running_loop()
    end_at = loop.time() + 0.3
    while loop.time() < end_at:
        await reads.get("a")
    assert len(began) - before <= 8
