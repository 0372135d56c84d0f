"""Rebuilds of the queue in parts."""

from uuid import UUID, uuid4

import pytest

from boxoffice.waiting_room.engine.queue_state import (
    Admission,
    QueueStateLost,
    SpentNumber,
    TicketHolder,
    key_of,
    keys_of,
)
from tests.integration.guards.waiting_room.scripts.stand import GRACE_S, START_MS, Stand, bucket


def _admission(person: UUID, number: int, ends_ms: int) -> Admission:
    return Admission(person, number, number, 1, 10, ends_ms, START_MS - 1_000)


async def test_a_rebuild_keeps_admissions(stand: Stand) -> None:
    one, two = uuid4(), uuid4()
    admissions = [
        _admission(one, 1, stand.now_ms + 1_000),
        _admission(two, 2, stand.now_ms + 1_000_000),
    ]
    stand.set(joined=2, called=2)
    await stand.make(admissions)
    assert (await stand.tick()).inside == 2
    assert await stand.numbers(one, two) == [-1, -2]
    stand.now_ms += 1_000
    assert [(one.number, one.reason) for one in (await stand.tick()).exits] == [(1, "time")]
    stand.now_ms += 1_000 * GRACE_S
    assert [(one.number, one.reason) for one in (await stand.tick()).exits][1:] == [(2, "silent")]


async def test_a_rebuild_removes_the_old_state(stand: Stand) -> None:
    await stand.call(3, cap=2)
    await stand.enter(1)
    await stand.make()
    assert await stand.numbers(stand.people[2]) == [1]
    tick = await stand.tick(is_open=False)
    assert (tick.inside, tick.pending, tick.called) == (0, 0, 0)


async def test_a_rebuild_is_usable_after_its_last_part(stand: Stand) -> None:
    asked = []

    async def meanwhile() -> None:
        with pytest.raises(QueueStateLost):
            await stand.join(1)
        asked.append(True)

    await stand.make(restore=meanwhile)
    await stand.join(1)
    assert asked


async def test_a_part_after_a_loss_builds_nothing(stand: Stand) -> None:
    async def lost() -> None:
        await stand.valkey.command("DEL", *keys_of(stand.room.schedule_id))

    with pytest.raises(QueueStateLost):
        await stand.make(restore=lost)
    with pytest.raises(QueueStateLost):
        await stand.tick()


async def test_numbers_are_restored_into_a_running_rebuild_only(stand: Stand) -> None:
    person = uuid4()
    tried = []

    async def lost() -> None:
        await stand.valkey.command("DEL", *keys_of(stand.room.schedule_id))
        tried.append(True)
        await stand.queue_state.restore(stand.room, [bucket((person, 1))])

    with pytest.raises(QueueStateLost):
        await stand.make(restore=lost)
    assert tried
    assert await stand.valkey.command("EXISTS", *keys_of(stand.room.schedule_id)) == 0


async def test_numbers_are_forgotten_in_a_running_rebuild_only(stand: Stand) -> None:
    await stand.make()
    await stand.join(1)
    with pytest.raises(QueueStateLost):
        await stand.queue_state.forget(stand.room, [SpentNumber(1, stand.people[0])])
    assert await stand.numbers(stand.people[0]) == [-1]


async def test_of_two_recorded_numbers_the_lowest_counts(stand: Stand) -> None:
    person, other = UUID(int=1 << 64), UUID(int=2 << 64)

    async def restore() -> None:
        issued = bucket((person, 5), (other, 4), (person, 2), (person, 7))
        await stand.queue_state.restore(stand.room, [issued])

    stand.set(joined=9)
    await stand.make(restore=restore)
    assert await stand.numbers(person, other) == [-2, -4]
    await stand.leave(TicketHolder(person, 2, 2, stand.room.epoch))
    assert await stand.numbers(person, other) == [10, -4]


async def test_only_the_spent_number_is_forgotten(stand: Stand) -> None:
    spent, again, neighbour = (UUID(int=at << 64) for at in (1, 2, 3))

    async def restore() -> None:
        # `again` was admitted with number 2, and has joined again.
        issued = bucket((spent, 1), (again, 2), (again, 3), (neighbour, 4))
        await stand.queue_state.restore(stand.room, [issued])
        gone = [SpentNumber(1, spent), SpentNumber(2, again)]
        await stand.queue_state.forget(stand.room, gone)

    stand.set(joined=9)
    await stand.make(restore=restore)
    assert await stand.numbers(spent, again, neighbour) == [10, -3, -4]


async def test_many_numbers_of_one_account_are_removed_at_once(stand: Stand) -> None:
    """A copy of the bucket for each of them would block the server for many seconds."""
    person, other = UUID(int=1 << 64), UUID(int=2 << 64)
    issued = bucket((other, 4), *[(person, 2)] * 50_000, (other, 5))

    async def restore() -> None:
        await stand.queue_state.restore(stand.room, [issued])
        await stand.queue_state.forget(stand.room, [SpentNumber(2, person)])

    stand.set(joined=9)
    await stand.make(restore=restore)
    assert await stand.numbers(person, other) == [10, -4]


async def test_the_state_of_a_release_with_other_keys_is_lost(stand: Stand) -> None:
    """The previous release compares the field with the server's identity alone."""
    await stand.make()
    state = key_of(stand.room.schedule_id, "state")
    server = await stand.valkey.command("INFO", "server")
    replication = await stand.valkey.command("INFO", "replication")
    previous = f"{server['run_id']}{replication['master_replid']}"
    assert (await stand.valkey.command("HGET", state, "run")).decode() != previous
    await stand.valkey.command("HSET", state, "run", previous)
    with pytest.raises(QueueStateLost):
        await stand.join(1)


async def test_a_rebuild_removes_the_numbers_of_the_previous_release(stand: Stand) -> None:
    numbers = key_of(stand.room.schedule_id, "numbers")
    await stand.valkey.command("HSET", numbers, uuid4().bytes, 1)
    await stand.make()
    assert await stand.valkey.command("EXISTS", numbers) == 0
