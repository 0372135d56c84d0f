"""What a tick ends, releases, calls and bounds."""

from boxoffice.waiting_room.engine.queue_state import QueueState
from tests.integration.guards.waiting_room.scripts.stand import (
    GRACE_S,
    QUEUE_TTL_S,
    START_MS,
    Stand,
)


async def test_a_tick_ends_expired_graces_and_times(stand: Stand) -> None:
    stand.set(inside_s=100)
    await stand.call(3, cap=3)
    await stand.enter(1, 2, 3)
    stand.now_ms += 1_000 * GRACE_S - 1
    await stand.enter(2, 3)
    assert (await stand.tick()).exits == []
    stand.now_ms += 1
    tick = await stand.tick()
    assert [(one.number, one.reason) for one in tick.exits] == [(1, "silent")]
    assert (tick.inside, await stand.words(1)) == (2, "S")
    stand.now_ms = START_MS + 100_000
    assert {(one.number, one.reason) for one in (await stand.tick()).exits} == {
        (1, "silent"),
        (2, "time"),
        (3, "time"),
    }


async def test_a_tick_is_bounded(stand: Stand) -> None:
    stand.queue_state = QueueState(stand.valkey, QUEUE_TTL_S, 2)
    await stand.make()
    await stand.join(3)
    assert [(await stand.tick()).called_now for _ in range(3)] == [2, 1, 0]
    await stand.enter(1, 2, 3)
    stand.now_ms += 1_000 * GRACE_S
    ticks = [await stand.tick() for _ in range(2)]
    assert [tick.inside for tick in ticks] == [1, 0]
    assert [len(tick.exits) for tick in ticks] == [2, 2]


async def test_an_exit_is_released_once_it_is_recorded(stand: Stand) -> None:
    await stand.call(3, cap=3)
    await stand.enter(1, 2, 3)
    for person in (1, 2, 3):
        await stand.leave(person)

    async def out(recorded: int) -> list[int]:
        tick = await stand.tick(recorded=recorded)
        return [tick.released, *[one.number for one in tick.exits]]

    assert await out(0) == [0, 1, 2, 3]
    assert await out(1) == [1, 2, 3]
    assert await out(1) == [1, 2, 3], "a beat whose answer was lost"
    assert await out(0) == [1, 2, 3], "a leader that knows less"
    tick = await stand.tick(recorded=2, propagated=1)
    assert (tick.released, [one.number for one in tick.exits]) == (1, [3]), "not known to all yet"
    assert await out(2) == [2, 3]
    assert await out(3) == [3]


async def test_a_call_lapses_and_the_next_ones_are_called(stand: Stand) -> None:
    await stand.call(3, cap=1)
    stand.now_ms += 1_000 * GRACE_S
    tick = await stand.tick()
    assert (tick.called, tick.pending) == (1, 1)
    stand.now_ms += 1
    tick = await stand.tick()
    assert (tick.called, tick.pending) == (2, 1)


async def test_a_used_up_call_hides_no_lapsed_one(stand: Stand) -> None:
    await stand.call(1, cap=2)
    await stand.enter(1)
    stand.set(grace_s=1)
    await stand.join(1)
    await stand.tick()
    stand.now_ms += 1_001
    assert (await stand.tick()).pending == 0


async def test_a_tick_without_a_call_keeps_the_last_call(stand: Stand) -> None:
    await stand.call(2, cap=9)
    assert (await stand.tick()).called_now == 0
    assert await stand.words(1, 2) == "AA"
    assert await stand.pending() == 0


async def test_a_late_user_has_priority_for_a_while(stand: Stand) -> None:
    await stand.call(3, cap=1)
    assert await stand.words(1) == "A"
    stand.now_ms += 1_000 * GRACE_S - 1
    await stand.enter(1)
    stand.set(inside_max=2)
    await stand.tick()
    stand.now_ms += 1_000 * GRACE_S - 1
    await stand.enter(1)
    stand.now_ms += 2
    stand.set(inside_max=1)
    await stand.tick()
    assert await stand.words(2) == "L"
    await stand.leave(1)
    await stand.tick()
    tick = await stand.tick(recorded=1)
    assert (tick.late, tick.called) == (1, 2), "the place is the second one's"
    stand.now_ms += 15_001
    tick = await stand.tick(recorded=1)
    assert (tick.late, tick.called) == (0, 3)


async def test_the_rate_the_cap_and_the_opening_bound_a_call(stand: Stand) -> None:
    stand.set(inside_max=5)
    await stand.make()
    await stand.join(9)
    assert (await stand.tick(is_open=False)).called == 0
    assert (await stand.tick(allowed=2)).called == 2
    assert (await stand.tick()).called == 5
    await stand.enter(1, 2, 3, 4, 5)
    assert (await stand.tick()).called == 5
    await stand.leave(1)
    assert (await stand.tick()).called == 5, "not on record as out"
    assert (await stand.tick(recorded=1)).called == 6


async def test_vacant_places_are_skipped_within_the_limit(
    stand: Stand,
) -> None:
    stand.set(inside_max=4, joined=30)
    await stand.make(vacant=range(1, 31))
    await stand.join(50)
    tick = await stand.tick()
    assert (tick.called, tick.called_now) == (34, 4)


async def test_a_tick_marks_places_vacant(stand: Stand) -> None:
    stand.set(inside_max=1)
    await stand.make()
    await stand.join(3)
    await stand.tick(is_open=False, vacant=[1, 2])
    tick = await stand.tick()
    assert (tick.called, tick.called_now) == (3, 1)


async def test_called_never_decreases(stand: Stand) -> None:
    stand.set(called=5, joined=3)
    await stand.make()
    assert (await stand.tick()).called == 5
