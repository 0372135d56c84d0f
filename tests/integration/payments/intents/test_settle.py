"""Settling captures: each movement once, from whichever source; late money sells or goes back."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from boxoffice.archive.archivist import archive_once
from boxoffice.archive.store import ArchiveStore
from boxoffice.payments.intents.rules import order_id
from boxoffice.payments.intents.store import Intent, SettleCommand
from boxoffice.payments.providers.port import Movement, PaymentStatus, ProviderPayment
from tests.support.checkout import Checkout, reservation_of
from tests.support.fake_provider import Fault
from tests.support.hall import Hall, open_hall
from tests.support.invariants import broken

if TYPE_CHECKING:
    import asyncpg

    from boxoffice.platform.postgres.database import Record


def _order(intent: Intent) -> str:
    return order_id(intent.user_id, intent.intent_id)


async def _captured(checkout: Checkout, person: UUID, *seats: str) -> Intent:
    """Return an intent whose money has moved, and whose process was killed before it knew."""
    intent = await checkout.opened(person, *seats)
    checkout.provider.faults = [Fault.LOST_AFTER]
    return await checkout.confirm(intent)


async def _settled(checkout: Checkout, intent: Intent) -> Intent:
    payment = await checkout.provider.look_up(_order(intent), None)
    assert payment is not None
    return await checkout.intents.settle(_order(intent), payment)


async def _refunds(checkout: Checkout, person: UUID) -> list[tuple[int, str, str, str]]:
    query = """
        SELECT amount_minor, currency, reason, status FROM refunds
         WHERE user_id = $1 ORDER BY refund_id
    """
    return [tuple(row) for row in await checkout.hall.db.fetch(query, person)]


async def test_late_money_gets_its_seats_if_they_are_free(checkout: Checkout, hall: Hall) -> None:
    buyer = hall.people[0]
    intent = await _captured(checkout, buyer, "S001", "S002")
    first = reservation_of(intent)
    await hall.lapse(first)
    done = await _settled(checkout, intent)
    assert done.status == "SUCCEEDED"
    assert reservation_of(done) != first
    assert await hall.status(reservation_of(done)) == "CONFIRMED"
    assert (await hall.seat("S001"))["reservation_id"] == done.reservation_id
    assert await checkout.balances(buyer) == {"cash": -2_000, "income": 2_000}
    assert (await _settled(checkout, intent)).status == "SUCCEEDED"
    await hall.expire()
    assert await hall.status(first) == "EXPIRED"
    assert not await broken(hall.db, hall.schedule_id)


@pytest.mark.parametrize("is_taken", [False, True])
async def test_late_money_of_an_archived_hold_tries_its_seats_too(
    checkout: Checkout, hall: Hall, *, is_taken: bool
) -> None:
    buyer, rival = hall.people[:2]
    intent = await _captured(checkout, buyer, "S001", "S002")
    first = reservation_of(intent)
    await hall.lapse(first)
    await hall.expire()
    while await archive_once(ArchiveStore(hall.db), 0.0, 1_000):
        pass
    query = "SELECT FROM reservations WHERE reservation_id = $1"
    assert await hall.db.fetch(query, first) == []
    if is_taken:
        await hall.held(rival, "S002")
    done = await _settled(checkout, intent)
    assert done.status == ("RETURNING" if is_taken else "SUCCEEDED")
    account = "refunds_due" if is_taken else "income"
    assert await checkout.balances(buyer) == {"cash": -2_000, account: 2_000}
    assert (await hall.seat("S001"))["state"] == ("AVAILABLE" if is_taken else "SOLD")
    assert not await broken(hall.db, hall.schedule_id)


async def test_unpaid_ends_of_other_holds_do_not_delay_late_money(
    checkout: Checkout, hall: Hall
) -> None:
    buyer = hall.people[0]
    intent = await _captured(checkout, buyer, "S001")
    await hall.lapse(reservation_of(intent))
    for seat in ("S005", "S006", "S007", "S008", "S009"):
        await hall.lapse(await hall.held(buyer, seat))
    await hall.expire()
    assert (await _settled(checkout, intent)).status == "SUCCEEDED"


async def test_late_money_without_seats_goes_back_once(checkout: Checkout, hall: Hall) -> None:
    buyer, other = hall.people[:2]
    intent = await _captured(checkout, buyer, "S001", "S002")
    await hall.lapse(reservation_of(intent))
    await hall.held(other, "S002")
    for _ in range(3):
        assert (await _settled(checkout, intent)).status == "RETURNING"
    assert await checkout.balances(buyer) == {"cash": -2_000, "refunds_due": 2_000}
    assert await _refunds(checkout, buyer) == [(2_000, "KRW", "late", "PENDING")]
    assert await checkout.work(intent) == []
    [work] = await hall.db.fetch("SELECT kind FROM cashier_work WHERE user_id = $1", buyer)
    assert work["kind"] == "refund"
    assert await hall.topics(intent.intent_id) == ["payment.late"]
    assert (await hall.seat("S001"))["state"] == "HELD"
    await hall.expire()
    assert not await broken(hall.db, hall.schedule_id)


async def test_late_money_waits_for_seats_that_are_locked(
    checkout: Checkout, hall: Hall, other: "asyncpg.Connection[Record]"
) -> None:
    """A concurrent batch has the seats locked: whether they are free is not known yet."""
    intent = await _captured(checkout, hall.people[0], "S001")
    reservation = reservation_of(intent)
    await hall.lapse(reservation)
    await hall.expire()
    payment = await checkout.provider.look_up(_order(intent), None)
    assert payment is not None
    [capture] = payment.movements
    command = SettleCommand(intent.user_id, intent.intent_id, "p", capture, is_sellable=True)
    async with other.transaction():
        await other.execute(
            "SELECT 1 FROM seats WHERE schedule_id = $1 AND seat_id = 'S001' FOR UPDATE",
            hall.schedule_id,
        )
        [outcome] = await checkout.store.settle(hall.schedule_id, [command])
        assert outcome.name == "late"
        assert (await checkout.current(intent)).status == "CAPTURED_LATE"
        assert await checkout.work(intent) == ["look_up"]
        assert await checkout.balances(intent.user_id) == {"cash": -1_000, "suspense": 1_000}
    assert (await _settled(checkout, intent)).status == "SUCCEEDED"
    assert await checkout.balances(intent.user_id) == {"cash": -1_000, "income": 1_000}
    assert not await broken(hall.db, hall.schedule_id)


@pytest.mark.parametrize("what", ["amount", "currency", "refunded", "cancelled"])
async def test_money_that_may_not_buy_is_owed_back(
    checkout: Checkout, hall: Hall, what: str
) -> None:
    buyer = hall.people[0]
    intent = await checkout.opened(buyer, "S001")
    amount, currency = (999 if what == "amount" else 1_000), "JPY" if what == "currency" else "KRW"
    payment = checkout.provider.capture(_order(intent), amount, currency)
    if what == "refunded":
        payment = replace(payment, status=PaymentStatus.PARTLY_REFUNDED)
    elif what == "cancelled":
        await checkout.intents.cancel(buyer, intent.intent_id)
    done = await checkout.intents.settle(_order(intent), payment)
    assert done.status == "RETURNING"
    assert await checkout.balances(buyer) == {"cash": -amount, "refunds_due": amount}
    assert await _refunds(checkout, buyer) == [(amount, currency, "late", "PENDING")]
    assert (await hall.seat("S001"))["state"] == "HELD"
    await hall.top_up(buyer, 1_000)
    assert (await hall.pay(buyer, reservation_of(intent))).name == "paid", "the hold is free"
    assert not await broken(hall.db, hall.schedule_id)


async def test_a_second_capture_of_a_paid_intent_goes_back(checkout: Checkout, hall: Hall) -> None:
    buyer = hall.people[0]
    intent = await checkout.opened(buyer, "S001")
    done = await checkout.confirm(intent)
    again = Movement("another", "capture", 1_000, "KRW", datetime.now(UTC))
    first = checkout.provider.book[_order(intent)]
    both = replace(first, movements=(*first.movements, again))
    for _ in range(2):
        now = await checkout.intents.settle(_order(intent), both)
        assert (now.status, now.payment_id) == ("SUCCEEDED", done.payment_id)
    assert await checkout.balances(buyer) == {
        "cash": -2_000, "income": 1_000, "refunds_due": 1_000,
    }  # fmt: skip
    assert await _refunds(checkout, buyer) == [(1_000, "KRW", "late", "PENDING")]
    assert not await broken(hall.db, hall.schedule_id)


async def test_money_of_a_given_up_intent_pays_for_a_hold_that_nothing_else_pays(
    checkout: Checkout, hall: Hall
) -> None:
    """The provider said that its session had ended, and captured all the same."""
    buyer = hall.people[0]
    intent = await _captured(checkout, buyer, "S001")
    await checkout.confirmations.absent(intent)
    second = await checkout.open(buyer, reservation_of(intent))
    assert (await _settled(checkout, intent)).status == "RETURNING"
    assert (await checkout.confirm(second)).status == "SUCCEEDED"
    assert not await broken(hall.db, hall.schedule_id)


async def test_money_for_what_its_buyer_released_goes_back(checkout: Checkout, hall: Hall) -> None:
    """The seats are free, and the buyer does not want them any more."""
    intent = await _captured(checkout, hall.people[0], "S001")
    await checkout.confirmations.absent(intent)
    await hall.release(intent.user_id, reservation_of(intent))
    assert (await _settled(checkout, intent)).status == "RETURNING"
    assert (await hall.seat("S001"))["state"] == "AVAILABLE"


async def test_a_batch_settles_each_for_itself(checkout: Checkout, hall: Hall) -> None:
    """Sold, replayed, late with seats, late without, unknown, and a movement that is in it twice."""
    one, two, three, four = hall.people
    intents = [
        await _captured(checkout, person, *seats)
        for person, seats in (
            (one, ("S001", "S002")), (two, ("S003",)), (three, ("S004", "S005")), (four, ("S006",)),
        )
    ]  # fmt: skip
    await hall.lapse(reservation_of(intents[2]), reservation_of(intents[3]))
    await hall.held(one, "S006")
    await _settled(checkout, intents[1])
    stranger = replace_ids(intents[0])
    commands = [_command(checkout, intent) for intent in (*intents, stranger)]
    outcomes = await checkout.store.settle(hall.schedule_id, commands)
    assert [outcome.name for outcome in outcomes] == [
        "sold", "replayed", "sold", "returning", "intent_not_found",
    ]  # fmt: skip
    assert [outcome.seat_ids for outcome in outcomes] == [
        ("S001", "S002"), (), ("S004", "S005"), (), (),
    ]  # fmt: skip
    for outcome in outcomes:
        versions = [(await hall.seat(seat))["version"] for seat in outcome.seat_ids]
        assert list(outcome.seat_versions) == versions
    assert [await checkout.balances(person) for person in hall.people] == [
        {"cash": -2_000, "income": 2_000},
        {"cash": -1_000, "income": 1_000},
        {"cash": -2_000, "income": 2_000},
        {"cash": -1_000, "refunds_due": 1_000},
    ]
    assert not await broken(hall.db, hall.schedule_id)


def replace_ids(intent: Intent) -> Intent:
    """Return an intent that does not exist."""
    return Intent(
        **{name: getattr(intent, name) for name in intent.__struct_fields__}
        | {"intent_id": UUID(int=7)}
    )


def _command(checkout: Checkout, intent: Intent) -> SettleCommand:
    payment = checkout.provider.book.get(_order(intent))
    if payment is None:
        payment = checkout.provider.capture(_order(intent), intent.amount_minor)
    [capture] = payment.movements
    return SettleCommand(intent.user_id, intent.intent_id, "p", capture, is_sellable=True)


async def test_a_movement_of_two_intents_is_booked_once(checkout: Checkout, hall: Hall) -> None:
    buyer, other = hall.people[:2]
    mine, foreign = await checkout.opened(buyer, "S001"), await checkout.opened(other, "S002")
    capture = Movement("the same", "capture", 1_000, "KRW", datetime.now(UTC))
    commands = [
        SettleCommand(one.user_id, one.intent_id, "p", capture, is_sellable=True)
        for one in (mine, foreign)
    ]
    outcomes = await checkout.store.settle(hall.schedule_id, commands)
    assert [outcome.name for outcome in outcomes] == ["sold", "replayed"]
    assert await checkout.balances(other) == {}


async def test_late_money_in_a_batch_takes_a_seat_once(checkout: Checkout, hall: Hall) -> None:
    one, two = hall.people[:2]
    first = await _captured(checkout, one, "S001")
    await hall.lapse(reservation_of(first))
    second = await _captured(checkout, two, "S001")
    await hall.lapse(reservation_of(second))
    commands = [_command(checkout, intent) for intent in (first, second)]
    outcomes = await checkout.store.settle(hall.schedule_id, commands)
    assert [outcome.name for outcome in outcomes] == ["sold", "returning"]
    assert (await hall.seat("S001"))["user_id"] == one
    assert await checkout.balances(two) == {"cash": -1_000, "refunds_due": 1_000}


async def test_seats_that_cost_another_price_by_now_are_not_sold(
    checkout: Checkout, hall: Hall
) -> None:
    intent = await _captured(checkout, hall.people[0], "S001")
    await hall.lapse(reservation_of(intent))
    await hall.db.fetch(
        "UPDATE seats SET price_minor = 2000 WHERE schedule_id = $1 AND seat_id = 'S001'",
        hall.schedule_id,
    )
    assert (await _settled(checkout, intent)).status == "RETURNING"


async def test_all_sources_at_once_settle_once(checkout: Checkout, hall: Hall) -> None:
    elsewhere = Checkout(hall, checkout.provider)
    intent = await _captured(checkout, hall.people[0], "S001")
    results = await asyncio.gather(
        *(_settled(pod, intent) for pod in (checkout, elsewhere) for _ in range(5))
    )
    assert {one.status for one in results} == {"SUCCEEDED"}
    assert await checkout.balances(intent.user_id) == {"cash": -1_000, "income": 1_000}
    await elsewhere.close()
    assert not await broken(hall.db, hall.schedule_id)


async def test_money_of_another_schedule_does_not_settle_here(
    checkout: Checkout, hall: Hall
) -> None:
    intent = await checkout.opened(hall.people[0], "S001")
    elsewhere = await open_hall(hall.db)
    [outcome] = await checkout.store.settle(elsewhere.schedule_id, [_command(checkout, intent)])
    assert outcome.name == "intent_not_found"
    assert await checkout.balances(intent.user_id) == {}


async def test_a_payment_shows_what_paid_it(checkout: Checkout, hall: Hall) -> None:
    intent = await checkout.opened(hall.people[0], "S001")
    done = await checkout.confirm(intent, "payment-7")
    [row] = await hall.db.fetch(
        "SELECT method, provider_reference FROM payments WHERE payment_id = $1", done.payment_id
    )
    assert tuple(row) == ("toss", "payment-7")
    booked: ProviderPayment = checkout.provider.book[_order(intent)]
    [line] = await hall.db.fetch(
        "SELECT transaction_key, amount_minor, currency, kind FROM provider_transactions"
        " WHERE user_id = $1",
        intent.user_id,
    )
    assert tuple(line) == (booked.movements[0].key, 1_000, "KRW", "capture")
