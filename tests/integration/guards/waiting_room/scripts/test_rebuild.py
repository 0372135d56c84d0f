"""Rebuilds of the queue in parts."""

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest

from boxoffice.waiting_room.engine.queue_state import (
    Admission,
    IssuedNumbers,
    QueueStateLost,
    keys_of,
)
from tests.integration.guards.waiting_room.scripts.stand import GRACE_S, START_MS, Stand, accounts


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

    async def meanwhile() -> AsyncIterator[IssuedNumbers]:
        with pytest.raises(QueueStateLost):
            await stand.join(1)
        asked.append(True)
        yield IssuedNumbers([3], uuid4().bytes)

    await stand.make(places=meanwhile())
    await stand.join(1)
    assert asked


async def test_a_part_after_a_loss_builds_nothing(stand: Stand) -> None:
    async def lost() -> AsyncIterator[IssuedNumbers]:
        await stand.valkey.command("DEL", *keys_of(stand.room.schedule_id))
        none: tuple[IssuedNumbers, ...] = ()
        for one in none:
            yield one

    with pytest.raises(QueueStateLost):
        await stand.make(places=lost())
    with pytest.raises(QueueStateLost):
        await stand.tick()


async def test_numbers_are_restored_into_a_running_rebuild_only(
    stand: Stand,
) -> None:
    async def lost() -> AsyncIterator[IssuedNumbers]:
        await stand.valkey.command("DEL", *keys_of(stand.room.schedule_id))
        yield IssuedNumbers([1], uuid4().bytes)

    with pytest.raises(QueueStateLost):
        await stand.make(places=lost())
    assert await stand.valkey.command("EXISTS", *keys_of(stand.room.schedule_id)) == 0


async def test_the_first_recorded_number_stays(stand: Stand) -> None:
    person = uuid4()

    async def places() -> AsyncIterator[IssuedNumbers]:
        yield IssuedNumbers([2, 5], accounts(person, person))
        yield IssuedNumbers([7], accounts(person))

    stand.set(joined=9)
    await stand.make(places=places())
    assert await stand.numbers(person) == [-2]
