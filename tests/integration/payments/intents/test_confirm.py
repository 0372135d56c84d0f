"""Confirming an intent: money moves once, and only for a hold that is still there."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from boxoffice.errors import (
    AmountMismatch,
    HoldExpired,
    IntegrityError,
    IntentFinal,
    IntentNotFound,
    PaymentDeclined,
    PaymentInProgress,
    PaymentProviderUnavailable,
)
from boxoffice.payments.intents.rules import IntentStatus, order_id
from boxoffice.payments.intents.service import ConfirmRequest
from boxoffice.payments.providers.port import PaymentStatus
from tests.support.checkout import BOUNDS, Checkout, reservation_of
from tests.support.fake_provider import FakeProvider, Fault
from tests.support.hall import Hall
from tests.support.invariants import broken


async def test_a_confirmed_intent_is_a_sale(checkout: Checkout, hall: Hall) -> None:
    buyer = hall.people[0]
    intent = await checkout.opened(buyer, "S001", "S002")
    assert (intent.status, intent.amount_minor, intent.currency) == ("OPEN", 2_000, "KRW")
    assert await checkout.work(intent) == ["expire"]
    done = await checkout.confirm(intent)
    assert (done.status, done.attempts) == ("SUCCEEDED", 1)
    assert await hall.status(reservation_of(intent)) == "CONFIRMED"
    assert {(await hall.seat(seat))["state"] for seat in ("S001", "S002")} == {"SOLD"}
    assert await checkout.balances(buyer) == {"cash": -2_000, "income": 2_000}
    assert await checkout.work(intent) == []
    assert not await broken(hall.db, hall.schedule_id)


async def test_the_call_is_written_before_it_is_sent(checkout: Checkout, hall: Hall) -> None:
    intent = await checkout.opened(hall.people[0], "S001")
    checkout.provider.answers.clear()
    confirming = asyncio.create_task(checkout.confirm(intent))
    await checkout.provider.is_asked.wait()
    [call] = await hall.db.fetch(
        "SELECT operation, provider, idempotency_key FROM provider_calls WHERE intent_id = $1",
        intent.intent_id,
    )
    assert tuple(call) == ("confirm", "toss", f"{intent.intent_id}-1")
    assert (await checkout.current(intent)).status == "CONFIRMING"
    assert await checkout.work(intent) == ["expire", "look_up", "renew"]
    checkout.provider.answers.set()
    assert (await confirming).status == "SUCCEEDED"
    [answer] = await hall.db.fetch(
        "SELECT outcome, status FROM provider_answers WHERE user_id = $1", intent.user_id
    )
    assert tuple(answer) == ("done", "CAPTURED")


@pytest.mark.parametrize("change", ["order", "amount", "currency", "person"])
async def test_nothing_is_sent_for_what_differs_from_the_intent(
    checkout: Checkout, hall: Hall, change: str
) -> None:
    intent = await checkout.opened(hall.people[0], "S001")
    request = ConfirmRequest("p", order_id(intent.user_id, intent.intent_id), 1_000, "KRW")
    person = intent.user_id
    expected: type[Exception] = AmountMismatch
    if change == "order":
        request = replace(request, order_id=order_id(intent.user_id, uuid4()))
    elif change == "amount":
        request = replace(request, amount_minor=100_000)
    elif change == "currency":
        request = replace(request, currency="JPY")
    else:
        person, expected = hall.people[1], IntentNotFound
    with pytest.raises(expected):
        await checkout.intents.confirm(person, intent.intent_id, request)
    assert checkout.provider.confirmed == []
    assert (await checkout.current(intent)).status == "OPEN"


async def test_a_provider_that_made_its_payment_confirms_no_other_one(hall: Hall) -> None:
    checkout = Checkout(hall, FakeProvider(makes_payments=True))
    intent = await checkout.opened(hall.people[0], "S001")
    assert intent.client is not None
    made = intent.client["payment_key"]
    checkout.provider.faults = [Fault.DECLINE]
    with pytest.raises(PaymentDeclined):
        await checkout.confirm(intent, made)
    with pytest.raises(AmountMismatch):
        await checkout.confirm(intent, "another")
    assert (await checkout.confirm(intent, made)).status == "SUCCEEDED"
    await checkout.close()


async def test_a_lapsed_hold_is_never_charged(checkout: Checkout, hall: Hall) -> None:
    intent = await checkout.opened(hall.people[0], "S001")
    await hall.lapse(reservation_of(intent))
    with pytest.raises(HoldExpired):
        await checkout.confirm(intent)
    assert checkout.provider.confirmed == []
    assert (await hall.hold(hall.people[1], "S001")).name == "held"
    with pytest.raises(HoldExpired):
        await checkout.confirm(intent)
    assert checkout.provider.captured_minor == 0


async def test_a_refused_attempt_is_followed_by_one_with_another_key(
    checkout: Checkout, hall: Hall
) -> None:
    intent = await checkout.opened(hall.people[0], "S001")
    checkout.provider.faults = [Fault.DECLINE]
    with pytest.raises(PaymentDeclined) as refusal:
        await checkout.confirm(intent)
    assert refusal.value.extra["reason"] == "card_declined"
    assert (await checkout.current(intent)).status == "OPEN"
    assert await checkout.work(intent) == ["expire"]
    assert (await checkout.confirm(intent, "p2")).status == "SUCCEEDED"
    keys = [key for _, key in checkout.provider.confirmed]
    assert keys == [f"{intent.intent_id}-1", f"{intent.intent_id}-2"]
    assert not await broken(hall.db, hall.schedule_id)


async def test_after_the_last_attempt_the_hold_can_be_paid_otherwise(
    checkout: Checkout, hall: Hall
) -> None:
    buyer = hall.people[0]
    intent = await checkout.opened(buyer, "S001")
    checkout.provider.faults = [Fault.DECLINE] * 6
    for _ in range(5):
        with pytest.raises(PaymentDeclined):
            await checkout.confirm(intent)
    with pytest.raises(IntentFinal):
        await checkout.confirm(intent)
    assert len(checkout.provider.confirmed) == 5
    assert (await checkout.row(intent))["status"] == "CANCELLED"
    assert await checkout.work(intent) == ["abandon"]
    await hall.top_up(buyer, 1_000)
    assert (await hall.pay(buyer, reservation_of(intent))).name == "paid"


async def test_a_refused_attempt_gives_its_fence_back(hall: Hall) -> None:
    """A card that declines must not keep seats longer than the hold."""
    checkout = Checkout(hall, bounds=replace(BOUNDS, fence_s=3_600, fence_max_s=3_600))
    intent = await checkout.opened(hall.people[0], "S001")
    checkout.provider.faults = [Fault.DECLINE]
    before = (await hall.seat("S001"))["expires_at"]
    checkout.provider.answers.clear()
    confirming = asyncio.create_task(checkout.confirm(intent))
    await checkout.provider.is_asked.wait()
    assert (await hall.seat("S001"))["expires_at"] > before + timedelta(seconds=3_000)
    checkout.provider.answers.set()
    with pytest.raises(PaymentDeclined):
        await confirming
    assert (await hall.seat("S001"))["expires_at"] == before
    assert not await broken(hall.db, hall.schedule_id)
    await checkout.close()


async def test_a_call_that_was_not_sent_costs_no_attempt(checkout: Checkout, hall: Hall) -> None:
    intent = await checkout.opened(hall.people[0], "S001")
    checkout.provider.faults = [Fault.UNAVAILABLE]
    with pytest.raises(PaymentProviderUnavailable):
        await checkout.confirm(intent)
    now = await checkout.current(intent)
    assert (now.status, now.attempts) == ("OPEN", 0)
    assert (await checkout.confirm(intent)).status == "SUCCEEDED"


async def test_an_unknown_outcome_is_looked_up_and_never_gets_another_key(
    checkout: Checkout, hall: Hall
) -> None:
    intent = await checkout.opened(hall.people[0], "S001")
    checkout.provider.faults = [Fault.LOST_BEFORE]
    assert (await checkout.confirm(intent)).status == "UNKNOWN"
    assert await checkout.work(intent) == ["look_up", "renew"]
    again = await checkout.confirm(intent)
    assert again.status == "UNKNOWN"
    assert len(checkout.provider.confirmed) == 1, "a repetition sends nothing"
    done = await checkout.confirmations.repeat(again)
    assert done.status == "SUCCEEDED"
    assert {key for _, key in checkout.provider.confirmed} == {f"{intent.intent_id}-1"}
    assert checkout.provider.captured_minor == 1_000


async def test_a_repetition_that_was_not_sent_leaves_the_outcome_unknown(
    checkout: Checkout, hall: Hall
) -> None:
    intent = await checkout.opened(hall.people[0], "S001")
    checkout.provider.faults = [Fault.LOST_AFTER, Fault.UNAVAILABLE]
    unknown = await checkout.confirm(intent)
    with pytest.raises(PaymentProviderUnavailable):
        await checkout.confirmations.repeat(unknown)
    assert (await checkout.current(intent)).status == "UNKNOWN", (
        "the first call may have had effect"
    )
    assert "look_up" in await checkout.work(intent)


async def test_a_lost_answer_is_settled_by_a_look_up_once(checkout: Checkout, hall: Hall) -> None:
    buyer = hall.people[0]
    intent = await checkout.opened(buyer, "S001")
    checkout.provider.faults = [Fault.LOST_AFTER]
    assert (await checkout.confirm(intent)).status == "UNKNOWN"
    order = order_id(intent.user_id, intent.intent_id)
    payment = await checkout.provider.look_up(order, None)
    assert payment is not None
    for _ in range(3):
        assert (await checkout.intents.settle(order, payment)).status == "SUCCEEDED"
    assert (await checkout.confirm(intent)).status == "SUCCEEDED"
    assert await checkout.balances(buyer) == {"cash": -1_000, "income": 1_000}
    assert not await broken(hall.db, hall.schedule_id)


async def test_a_slow_provider_is_answered_later(hall: Hall) -> None:
    checkout = Checkout(hall, confirm_wait_s=0.2)
    intent = await checkout.opened(hall.people[0], "S001")
    checkout.provider.answers.clear()
    assert (await checkout.confirm(intent)).status == "CONFIRMING"
    assert (await checkout.confirm(intent)).status == "CONFIRMING"
    checkout.provider.answers.set()
    await checkout.background.finish()
    assert (await checkout.current(intent)).status == "SUCCEEDED"
    assert len(checkout.provider.confirmed) == 1
    await checkout.close()


async def test_many_confirmations_at_once_charge_once(hall: Hall) -> None:
    here = Checkout(hall)
    there = Checkout(hall, here.provider)
    intent = await here.opened(hall.people[0], "S001")
    results = await asyncio.gather(
        *(pod.confirm(intent) for pod in (here, there) for _ in range(5)), return_exceptions=True
    )
    statuses = {one.status for one in results if not isinstance(one, BaseException)}
    assert not [one for one in results if isinstance(one, BaseException)]
    assert statuses <= {"SUCCEEDED", "CONFIRMING"}
    assert len(here.provider.confirmed) == 1
    assert (await here.current(intent)).status == "SUCCEEDED"
    await here.close()
    await there.close()
    assert not await broken(hall.db, hall.schedule_id)


async def test_another_payment_of_one_intent_waits_for_the_first(hall: Hall) -> None:
    checkout = Checkout(hall, confirm_wait_s=0.2)
    intent = await checkout.opened(hall.people[0], "S001")
    checkout.provider.answers.clear()
    await checkout.confirm(intent, "p1")
    with pytest.raises(PaymentInProgress):
        await checkout.confirm(intent, "p2")
    await checkout.close()


async def test_another_orders_payment_settles_nothing(checkout: Checkout, hall: Hall) -> None:
    intent = await checkout.opened(hall.people[0], "S001")
    foreign = checkout.provider.capture("another", 1_000)
    with pytest.raises(IntegrityError):
        await checkout.intents.settle(order_id(intent.user_id, intent.intent_id), foreign)
    with pytest.raises(IntentNotFound):
        await checkout.intents.settle("another", foreign)
    assert (await checkout.current(intent)).status == "OPEN"


@pytest.mark.parametrize(
    ("answered", "status"),
    [
        (PaymentStatus.EXPIRED, IntentStatus.EXPIRED),
        (PaymentStatus.CANCELLED, IntentStatus.EXPIRED),
        (PaymentStatus.AWAITING_DEPOSIT, IntentStatus.AWAITING_DEPOSIT),
    ],
)
async def test_what_the_provider_says_without_a_capture(
    checkout: Checkout, hall: Hall, answered: PaymentStatus, status: IntentStatus
) -> None:
    intent = await checkout.opened(hall.people[0], "S001")
    checkout.provider.faults = [Fault.LOST_BEFORE]
    unknown = await checkout.confirm(intent)
    order = order_id(intent.user_id, intent.intent_id)
    captured = checkout.provider.capture(order, 1_000)
    shown = replace(captured, status=answered, movements=(), deposit_secret="secret")
    assert (await checkout.intents.settle(order, shown)).status == status
    row = await checkout.row(unknown)
    is_over = status is IntentStatus.EXPIRED
    assert (row["closed_at"] is not None, row["deposit_secret"]) == (is_over, "secret")
    assert (await checkout.intents.settle(order, captured)).status == "SUCCEEDED"


async def test_an_intent_of_another_person_does_not_exist(checkout: Checkout, hall: Hall) -> None:
    intent = await checkout.opened(hall.people[0], "S001")
    for call in (checkout.intents.get, checkout.intents.cancel):
        with pytest.raises(IntentNotFound):
            await call(hall.people[1], intent.intent_id)
