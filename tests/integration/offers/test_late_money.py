"""Money that comes after the end of its hold, where offers decide: the same choice is tried again."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from boxoffice.offers.rules import Reduction
from boxoffice.offers.store import CodeTerms
from boxoffice.payments.intents.rules import order_id
from boxoffice.payments.intents.store import Intent, SettleCommand
from boxoffice.reservations.store import ReservationStore
from tests.support.checkout import Checkout, reservation_of
from tests.support.fake_provider import Fault
from tests.support.hall import Hall
from tests.support.invariants import broken
from tests.support.offers import YOUTH, OfferDesk

CODE = "TENOFF"


@pytest.fixture
async def checkout(hall: Hall) -> AsyncIterator[Checkout]:
    """The checkout of one pod."""
    one = Checkout(hall)
    yield one
    await one.close()


async def _captured(
    checkout: Checkout, desk: OfferDesk, person: UUID, seat_id: str, *, type_of_seat: str = ""
) -> Intent:
    """Return an intent with the code whose money has moved, unanswered, and whose hold has ended."""
    outcome = await desk.hold(person, seat_id, code=CODE, types=(type_of_seat,))
    assert outcome.held is not None, outcome
    intent = await checkout.open(person, outcome.held.reservation_id)
    checkout.provider.faults = [Fault.LOST_AFTER]
    intent = await checkout.confirm(intent)
    await desk.hall.lapse(reservation_of(intent))
    return intent


async def _settled(checkout: Checkout, *intents: Intent) -> list[str]:
    """Settle intents in one batch; return their outcomes."""
    commands = []
    for intent in intents:
        payment = checkout.provider.book[order_id(intent.user_id, intent.intent_id)]
        [capture] = payment.movements
        commands.append(
            SettleCommand(intent.user_id, intent.intent_id, "p", capture, is_sellable=True)
        )
    outcomes = await checkout.store.settle(checkout.hall.schedule_id, commands)
    return [outcome.name for outcome in outcomes]


async def _uses(hall: Hall) -> int:
    query = "SELECT taken FROM offer_codes WHERE schedule_id = $1"
    [row] = await hall.db.fetch(query, hall.schedule_id)
    return int(row["taken"])


async def test_late_money_buys_what_was_chosen(
    hall: Hall, desk: OfferDesk, checkout: Checkout
) -> None:
    await desk.terms(YOUTH, fee_minor=50)
    await desk.codes(CodeTerms(name="ten off", reduction=Reduction(10, 0), uses_max=1), code=CODE)
    intent = await _captured(checkout, desk, hall.people[0], "S001", type_of_seat="youth")
    assert await _settled(checkout, intent) == ["sold"]
    done = await checkout.current(intent)
    reservation_id = reservation_of(done)
    assert (done.status, reservation_id != reservation_of(intent)) == ("SUCCEEDED", True)
    found = await ReservationStore(hall.db).get(hall.schedule_id, reservation_id, hall.people[0])
    assert found is not None
    assert [(line.price_type, line.paid_minor) for line in found.lines] == [("youth", 653)]
    assert await _uses(hall) == 1, "its own use was returned first"
    await hall.expire()
    assert not await broken(hall.db, hall.schedule_id)


async def test_late_money_whose_code_was_used_by_another_buyer_goes_back(
    hall: Hall, desk: OfferDesk, checkout: Checkout
) -> None:
    """Fault: charged, quota gone."""
    await desk.terms()
    await desk.codes(CodeTerms(name="once", reduction=Reduction(10, 0), uses_max=1), code=CODE)
    buyer, other = hall.people[:2]
    intent = await _captured(checkout, desk, buyer, "S001")
    await desk.held(other, "S002", code=CODE)
    assert await _settled(checkout, intent) == ["returning"]
    assert (await checkout.balances(buyer))["refunds_due"] == 900
    assert (await hall.seat("S001"))["state"] != "SOLD"
    assert not await broken(hall.db, hall.schedule_id)


async def test_what_depends_on_another_of_the_batch_is_decided_with_the_next(
    hall: Hall, desk: OfferDesk, checkout: Checkout
) -> None:
    """A code for one use, whose two buyers have paid too late: the first may still lose."""
    await desk.terms()
    await desk.codes(CodeTerms(name="once", reduction=Reduction(10, 0), uses_max=1), code=CODE)
    intents = [
        await _captured(checkout, desk, person, seat_id)
        for person, seat_id in zip(hall.people[:2], hall.seat_ids, strict=False)
    ]
    assert await _settled(checkout, *intents) == ["sold", "late"]
    assert await _settled(checkout, intents[1]) == ["returning"]
    assert await _uses(hall) == 1
    assert not await broken(hall.db, hall.schedule_id)
