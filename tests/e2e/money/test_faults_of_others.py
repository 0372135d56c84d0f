"""Faults from the trackers of other shops, each against real processes and simulated providers.

A docstring names its fault. The others of the list are tested where their cause is: a late payment
that is refunded once, a webhook before the order, both paths completing, a lapsed authorisation, the
return racing the webhook, paid and no order, a redirect that never expires (`test_work.py` of the
cashier); a webhook answered only with its effect, a failed event deduplicated for ever
(`test_receive.py` of the notices); a refund whose id is lost on a timeout or that is retried under a
new key (`test_crashes.py`); a crash in a sell-out (`make faults`).
"""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from boxoffice.settings import Settings
from tests.support.simulators import Simulators
from tests.support.till import CONFIRM_TIMEOUT_MS, YESTERDAY_S, Attempt, Till, open_till

PROVIDERS = ("toss", "stripe")
# Long enough to return from the provider on a busy machine.
_SHORT_S = 6


async def started(till: Till) -> None:
    """Start an API process and a cashier."""
    till.open_pod()
    for method in PROVIDERS:
        await till.simulator(method).set_notices(url=f"{till.url}/v1/webhooks/{method}")
    till.start_cashier()


async def sold(till: Till, method: str, at: int = 0) -> Attempt:
    """Sell a seat through a provider."""
    attempt = await till.attempt(till.fixtures.people[at], till.fixtures.seat_ids[at], method)
    status, body = await till.confirm(attempt)
    assert (status, body["status"]) == (200, "SUCCEEDED"), body
    return attempt


async def payment_of(till: Till, attempt: Attempt) -> str:
    """Return the payment of an intent that has succeeded."""
    path = f"/v1/payment-intents/{attempt.intent_id}"
    _, intent = await till.call("GET", path, attempt.person)
    return str(intent["payment_id"])


async def refund(till: Till, attempt: Attempt, key: str) -> None:
    """Return the ticket of a sale."""
    path = f"/v1/payments/{await payment_of(till, attempt)}"
    _, quote = await till.call("GET", f"{path}/refund-quote", attempt.person)
    body = {"expected_refund": quote["refund"]}
    status, made = await till.call("POST", f"{path}/refunds", attempt.person, body, key)
    assert status == 201, made


async def until_refunds_are(till: Till, status: str) -> None:
    """Wait until every refund has a status."""

    async def are() -> bool:
        await till.hurry()
        query = "SELECT count(*) > 0 AND bool_and(status = $1) FROM refunds"
        return bool(await till.connection.fetchval(query, status))

    await till.until(are, f"refunds are {status}")


@pytest.mark.parametrize("method", PROVIDERS)
async def test_an_attempt_after_a_decline_has_a_key_of_its_own(till: Till, method: str) -> None:
    """Fault: a key reused after a decline repeats the decline for ever; it is a new attempt.

    The amounts in the provider's book are those of the intents: KRW is not multiplied by 100.
    """
    await started(till)
    person = till.fixtures.people[0]
    operation = "confirm" if method == "toss" else "authorize"
    await till.simulator(method).set_faults(
        {"operation": operation, "fault": "decline", "times": 1}
    )
    reservation_id = await till.hold(person, till.fixtures.seat_ids[0])
    intent = await till.open(person, reservation_id, method)
    first = await till.authorize(person, intent, method)
    status, body = await till.confirm(first)
    assert (status, body["code"]) == (402, "payment_declined"), body
    second = await till.authorize(person, intent, method)
    status, body = await till.confirm(second)
    assert (status, body["status"]) == (200, "SUCCEEDED"), body
    calls = await till.simulator(method).calls("confirm")
    keys = [one["key"] for one in calls if one["key"]]
    assert len(keys) == len(set(keys)) >= 1
    [capture] = await till.simulator(method).movements()
    assert capture["amount_minor"] == intent["amount"]
    await till.until_idle()
    await till.require_books_agree()


@pytest.fixture
async def hasty(settings: Settings, simulators: Simulators, tmp_path: Path) -> AsyncIterator[Till]:
    """A sale with short holds and fences, whose cashier starts after the money has come too late."""
    async with open_till(settings, simulators, tmp_path, hold_ttl_s=_SHORT_S) as till:
        fence_s = CONFIRM_TIMEOUT_MS // 1000 + 1
        till.open_pod(payment_extension_s=_SHORT_S, payment_fence_s=fence_s)
        yield till


async def late_capture(till: Till, *, is_taken: bool) -> Attempt:
    """Capture the money of a hold that has ended; with `is_taken`, another buyer has its seat."""
    seat_id = till.fixtures.seat_ids[0]
    attempt = await till.attempt(till.fixtures.people[0], seat_id)
    await till.simulator("toss").set_faults(
        {"operation": "confirm", "fault": "delay_before", "seconds": 2.0 * _SHORT_S}
    )
    confirming = asyncio.create_task(till.confirm(attempt))
    await till.until_called("toss", "confirm")
    if is_taken:

        async def has_taken_it() -> bool:
            path = f"/v1/schedules/{till.fixtures.schedule_id}/reservations"
            body, key = {"seat_ids": [seat_id]}, f"take-{time.monotonic_ns()}"
            rival = till.fixtures.people[1]
            status, held = await till.call("POST", path, rival, body, key)
            if status != 201:
                return False
            bought = {"reservation_id": held["reservation_id"], "method": "wallet"}
            return (await till.call("POST", "/v1/payments", rival, bought, key))[0] == 201

        await till.until(has_taken_it, "another buyer has the seat")
    assert (await confirming)[0] == 202

    async def is_captured() -> bool:
        return bool(await till.simulator("toss").movements())

    await till.until(is_captured, "the provider has the money")
    till.start_cashier()
    await till.hurry()
    return attempt


async def test_a_late_payment_tries_its_seats_again(hasty: Till) -> None:
    """Fault: a late payment is refunded although its seats are free."""
    attempt = await late_capture(hasty, is_taken=False)
    await hasty.until_status(attempt, "SUCCEEDED")
    reservations = "SELECT count(*) FROM reservations"
    assert await hasty.connection.fetchval(reservations) == 2, "the hold had ended"
    assert await hasty.tickets() == 1
    await hasty.until_idle()
    await hasty.require_books_agree()


async def test_charged_and_the_seat_is_gone_gives_the_money_back(hasty: Till) -> None:
    """Fault: charged, quota gone. The money goes back by itself, once, whatever notices say."""
    attempt = await late_capture(hasty, is_taken=True)
    await hasty.until_status(attempt, "RETURNING", "RETURNED")
    for _ in range(3):
        await hasty.simulator("toss").flush_notices()
    await hasty.hurry()
    await hasty.until_status(attempt, "RETURNED")
    await hasty.until_idle()
    assert await hasty.tickets() == 1, "that of the other buyer"
    await hasty.require_books_agree()


async def test_a_partial_cancellation_at_the_provider_is_a_finding(till: Till) -> None:
    """Fault: a partial cancellation made at the provider. Nothing is booked; a person decides."""
    pod = till.open_pod()
    await till.simulator("toss").set_notices(url=f"{pod.url}/v1/webhooks/toss")
    await till.simulator("toss").advance(-YESTERDAY_S)
    attempt = await sold(till, "toss")
    await till.simulator("toss").do("foreign_refund", payment_key=attempt.payment_key, amount=1_000)
    await till.simulator("toss").flush_notices()
    till.start_cashier()
    await till.until(till.findings, "the statement is compared")
    assert await till.findings() == [("foreign_cancel", -1_000, None, "waits")]
    await till.until_idle()
    assert await till.status(attempt) == "SUCCEEDED"
    assert await till.tickets() == 1
    booked = await till.connection.fetchval("SELECT count(*) FROM provider_transactions")
    assert booked == 1


async def test_a_notice_after_the_refund_raises_nothing(till: Till) -> None:
    """Fault: a notice after the refund that raises the amount."""
    await started(till)
    attempt = await sold(till, "toss")
    notice = [one for one in await till.simulator("toss").notices() if "DONE" in one["body"]]
    await refund(till, attempt, "refund-1")
    await until_refunds_are(till, "DONE")
    assert notice
    assert await till.simulator("toss").post_notice(notice[-1]["body"] + " ") == 200
    await till.until_idle()
    assert await till.tickets() == 0
    await till.require_books_agree()


@pytest.mark.parametrize("is_done", [True, False])
async def test_a_pending_refund_is_followed_to_its_end(till: Till, *, is_done: bool) -> None:
    """Fault: a pending refund that is never looked at again, or fails after it was believed done."""
    await started(till)
    attempt = await sold(till, "stripe")
    await till.simulator("stripe").set_faults({"operation": "refund", "fault": "pending"})
    await refund(till, attempt, "refund-1")
    await till.until_called("stripe", "refund")
    await till.hurry()
    assert await till.connection.fetchval("SELECT status FROM refunds") == "PENDING"
    await till.until(lambda: _refunds(till), "the provider has made the refund")
    made, *_ = await _refunds(till)
    await till.simulator("stripe").do("settle_refund", refund_key=made, is_done=is_done)
    await until_refunds_are(till, "DONE" if is_done else "MANUAL")
    await till.until_idle()
    await till.require_books_agree(owed_minor=0 if is_done else attempt.amount)


async def _refunds(till: Till) -> list[str]:
    notices = map(_decoded, await till.simulator("stripe").notices())
    objects = (one["data"]["object"] for one in notices)
    return [one["id"] for one in objects if one["object"] == "refund"]


def _decoded(notice: dict[str, str]) -> dict[str, dict[str, dict[str, str]]]:
    found: dict[str, dict[str, dict[str, str]]] = msgspec.json.decode(notice["body"])
    return found


async def test_a_dispute_that_is_won_is_applied(till: Till) -> None:
    """Fault: a dispute won and never applied."""
    await started(till)
    attempt = await sold(till, "stripe")
    key = attempt.payment_key

    async def until_dispute_is(status: str) -> None:
        async def is_so() -> bool:
            await till.simulator("stripe").flush_notices()
            await till.hurry()
            return bool(await till.connection.fetchval("SELECT status FROM disputes") == status)

        await till.until(is_so, f"the dispute is {status}")

    for stage in ("created", "funds_withdrawn"):
        await till.simulator("stripe").do("dispute", payment_key=key, stage=stage)
    await until_dispute_is("OPEN")
    await till.simulator("stripe").do("dispute", payment_key=key, stage="funds_reinstated")
    await till.simulator("stripe").do("dispute", payment_key=key, stage="closed", status="won")
    await until_dispute_is("WON")
    disputes = (
        "SELECT coalesce(sum(amount_minor), 0) FROM ledger_entries WHERE account = 'disputes'"
    )
    assert await till.connection.fetchval(disputes) == 0
    await till.until_idle()
    await till.require_books_agree()


async def test_an_authorisation_of_an_abandoned_intent_is_given_back(till: Till) -> None:
    """Fault: an orphaned authorisation blocks the buyer's money for a week."""
    await started(till)
    attempt = await till.attempt(till.fixtures.people[0], till.fixtures.seat_ids[0], "stripe")
    path = f"/v1/payment-intents/{attempt.intent_id}"
    status, _ = await till.call("DELETE", path, attempt.person)
    assert status == 204
    await till.until_idle()
    [payment] = await till.simulator("stripe").payments()
    assert payment["status"] == "canceled"
    assert await till.simulator("stripe").movements() == []
    await till.require_books_agree()


async def test_bad_notices_are_refused_and_leave_nothing(till: Till) -> None:
    """Bodies of 1 MB, other media types and methods, forged signatures, unknown providers."""
    await started(till)
    address = f"{till.url}/v1/webhooks/stripe"
    json = {"Content-Type": "application/json"}
    for data, headers, wanted in (
        (b"x" * 1_048_576, json, 413),
        (b"{}", {"Content-Type": "text/plain"}, 415),
        (b"{}", json, 400),
        (b"{}", {**json, "Stripe-Signature": "t=1,v1=00"}, 400),
    ):
        async with till.session.post(address, data=data, headers=headers) as answer:
            assert answer.status == wanted, (data[:10], headers)
    async with till.session.get(address) as answer:
        assert answer.status == 405
    for name in ("acme", "../toss", "TOSS"):
        url = f"{till.url}/v1/webhooks/{name}"
        async with till.session.post(url, data=b"{}", headers=json) as answer:
            assert answer.status in (404, 405)
    assert await till.connection.fetchval("SELECT count(*) FROM provider_notices") == 0
