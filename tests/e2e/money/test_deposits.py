"""Virtual accounts, which the shop does not offer: a buyer may open one all the same."""

import pytest

from tests.support.till import YESTERDAY_S, Attempt, Till


async def awaited(till: Till) -> Attempt:
    """Return an attempt whose deposit is awaited; its notices are sent when a test says so."""
    pod = till.open_pod()
    toss = till.simulator("toss")
    await toss.set_notices(url=f"{pod.url}/v1/webhooks/toss", is_paused=True)
    await toss.advance(-YESTERDAY_S)
    person = till.fixtures.people[0]
    intent = await till.open(person, await till.hold(person, till.fixtures.seat_ids[0]), "toss")
    how = {"order_id": intent["intent_id"], "amount": intent["amount"], "method": "virtual_account"}
    made = await toss.do("authorize", **how)
    attempt = Attempt(person, intent["intent_id"], str(made["payment_key"]), intent["amount"])
    status, body = await till.confirm(attempt)
    assert (status, body["status"]) == (202, "AWAITING_DEPOSIT"), body
    assert await toss.movements() == []
    return attempt


async def deposited(till: Till, attempt: Attempt) -> None:
    """Let the money arrive, and the cashier learn of it."""
    await till.simulator("toss").do("deposit", payment_key=attempt.payment_key)
    await till.simulator("toss").flush_notices()
    till.start_cashier()
    await till.until_status(attempt, "SUCCEEDED")


async def test_a_refund_without_the_buyers_account_waits_for_an_operator(till: Till) -> None:
    """Toss gives a deposit back to a bank account only, and the buyer has named none."""
    attempt = await awaited(till)
    await deposited(till, attempt)
    _, intent = await till.call("GET", f"/v1/payment-intents/{attempt.intent_id}", attempt.person)
    path = f"/v1/payments/{intent['payment_id']}"
    _, quote = await till.call("GET", f"{path}/refund-quote", attempt.person)
    body = {"expected_refund": quote["refund"]}
    status, made = await till.call("POST", f"{path}/refunds", attempt.person, body, "refund-1")
    assert (status, made["status"]) == (201, "PENDING"), made

    async def waits() -> bool:
        await till.hurry()
        return bool(await till.connection.fetchval("SELECT status = 'MANUAL' FROM refunds"))

    await till.until(waits, "the refund waits for an operator")
    failure = await till.connection.fetchval("SELECT failure FROM refunds")
    assert failure == "REFUND_ACCOUNT_NEEDED"
    assert len(await till.simulator("toss").calls("refund")) == 1
    assert [one["kind"] for one in await till.simulator("toss").movements()] == ["capture"]
    await till.until_idle()
    await till.require_books_agree(owed_minor=attempt.amount)


@pytest.mark.parametrize("comes_again", [False, True])
async def test_a_deposit_that_falls_back_waits_for_a_person(
    till: Till, *, comes_again: bool
) -> None:
    """The provider takes back what it said, without a movement; nothing is booked by itself."""
    attempt = await awaited(till)
    await deposited(till, attempt)
    till.roles.pop().stop()
    toss = till.simulator("toss")
    await toss.do("fall_back", payment_key=attempt.payment_key)
    if comes_again:
        await toss.do("deposit", payment_key=attempt.payment_key)
    await toss.flush_notices()
    # As an operator has the windows compared once more.
    again = (
        "UPDATE statement_runs SET finished_at = NULL, totals = NULL, lines = 0, started_at = now()"
    )
    await till.connection.execute(again)
    till.start_cashier()
    await till.until_idle()
    unread = "SELECT count(*) FROM statement_runs WHERE finished_at IS NULL"

    async def compared() -> bool:
        return not await till.connection.fetchval(unread)

    await till.until(compared, "the statement is compared")
    await till.until_idle()
    assert await till.status(attempt) == "SUCCEEDED"
    assert await till.tickets() == 1
    booked = "SELECT kind, amount_minor FROM provider_transactions"
    [capture] = await till.connection.fetch(booked)
    assert tuple(capture) == ("capture", attempt.amount)
    if comes_again:
        assert await till.findings() == []
        await till.require_books_agree()
    else:
        assert await till.findings() == [("missing_there", None, attempt.amount, "waits")]
        assert await toss.movements() == []
