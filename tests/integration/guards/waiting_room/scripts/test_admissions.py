"""Calls, admissions, and the owners of numbers."""

from uuid import uuid4

import pytest

from boxoffice.waiting_room.engine.queue_state import TicketHolder, keys_of
from tests.integration.guards.waiting_room.scripts.stand import GRACE_S, Stand, old_ticket


async def test_an_uncalled_user_waits(stand: Stand) -> None:
    await stand.call(3, cap=2)
    assert await stand.words(3, 1, 2, 3) == "WAAW"


async def test_a_caller_with_another_draw_admits_no_user(stand: Stand) -> None:
    await stand.call(2, cap=10)
    stand.set(lobby_size=2)
    assert await stand.words(1) == "W"
    await stand.tick()
    assert await stand.words(1) == "A"
    stand.set(lobby_size=None)
    assert await stand.words(2) == "W"


async def test_a_heartbeat_is_no_second_admission(stand: Stand) -> None:
    await stand.call(1, cap=1)
    [came] = await stand.enter(1)
    stand.now_ms += 1_000
    [again] = await stand.enter(1)
    assert (came.code, again.code) == ("A", "I")
    assert again.admission == came.admission
    assert again.due_ms == came.due_ms + 1_000


async def test_the_grace_ends_with_the_time_inside(stand: Stand) -> None:
    stand.set(inside_s=GRACE_S // 2)
    await stand.call(1, cap=1)
    [came] = await stand.enter(1)
    assert came.admission is not None
    assert came.due_ms == came.admission.ends_ms == stand.now_ms + 1_000 * GRACE_S // 2


@pytest.mark.parametrize("script", ["enter", "leave", "tick"])
async def test_a_lagging_clock_never_turns_time_back(stand: Stand, script: str) -> None:
    await stand.call(2, cap=10)
    await stand.enter(1)
    at_ms = stand.now_ms
    stand.now_ms -= 10 * 60_000
    if script == "enter":
        [came] = await stand.enter(2)
        assert came.admission is not None
        assert came.admission.admitted_ms == at_ms
    if script == "leave":
        await stand.leave(1)
    if script == "tick":
        await stand.tick()
    assert (
        int(await stand.valkey.command("HGET", keys_of(stand.room.schedule_id)[0], "now")) == at_ms
    )


async def test_a_call_is_for_its_own_places(stand: Stand) -> None:
    """The first user missed the call; the open call is for the second."""
    await stand.call(2, cap=1)
    stand.now_ms += 1_000 * GRACE_S + 1
    await stand.tick()
    assert await stand.words(1, 2, 1) == "LAL"


async def test_a_call_lapses_before_a_tick_removes_it(stand: Stand) -> None:
    await stand.call(2, cap=2)
    stand.now_ms += 1_000 * GRACE_S
    assert await stand.words(1) == "A"
    stand.now_ms += 1
    assert await stand.words(2) == "L"


async def test_a_call_is_used_up_by_as_many_as_were_counted(stand: Stand) -> None:
    """A place thought vacant has a user: three places, two of them called."""
    stand.set(inside_max=2)
    await stand.make(vacant=[2])
    await stand.join(3)
    await stand.tick()
    assert await stand.words(1, 3, old_ticket(2)) == "AAL"
    assert await stand.pending() == 0


async def test_a_late_user_takes_a_free_place(stand: Stand) -> None:
    await stand.call(2, cap=2)
    stand.now_ms += 1_000 * GRACE_S + 1
    await stand.tick()
    assert await stand.words(1, 2) == "AA"


async def test_no_free_place_is_taken_while_closed(stand: Stand) -> None:
    await stand.call(1, cap=2)
    stand.now_ms += 1_000 * GRACE_S + 1
    await stand.tick(is_open=False)
    assert await stand.words(1) == "L"
    await stand.tick()
    assert await stand.words(1) == "A"


async def test_a_place_is_free_without_users_calls_and_unrecorded_exits(
    stand: Stand,
) -> None:
    """A late user polls at each step: another is inside, then called, then out and not recorded."""
    await stand.call(2, cap=1)
    stand.now_ms += 1_000 * GRACE_S + 1
    await stand.tick()
    assert await stand.words(1) == "L", "the second was called"
    assert await stand.words(2, 1) == "AL", "the second is inside"
    await stand.leave(2)
    assert await stand.words(1) == "L", "the second is not on record as out"
    await stand.tick(recorded=1)
    assert await stand.words(1) == "A"


async def test_a_raised_cap_applies_to_earlier_calls(stand: Stand) -> None:
    await stand.call(2, cap=1)
    stand.set(inside_max=2)
    await stand.tick()
    [late] = await stand.enter(2)
    [early] = await stand.enter(1)
    assert early.admission is not None
    assert late.admission is not None
    assert (early.admission.inside, early.admission.inside_max) == (2, 2)
    assert (late.admission.inside, late.admission.inside_max) == (1, 2)


async def test_a_lowered_cap_applies_once_it_is_met(stand: Stand) -> None:
    await stand.call(3, cap=1)
    stand.set(inside_max=3)
    await stand.tick()
    assert await stand.words(2, 3) == "AA"
    stand.set(inside_max=1)
    await stand.tick()
    [early] = await stand.enter(1)
    assert early.admission is not None
    assert (early.admission.inside, early.admission.inside_max) == (3, 3)

    for person in (1, 2, 3):
        await stand.leave(person)
    await stand.tick()
    await stand.tick(recorded=3)
    await stand.join(1)
    await stand.tick(recorded=3)
    [next_one] = await stand.enter(4)
    assert next_one.admission is not None
    assert next_one.admission.inside_max == 1


async def test_a_returned_number_is_spent(stand: Stand) -> None:
    await stand.call(2, cap=2)
    assert await stand.words(1) == "A"
    await stand.leave(1)
    await stand.leave(2)
    assert await stand.words(1, 2) == "SS"


async def test_a_foreign_number_admits_no_user(stand: Stand) -> None:
    await stand.call(3, cap=10)
    stranger = TicketHolder(uuid4(), 1, 1, stand.room.epoch)
    assert await stand.words(stranger) == "S"
    [told] = await stand.enter(TicketHolder(stand.people[2], 1, 1, stand.room.epoch))
    assert (told.code, told.number) == ("P", 3)


async def test_of_two_numbers_the_better_one_counts(stand: Stand) -> None:
    stand.set(joined=5)
    await stand.make()
    person = old_ticket(2)
    assert await stand.numbers(person.user_id) == [6]
    assert await stand.words(person) == "W"
    [told] = await stand.enter(person._replace(number=4, place=4))
    assert (told.code, told.number) == ("P", 2)
    assert await stand.numbers(person.user_id) == [-2]


async def test_a_ticket_of_a_lost_epoch_restores_its_place(stand: Stand) -> None:
    stand.set(joined=3, inside_max=1)
    await stand.make(vacant=[1, 2, 3])
    await stand.join(1)
    newcomer = TicketHolder(stand.people[0], 4, 4, stand.room.epoch)
    person = old_ticket(2)
    assert await stand.words(person) == "W"
    await stand.tick()
    assert await stand.words(newcomer, person) == "WA"
