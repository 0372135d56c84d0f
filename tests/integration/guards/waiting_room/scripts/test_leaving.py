"""Users who leave or have paid."""

from boxoffice.waiting_room.engine.queue_state import TicketHolder
from tests.integration.guards.waiting_room.scripts.stand import GRACE_S, Stand, old_ticket


async def test_leaving_the_queue_makes_the_place_vacant(stand: Stand) -> None:
    stand.set(inside_max=1)
    await stand.make()
    await stand.join(2)
    assert await stand.leave(1) == 0
    tick = await stand.tick()
    assert (tick.called, tick.called_now) == (2, 1)


async def test_a_called_user_who_leaves_is_not_pending(stand: Stand) -> None:
    await stand.call(2, cap=2)
    await stand.leave(1)
    assert await stand.pending() == 1
    await stand.leave(1)
    assert await stand.pending() == 1
    assert await stand.words(2) == "A"


async def test_a_late_leave_uses_no_other_call(stand: Stand) -> None:
    await stand.call(2, cap=1)
    stand.now_ms += 1_000 * GRACE_S + 1
    await stand.tick()
    await stand.leave(1)
    assert await stand.pending() == 1
    assert await stand.words(2) == "A"


async def test_a_leave_without_an_open_call(stand: Stand) -> None:
    await stand.call(1, cap=1)
    stand.now_ms += 1_000 * GRACE_S + 1
    await stand.tick()
    assert await stand.leave(1) == 0
    assert await stand.words(1) == "S"


async def test_an_uncounted_user_is_not_counted_at_a_leave(stand: Stand) -> None:
    stand.set(inside_max=2)
    await stand.make(vacant=[2])
    await stand.join(3)
    await stand.tick()
    person = old_ticket(2)
    assert await stand.words(1, 3, person) == "AAL"
    await stand.leave(person)
    assert await stand.pending() == 0


async def test_a_late_user_who_leaves_loses_priority(stand: Stand) -> None:
    await stand.call(1, cap=1)
    stand.now_ms += 1_000 * GRACE_S + 1
    await stand.tick(is_open=False)
    assert await stand.words(1) == "L"
    await stand.leave(1)
    assert (await stand.tick()).late == 0


async def test_leaving_ends_the_admission(stand: Stand) -> None:
    await stand.call(2, cap=2)
    await stand.enter(1, 2)
    assert await stand.leave(1) == 1
    assert await stand.leave(2, "paid") == 1
    assert await stand.leave(2, "paid") == 0
    tick = await stand.tick()
    assert [(one.number, one.reason) for one in tick.exits] == [(1, "left"), (2, "paid")]
    assert tick.inside == 0


async def test_a_payment_ends_the_admission_but_no_place_in_the_queue(stand: Stand) -> None:
    await stand.call(2, cap=1)
    await stand.leave(2, "paid")
    assert await stand.numbers(stand.people[1]) == [-2]


async def test_a_former_number_frees_nothing(stand: Stand) -> None:
    await stand.call(3, cap=1)
    await stand.leave(TicketHolder(stand.people[1], 3, 3, stand.room.epoch))
    assert await stand.numbers(stand.people[1]) == [-2]
