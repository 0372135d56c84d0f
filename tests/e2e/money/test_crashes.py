"""SIGKILL at every crash point of a payment through a provider; each ends with equal books.

The rows of the table "crash | healed by": opened and not prepared; before begin; begun and unsent; sent
and unanswered, with and without its effect; answered and not settled; settled and the answer lost; a
refund decided and unsent, sent and unanswered; a notice not stored, stored and not handled, and at its
handling; given up and not cancelled at the provider; a statement that is being read
(`test_statements.py`). Beside them: two cashiers, one that
is killed at work, one that was frozen beyond its lease, and one with a wrong clock.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.till import Attempt, Till

PROVIDERS = ("toss", "stripe")
# A provider answers after so long, or when its faults are cleared.
HELD_S = 30.0
_WAITING = """
    SELECT count(*) FROM pg_stat_activity
     WHERE wait_event_type = 'Lock' AND datname = current_database()
"""
_END_WAITING = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE wait_event_type = 'Lock' AND datname = current_database()
"""
_FAKETIME = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))


@contextlib.asynccontextmanager
async def black_hole() -> AsyncIterator[str]:
    """Lend an address that takes every request and never passes one on."""

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while await reader.read(65_536):
                pass
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.close()


@contextlib.asynccontextmanager
async def locked(
    till: Till, statement: str, so_far: str = "SELECT 1", *, answers: str = ""
) -> AsyncIterator[None]:
    """Lock rows until a process waits for them and has come `so_far`; end its transaction at last.

    The provider of the method `answers` answers once they are locked.
    """
    lock = till.connection.transaction()
    await lock.start()
    await till.connection.execute(statement)
    if answers:
        await till.simulator(answers).set_faults()

    async def waits() -> bool:
        has_come = await till.connection.fetchval(so_far)
        return bool(has_come and await till.connection.fetchval(_WAITING))

    await till.until(waits, "a process waits for the lock")
    yield
    await till.connection.execute(_END_WAITING)
    await lock.rollback()


async def killed_in_confirm(
    till: Till, method: str, fault: dict[str, object], *, goes_on: bool = True
) -> Attempt:
    """Kill the API process while the provider handles its confirmation, which then `goes_on`."""
    pod = till.open_pod()
    await till.simulator(method).set_notices(is_paused=True)
    attempt = await till.attempt(till.fixtures.people[0], till.fixtures.seat_ids[0], method)
    held = {"operation": "confirm", "seconds": HELD_S, **fault}
    await till.simulator(method).set_faults(held)
    confirming = asyncio.create_task(till.confirm(attempt))
    await till.until_called(method, "confirm")
    pod.kill()
    if goes_on:
        await till.simulator(method).set_faults()
    # A dropped call may have been noticed before the kill.
    assert (await confirming)[0] in (0, 202)
    assert await till.status(attempt) in ("CONFIRMING", "UNKNOWN")
    return attempt


async def require_healed(till: Till, attempt: Attempt) -> None:
    """The buyer's repetition is answered with a sale; the books are equal."""
    await till.until_status(attempt, "SUCCEEDED")
    till.open_pod()
    await require_sold(till, attempt)


async def require_sold(till: Till, attempt: Attempt) -> None:
    """The buyer's return is answered with a sale; the books are equal."""
    status, body = await till.confirm(attempt)
    assert (status, body["status"]) == (200, "SUCCEEDED")
    assert await till.tickets() == 1
    await till.until_idle()
    await till.require_books_agree()


@pytest.mark.parametrize("fault", ["delay_before", "delay_after"])
async def test_opened_and_not_prepared_is_prepared_by_the_repetition(
    till: Till, fault: str
) -> None:
    pod = till.open_pod()
    person = till.fixtures.people[0]
    reservation_id = await till.hold(person, till.fixtures.seat_ids[0])
    held = {"operation": "open", "fault": fault, "seconds": HELD_S}
    await till.simulator("stripe").set_faults(held)
    request = "/v1/payment-intents", person, {"reservation_id": reservation_id, "method": "stripe"}
    opening = asyncio.create_task(till.call("POST", *request, "intent-1"))
    await till.until_called("stripe", "open")
    pod.kill()
    await till.simulator("stripe").set_faults()
    assert (await opening)[0] == 0
    till.open_pod()
    status, intent = await till.call("POST", *request, "intent-1")
    assert (status, intent["status"]) == (201, "OPEN"), intent
    calls = await till.simulator("stripe").calls("open")
    assert len({one["key"] for one in calls}) == 1
    attempt = await till.authorize(person, intent, "stripe")
    till.start_cashier()
    await require_sold(till, attempt)
    assert len(await till.simulator("stripe").payments()) == 1


@pytest.mark.parametrize("fault", ["delay_before", "delay_after"])
async def test_given_up_and_not_cancelled_there_is_cancelled_by_the_next_cashier(
    till: Till, fault: str
) -> None:
    till.open_pod()
    attempt = await till.attempt(till.fixtures.people[0], till.fixtures.seat_ids[0], "stripe")
    path = f"/v1/payment-intents/{attempt.intent_id}"
    assert (await till.call("DELETE", path, attempt.person))[0] == 204
    await till.simulator("stripe").set_faults(
        {"operation": "abandon", "fault": fault, "seconds": HELD_S}
    )
    first = till.start_cashier()
    await till.hurry()
    await till.until_called("stripe", "abandon")
    first.kill()
    await till.simulator("stripe").set_faults()
    till.start_cashier()
    await till.until_idle()
    [payment] = await till.simulator("stripe").payments()
    assert payment["status"] == "canceled"
    await till.require_books_agree()


async def test_before_it_begins_nothing_happens(till: Till) -> None:
    pod = till.open_pod()
    attempt = await till.attempt(till.fixtures.people[0], till.fixtures.seat_ids[0])
    confirming = asyncio.create_task(till.confirm(attempt))
    async with locked(till, "SELECT FROM payment_intents FOR NO KEY UPDATE"):
        pod.kill()
    assert (await confirming)[0] == 0
    assert await till.status(attempt) == "OPEN"
    assert await till.simulator("toss").calls("confirm") == []
    till.open_pod()
    till.start_cashier()
    await require_sold(till, attempt)


@pytest.mark.parametrize("method", PROVIDERS)
async def test_begun_and_unsent_is_sent_by_the_cashier(till: Till, method: str) -> None:
    person, seat_id = till.fixtures.people[0], till.fixtures.seat_ids[0]
    till.open_pod()
    attempt = await till.attempt(person, seat_id, method)
    async with black_hole() as url:
        lost = till.open_pod(**{f"{method}_api_url": url})
        confirming = asyncio.create_task(till.confirm(attempt))
        await till.until_status(attempt, "CONFIRMING")
        lost.kill()
        await confirming
    assert await till.simulator(method).calls("confirm") == []
    till.start_cashier()
    await till.hurry()
    await require_healed(till, attempt)
    keys = {one["key"] for one in await till.simulator(method).calls("confirm") if one["key"]}
    assert len(keys) == 1


@pytest.mark.parametrize("method", PROVIDERS)
async def test_sent_with_its_effect_and_unanswered_is_looked_up(till: Till, method: str) -> None:
    attempt = await killed_in_confirm(till, method, {"fault": "delay_after"})
    till.start_cashier()
    await till.hurry()
    await require_healed(till, attempt)


@pytest.mark.parametrize("method", PROVIDERS)
async def test_sent_and_slow_is_repeated_under_its_key(till: Till, method: str) -> None:
    attempt = await killed_in_confirm(till, method, {"fault": "delay_before"}, goes_on=False)
    asked = len(await till.simulator(method).calls())

    async def has_asked() -> bool:
        return len(await till.simulator(method).calls()) > asked

    till.start_cashier()
    await till.hurry()
    await till.until(has_asked, "the cashier asks while the provider is at it")
    await till.simulator(method).set_faults()
    await require_healed(till, attempt)
    calls = await till.simulator(method).calls("confirm")
    assert len({one["key"] for one in calls if one["key"]}) == 1


@pytest.mark.parametrize("method", PROVIDERS)
async def test_answered_and_not_settled_is_settled_by_the_cashier(till: Till, method: str) -> None:
    pod = till.open_pod()
    attempt = await till.attempt(till.fixtures.people[0], till.fixtures.seat_ids[0], method)
    await till.simulator(method).set_notices(is_paused=True)
    await till.simulator(method).set_faults(
        {"operation": "confirm", "fault": "delay_before", "seconds": HELD_S}
    )
    confirming = asyncio.create_task(till.confirm(attempt))
    await till.until_called(method, "confirm")
    answered = "SELECT count(*) FROM provider_answers WHERE outcome = 'done'"
    reservations = "SELECT FROM reservations FOR NO KEY UPDATE"
    async with locked(till, reservations, answered, answers=method):
        pod.kill()
    await confirming
    assert await till.status(attempt) == "CONFIRMING"
    till.start_cashier()
    await till.hurry()
    await require_healed(till, attempt)


@pytest.mark.parametrize("method", PROVIDERS)
async def test_a_lost_answer_is_replayed(till: Till, method: str) -> None:
    pod = till.open_pod()
    attempt = await till.attempt(till.fixtures.people[0], till.fixtures.seat_ids[0], method)
    await till.simulator(method).set_faults(
        {"operation": "confirm", "fault": "delay_before", "seconds": HELD_S}
    )
    confirming = asyncio.create_task(till.confirm(attempt))
    await till.until_called(method, "confirm")
    confirming.cancel()
    await asyncio.gather(confirming, return_exceptions=True)
    await till.simulator(method).set_faults()
    await till.until_status(attempt, "SUCCEEDED")
    pod.kill()
    till.start_cashier()
    await require_healed(till, attempt)
    assert len(await till.simulator(method).calls("confirm")) == 1


async def sold(till: Till, method: str) -> tuple[Attempt, str, int]:
    """Sell a seat through a provider; return the attempt, the payment and what was paid."""
    attempt = await till.attempt(till.fixtures.people[0], till.fixtures.seat_ids[0], method)
    status, intent = await till.confirm(attempt)
    assert (status, intent["status"]) == (200, "SUCCEEDED"), intent
    return attempt, intent["payment_id"], intent["amount"]


async def refunded(till: Till, method: str) -> int:
    """Sell a seat and decide its refund; return what is owed."""
    attempt, payment_id, _ = await sold(till, method)
    path = f"/v1/payments/{payment_id}"
    status, quote = await till.call("GET", f"{path}/refund-quote", attempt.person)
    assert status == 200, quote
    refund = int(quote["refund"])
    body = {"ticket_ids": [], "expected_refund": refund, "to": "original"}
    status, made = await till.call("POST", f"{path}/refunds", attempt.person, body, "refund-1")
    assert (status, made["status"]) == (201, "PENDING"), made
    assert await till.tickets() == 0
    return refund


async def require_refunded_once(till: Till, method: str, refund_minor: int) -> None:
    """The buyer has the money back, once."""

    async def is_done() -> bool:
        await till.hurry()
        return bool(await till.connection.fetchval("SELECT status = 'DONE' FROM refunds"))

    await till.until(is_done, "the refund is done")
    book = await till.simulator(method).movements()
    assert [one["amount_minor"] for one in book if one["kind"] == "refund"] == [refund_minor]
    await till.until_idle()
    await till.require_books_agree()


@pytest.mark.parametrize("method", PROVIDERS)
async def test_a_refund_that_was_decided_is_sent_by_the_cashier(till: Till, method: str) -> None:
    pod = till.open_pod()
    refund_minor = await refunded(till, method)
    pod.kill()
    assert await till.simulator(method).calls("refund") == []
    till.start_cashier()
    await require_refunded_once(till, method, refund_minor)


@pytest.mark.parametrize("method", PROVIDERS)
@pytest.mark.parametrize("fault", ["delay_before", "delay_after"])
async def test_a_refund_that_was_sent_is_not_sent_twice(
    till: Till, method: str, fault: str
) -> None:
    till.open_pod()
    refund_minor = await refunded(till, method)
    held = {"operation": "refund", "fault": fault, "seconds": HELD_S}
    await till.simulator(method).set_faults(held)
    first = till.start_cashier()
    await till.until_called(method, "refund")
    first.kill()
    await till.simulator(method).set_faults()
    till.start_cashier()
    await require_refunded_once(till, method, refund_minor)


async def test_a_notice_that_was_not_stored_comes_again(till: Till) -> None:
    attempt = await killed_in_confirm(till, "toss", {"fault": "delay_after"})
    await till.connection.execute("DELETE FROM cashier_work WHERE kind = 'look_up'")
    toss, receiver = till.simulator("toss"), till.open_pod()
    await till.until(toss.notices, "the provider has a notice")
    await toss.set_notices(url=f"{receiver.url}/v1/webhooks/toss", is_paused=True)
    sending = asyncio.create_task(toss.flush_notices())
    async with locked(till, "LOCK TABLE provider_notices IN SHARE MODE"):
        receiver.kill()
    assert set(await sending) == {0}
    assert await till.connection.fetchval("SELECT count(*) FROM provider_notices") == 0
    heir = till.open_pod()
    await toss.set_notices(url=f"{heir.url}/v1/webhooks/toss", is_paused=True)
    assert set(await toss.flush_notices()) == {200}
    till.start_cashier()
    await require_healed(till, attempt)


async def test_a_notice_at_its_handling_is_handled_by_the_next_cashier(till: Till) -> None:
    attempt = await killed_in_confirm(till, "toss", {"fault": "delay_after"})
    await till.connection.execute("DELETE FROM cashier_work WHERE kind = 'look_up'")
    toss, receiver = till.simulator("toss"), till.open_pod()
    await till.until(toss.notices, "the provider has a notice")
    await toss.set_notices(url=f"{receiver.url}/v1/webhooks/toss", is_paused=True)
    assert set(await toss.flush_notices()) == {200}
    await toss.set_faults({"operation": "look_up", "fault": "delay_after", "seconds": HELD_S})
    first = till.start_cashier()
    await till.until_called("toss", "look_up")
    first.kill()
    unhandled = "SELECT count(*) FROM provider_notices WHERE handled_at IS NULL"
    assert await till.connection.fetchval(unhandled)
    await toss.set_faults()
    till.start_cashier()
    await require_healed(till, attempt)


@pytest.mark.parametrize("method", PROVIDERS)
async def test_a_notice_that_was_stored_is_handled_by_the_cashier(till: Till, method: str) -> None:
    attempt = await killed_in_confirm(till, method, {"fault": "delay_after"})
    # Nothing but the notice leads to the settlement.
    await till.connection.execute("DELETE FROM cashier_work WHERE kind = 'look_up'")
    receiver = till.open_pod()
    await till.simulator(method).set_notices(url=f"{receiver.url}/v1/webhooks/{method}")

    async def is_stored() -> bool:
        await till.simulator(method).flush_notices()
        return bool(await till.connection.fetchval("SELECT count(*) FROM provider_notices"))

    await till.until(is_stored, "the notice is stored")
    receiver.kill()
    assert await till.status(attempt) == "CONFIRMING"
    till.start_cashier()
    await require_healed(till, attempt)


@pytest.mark.parametrize("operation", ["look_up", "confirm"])
async def test_a_cashier_that_is_killed_at_work_leaves_it_due(till: Till, operation: str) -> None:
    fault = {"fault": "drop_before"} if operation == "confirm" else {"fault": "drop_after"}
    attempt = await killed_in_confirm(till, "toss", {**fault, "times": 1})
    await till.simulator("toss").set_faults(
        {"operation": operation, "fault": "delay_after", "seconds": HELD_S}
    )
    before = len(await till.simulator("toss").calls(operation))
    first = till.start_cashier()
    await till.hurry()
    await till.until_called("toss", operation, before + 1)
    first.kill()
    await till.simulator("toss").set_faults()
    till.start_cashier()
    await till.hurry()
    await require_healed(till, attempt)


async def test_two_cashiers_do_everything_once(till: Till) -> None:
    pod = till.open_pod()
    pairs = zip(till.fixtures.people, till.fixtures.seat_ids, strict=True)
    attempts = [
        await till.attempt(person, seat_id, PROVIDERS[at % 2])
        for at, (person, seat_id) in enumerate(pairs)
    ]
    for method in PROVIDERS:
        await till.simulator(method).set_notices(is_paused=True)
        await till.simulator(method).set_faults(
            {"operation": "confirm", "fault": "delay_after", "seconds": HELD_S, "times": 0}
        )
    confirming = [asyncio.create_task(till.confirm(one)) for one in attempts]
    for method in PROVIDERS:
        await till.until_called(method, "confirm", 4)
    pod.kill()
    await asyncio.gather(*confirming)
    for method in PROVIDERS:
        await till.simulator(method).set_faults()
    first, second = till.start_cashier(), till.start_cashier()
    await till.hurry()
    await till.until_status(attempts[0], "SUCCEEDED")
    first.kill()
    for attempt in attempts:
        await till.until_status(attempt, "SUCCEEDED")
    await till.until_idle()
    assert second.process.poll() is None
    assert await till.tickets() == len(attempts)
    await till.require_books_agree()


async def test_a_cashier_that_was_frozen_beyond_its_lease_undoes_nothing(till: Till) -> None:
    attempt = await killed_in_confirm(till, "toss", {"fault": "drop_before"})
    await till.simulator("toss").set_faults(
        {"operation": "look_up", "fault": "delay_after", "seconds": HELD_S}
    )
    frozen = till.start_cashier()
    await till.hurry()
    await till.until_called("toss", "look_up")
    frozen.freeze()
    await till.simulator("toss").set_faults()
    second = till.start_cashier()
    await till.hurry()
    await till.until_status(attempt, "SUCCEEDED")
    frozen.thaw()
    await require_healed(till, attempt)
    assert frozen.stop() == 0
    assert second.stop() == 0
    calls = await till.simulator("toss").calls("confirm")
    assert len({one["key"] for one in calls}) == 1
    await till.require_books_agree()


@pytest.mark.parametrize("offset", ["-1h", "+1h"])
async def test_a_wrong_clock_decides_nothing(
    till: Till, offset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not _FAKETIME:
        pytest.skip("there is no libfaketime; on Debian or Ubuntu: apt-get install libfaketime")
    attempt = await killed_in_confirm(till, "toss", {"fault": "drop_before"})
    with monkeypatch.context() as patched:
        patched.setenv("LD_PRELOAD", str(_FAKETIME[0]))
        patched.setenv("FAKETIME", offset)
        patched.setenv("DONT_FAKE_MONOTONIC", "1")
        till.start_cashier()
    await till.hurry()
    await require_healed(till, attempt)
