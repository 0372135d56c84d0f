"""Fences, and changes of intents without money."""

from dataclasses import replace
from datetime import timedelta

import pytest

from boxoffice.errors import IntentFinal, PaymentDeclined, PaymentInProgress
from boxoffice.payments.intents.rules import Change
from boxoffice.payments.intents.store import (
    BeginCommand,
    ChangeCommand,
    Intent,
    IntentStore,
    RenewCommand,
)
from tests.support.checkout import BOUNDS, Checkout, reservation_of
from tests.support.fake_provider import Fault
from tests.support.hall import Hall, open_hall
from tests.support.invariants import broken


async def _unknown(checkout: Checkout, hall: Hall, *seats: str, at: int = 0) -> Intent:
    intent = await checkout.opened(hall.people[at], *(seats or ("S001",)))
    checkout.provider.faults = [Fault.LOST_BEFORE]
    return await checkout.confirm(intent)


async def test_a_begun_hold_outlasts_its_time(hall: Hall) -> None:
    short = await open_hall(hall.db, hold_ttl_s=2)
    checkout = Checkout(short, bounds=replace(BOUNDS, extension_s=2))
    intent = await _unknown(checkout, short, "S001", "S002")
    seat = await short.seat("S001")
    row = await checkout.row(intent)
    assert seat["expires_at"] == row["fenced_until"] == row["begun_at"] + timedelta(seconds=90)
    assert (await short.seat("S002"))["expires_at"] == seat["expires_at"]
    assert not await broken(short.db, short.schedule_id)
    await checkout.close()


async def test_a_fence_never_shortens_a_hold(checkout: Checkout, hall: Hall) -> None:
    intent = await checkout.opened(hall.people[0], "S001")
    before = await hall.seat("S001")
    checkout.provider.faults = [Fault.LOST_BEFORE]
    await checkout.confirm(intent)
    after = await hall.seat("S001")
    assert (after["expires_at"], after["version"]) == (before["expires_at"], before["version"])


async def test_a_fence_is_renewed_up_to_its_bound(hall: Hall) -> None:
    short = await open_hall(hall.db, hold_ttl_s=2)
    bounds = replace(BOUNDS, extension_s=2, fence_s=5, fence_max_s=8)
    checkout = Checkout(short, bounds=bounds)
    intent = await _unknown(checkout, short)
    begun_at = (await checkout.row(intent))["begun_at"]
    long = replace(bounds, fence_s=7)
    renewing = IntentStore(short.db, long)
    command = RenewCommand(intent.user_id, intent.intent_id)
    [outcome] = await renewing.renew(short.schedule_id, [command])
    assert (outcome.name, outcome.seat_ids) == ("renewed", ("S001",))
    seat = await short.seat("S001")
    assert begun_at + timedelta(seconds=7) <= seat["expires_at"] <= begun_at + timedelta(seconds=8)
    assert outcome.seats_until == seat["expires_at"] == (await checkout.row(intent))["fenced_until"]
    assert outcome.seat_versions == (seat["version"],)
    longer = IntentStore(short.db, replace(bounds, fence_s=60))
    assert [one.name for one in await longer.renew(short.schedule_id, [command])] == ["renewed"]
    assert (await short.seat("S001"))["expires_at"] == begun_at + timedelta(seconds=8)
    assert [one.name for one in await longer.renew(short.schedule_id, [command])] == ["over"]
    assert not await broken(short.db, short.schedule_id)
    await checkout.close()


async def test_only_an_attempt_in_flight_with_its_seats_is_renewed(
    checkout: Checkout, hall: Hall
) -> None:
    opened = await checkout.opened(hall.people[1], "S002")
    lapsed, swept = await _unknown(checkout, hall), await _unknown(checkout, hall, "S003", at=2)
    await hall.lapse(reservation_of(swept))
    await hall.expire()
    await hall.lapse(reservation_of(lapsed))
    assert await checkout.confirmations.renew(opened) == "not_in_flight"
    assert await checkout.confirmations.renew(lapsed) == "lapsed"
    assert await checkout.confirmations.renew(swept) == "lapsed"
    missing = RenewCommand(lapsed.user_id, opened.intent_id)
    [outcome] = await checkout.store.renew(hall.schedule_id, [missing])
    assert outcome.name == "intent_not_found"
    kept = (await hall.seat("S002"))["expires_at"]
    assert kept == (await checkout.current(opened)).hold_ends_at


async def test_only_what_is_open_and_over_expires(checkout: Checkout, hall: Hall) -> None:
    intent = await checkout.opened(hall.people[0], "S001")
    assert (await checkout.confirmations.expire(intent)).status == "OPEN"
    await hall.lapse(reservation_of(intent))
    assert (await checkout.confirmations.expire(intent)).status == "EXPIRED"
    assert (await checkout.row(intent))["closed_at"] is not None
    assert await checkout.work(intent) == ["abandon"]
    assert (await hall.hold(hall.people[1], "S001")).name == "held"
    in_flight = await _unknown(checkout, hall, "S002")
    await hall.lapse(reservation_of(in_flight))
    assert (await checkout.confirmations.expire(in_flight)).status == "UNKNOWN"
    assert not await broken(hall.db, hall.schedule_id)


async def test_an_intent_in_flight_is_not_cancelled(checkout: Checkout, hall: Hall) -> None:
    intent = await _unknown(checkout, hall)
    with pytest.raises(PaymentInProgress):
        await checkout.intents.cancel(intent.user_id, intent.intent_id)
    assert (await checkout.confirmations.change(intent, Change.CANCEL, None)).status == "UNKNOWN"
    done = await checkout.confirmations.repeat(intent)
    assert done.status == "SUCCEEDED"
    with pytest.raises(IntentFinal):
        await checkout.intents.cancel(intent.user_id, intent.intent_id)


async def test_an_answer_changes_its_own_attempt_only(checkout: Checkout, hall: Hall) -> None:
    """The answer of an earlier attempt arrives when the next one has begun."""
    intent = await checkout.opened(hall.people[0], "S001")
    checkout.provider.faults = [Fault.DECLINE, Fault.LOST_BEFORE]
    with pytest.raises(PaymentDeclined):
        await checkout.confirm(intent)
    second = await checkout.confirm(intent)
    first_key = f"{intent.intent_id}-1"
    for change in (Change.DECLINE, Change.UNSENT, Change.ABSENT):
        assert (await checkout.confirmations.change(second, change, first_key)).status == "UNKNOWN"
    absent = await checkout.confirmations.absent(second)
    assert (absent.status, absent.reason) == ("EXPIRED", "session_expired")


async def test_what_has_ended_or_is_open_is_not_declined(checkout: Checkout, hall: Hall) -> None:
    opened = await checkout.opened(hall.people[0], "S001")
    done = await checkout.confirm(await checkout.opened(hall.people[1], "S002"))
    for change in (Change.DECLINE, Change.ABSENT, Change.UNKNOWN, Change.AWAIT_DEPOSIT):
        for intent, status in ((opened, "OPEN"), (done, "SUCCEEDED")):
            changed = await checkout.confirmations.change(intent, change, None)
            assert changed.status == status
    assert (await checkout.current(opened)).attempts == 0


async def test_an_awaited_deposit_stays_awaited(checkout: Checkout, hall: Hall) -> None:
    intent = await _unknown(checkout, hall)
    assert (
        await checkout.confirmations.change(intent, Change.AWAIT_DEPOSIT, None)
    ).status == "AWAITING_DEPOSIT"
    assert await checkout.work(intent) == ["look_up", "renew"]
    assert (await checkout.confirmations.mark_unknown(intent)).status == "AWAITING_DEPOSIT"


async def test_an_intent_that_is_missing_changes_nothing(checkout: Checkout, hall: Hall) -> None:
    intent = await checkout.opened(hall.people[0], "S001")
    for change in (Change.DECLINE, Change.CANCEL):
        command = ChangeCommand(hall.people[1], intent.intent_id, change)
        [outcome] = await checkout.store.change(hall.schedule_id, [command])
        assert outcome.name == "intent_not_found"
    assert await checkout.work(intent) == ["expire"]


async def test_the_work_of_neighbours_is_left(checkout: Checkout, hall: Hall) -> None:
    neighbour = await checkout.opened(hall.people[1], "S002")
    intent = await checkout.opened(hall.people[0], "S001")
    await checkout.intents.cancel(intent.user_id, intent.intent_id)
    assert await checkout.work(neighbour) == ["expire"]
    assert await checkout.work(intent) == ["abandon"]


async def test_only_open_intents_with_their_hold_begin(checkout: Checkout, hall: Hall) -> None:
    """Open, without a hold, not open, another person's, and one whose hold another intent pays."""
    one, two, three, four = hall.people
    opened = await checkout.opened(one, "S001")
    swept = await checkout.opened(two, "S002")
    await hall.lapse(reservation_of(swept))
    await hall.expire()
    begun = await _unknown(checkout, hall, "S003", at=2)
    other = await checkout.opened(four, "S004")
    await hall.set_intent(reservation_of(other), opened.intent_id)
    commands = [
        BeginCommand(opened.user_id, opened.intent_id, "p"),
        BeginCommand(swept.user_id, swept.intent_id, "p"),
        BeginCommand(begun.user_id, begun.intent_id, "p"),
        BeginCommand(three, other.intent_id, "p"),
        BeginCommand(four, other.intent_id, "p"),
    ]
    outcomes = await checkout.store.begin(hall.schedule_id, commands)
    assert [outcome.name for outcome in outcomes] == [
        "begun", "hold_expired", "not_open", "intent_not_found", "hold_expired",
    ]  # fmt: skip
    found = await checkout.store.find_begun(commands)
    assert [outcome and (outcome.name, outcome.confirm_key) for outcome in found] == [
        ("begun", f"{opened.intent_id}-1"), None, None, None, None,
    ]  # fmt: skip
    assert (await checkout.row(swept))["attempts"] == 0
