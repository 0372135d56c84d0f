"""What both clients have in common, against their simulators: money moves once, and is found again."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from boxoffice.payments.providers.port import (
    PaymentStatus,
    ProviderDeclined,
    ProviderMisconfigured,
    ProviderUnavailable,
    ProviderUnknown,
    StatementLine,
)
from tests.support import waiting
from tests.support.providers import (
    AMOUNT,
    Counterparty,
    counterparty,
    new_order,
    refund_of,
    shown,
)
from tests.support.simulators import Simulators

PROVIDERS = ("toss", "stripe")
DEADLINES = {"provider_timeout_ms": 1_500, "confirm_timeout_ms": 1_500}
BREAKER = {"provider_breaker_failures_max": 1_000}
# A simulator answers after so long, or when its faults are cleared.
HELD_S = 20.0


@pytest.fixture(params=PROVIDERS)
async def party(
    request: pytest.FixtureRequest, simulators: Simulators
) -> AsyncIterator[Counterparty]:
    """A client with short deadlines, and its simulator."""
    async with counterparty(request.param, simulators, **DEADLINES, **BREAKER) as one:
        yield one


async def until_called(party: Counterparty, operation: str, count: int = 1) -> None:
    async def has_come() -> bool:
        return len(await party.simulator.calls(operation)) >= count

    await waiting.until(has_come)


async def test_a_payment_moves_the_money_once(party: Counterparty) -> None:
    order = new_order()
    key = await party.authorized(order)
    before = await party.provider.look_up(order.order_id, key)
    assert before is not None
    assert (before.status, before.movements) == (PaymentStatus.AUTHORIZED, ())
    paid = await party.provider.confirm(order, key, "attempt-1")
    assert paid.status is PaymentStatus.CAPTURED
    assert (paid.order_id, paid.amount_minor, paid.currency) == (order.order_id, AMOUNT, "KRW")
    assert shown(paid) == await party.book() == [(paid.movements[0].key, "capture", AMOUNT, "KRW")]
    for again in (
        await party.provider.confirm(order, key, "attempt-1"),
        await party.provider.look_up(order.order_id, key),
        await party.provider.look_up(order.order_id, None),
    ):
        assert again == paid
    assert len(await party.book()) == 1


async def test_an_unknown_order_is_not_found(party: Counterparty) -> None:
    order = new_order()
    assert await party.provider.look_up(order.order_id, None) is None
    assert await party.provider.look_up(order.order_id, "pi_unknown") is None


async def test_the_payment_of_another_order_is_not_ours(party: Counterparty) -> None:
    key = await party.authorized(new_order())
    other = new_order()
    assert await party.provider.look_up(other.order_id, key) is None
    with pytest.raises((ProviderDeclined, ProviderUnknown)):
        await party.provider.confirm(other, key, "attempt-1")
    assert await party.book() == []


@pytest.mark.parametrize("amount", [AMOUNT - 1, AMOUNT + 1])
async def test_another_amount_is_not_confirmed(party: Counterparty, amount: int) -> None:
    order = new_order()
    key = await party.authorized(order)
    wrong = type(order)(order.order_id, amount, order.currency, order.title)
    with pytest.raises((ProviderDeclined, ProviderUnknown)):
        await party.provider.confirm(wrong, key, "attempt-1")
    assert await party.book() == []


@pytest.mark.parametrize("key", ["../orders/x", "a/b", "", "x" * 300, "a?b=c", "..", "%2e%2e"])
async def test_a_payment_key_is_no_path(party: Counterparty, key: str) -> None:
    with pytest.raises(ProviderDeclined):
        await party.provider.confirm(new_order(), key, "attempt-1")
    assert await party.simulator.calls("confirm") == []


# What goes wrong, and whether the money has moved when the caller knows nothing.
LOST = {
    "drop_before": False,
    "drop_after": True,
    "error_before": False,
    "error_after": True,
    "too_many": False,
    "malformed": True,
    "cut": True,
}


@pytest.mark.parametrize("fault", LOST)
async def test_an_unknown_confirmation_is_found_or_repeated(
    party: Counterparty, fault: str
) -> None:
    order = new_order()
    key = await party.authorized(order)
    await party.simulator.set_faults({"fault": fault, "operation": "confirm"})
    if fault == "error_after" and party.provider.name == "stripe":
        # Its state is read after a failed capture.
        assert (await party.provider.confirm(order, key, "attempt-1")).movements
    else:
        with pytest.raises(ProviderUnknown):
            await party.provider.confirm(order, key, "attempt-1")
    assert len(await party.book()) == int(LOST[fault])
    found = await party.provider.look_up(order.order_id, key)
    assert found is not None
    assert bool(found.movements) is LOST[fault]
    if not LOST[fault]:
        found = await party.provider.confirm(order, key, "attempt-1")
    assert found.status is PaymentStatus.CAPTURED
    assert shown(found) == await party.book()
    assert len(await party.book()) == 1


@pytest.mark.parametrize("when", ["delay_before", "delay_after"])
async def test_a_slow_confirmation_ends_at_the_deadline(party: Counterparty, when: str) -> None:
    order = new_order()
    key = await party.authorized(order)
    await party.simulator.set_faults({"fault": when, "operation": "confirm", "seconds": HELD_S})
    with pytest.raises(ProviderUnknown):
        await party.provider.confirm(order, key, "attempt-1")
    # The first call goes on there; a repetition under its key waits for it, or gets its answer.
    await party.simulator.set_faults()
    found = await party.provider.confirm(order, key, "attempt-1")
    assert shown(found) == await party.book()
    assert len(await party.book()) == 1


async def test_a_repetition_waits_for_the_first_call(party: Counterparty) -> None:
    order = new_order()
    key = await party.authorized(order)
    await party.simulator.set_faults(
        {"fault": "delay_before", "operation": "confirm", "seconds": 0.3}
    )
    both = await asyncio.gather(
        *(party.provider.confirm(order, key, "attempt-1") for _ in range(2))
    )
    assert both[0] == both[1]
    assert len(await party.book()) == 1
    assert len(await party.simulator.calls("confirm")) == 3, "one was asked to ask again"


async def test_a_repetition_does_not_wait_past_the_deadline(party: Counterparty) -> None:
    order = new_order()
    key = await party.authorized(order)
    await party.simulator.set_faults(
        {"fault": "delay_before", "operation": "confirm", "seconds": HELD_S}
    )
    both = await asyncio.gather(
        *(party.provider.confirm(order, key, "attempt-1") for _ in range(2)),
        return_exceptions=True,
    )
    assert [type(one) for one in both] == [ProviderUnknown, ProviderUnknown]
    await party.simulator.set_faults()


@pytest.mark.parametrize("name", PROVIDERS)
async def test_a_call_in_progress_is_not_called_unsent(simulators: Simulators, name: str) -> None:
    async with counterparty(name, simulators, provider_breaker_failures_max=1) as party:
        order = new_order()
        key = await party.authorized(order)
        await party.simulator.set_faults(
            {"fault": "delay_before", "operation": "confirm", "seconds": HELD_S},
            {"fault": "error_before", "operation": "look_up", "order_id": "other-order"},
        )
        first = asyncio.create_task(party.provider.confirm(order, key, "attempt-1"))
        await until_called(party, "confirm")
        second = asyncio.create_task(party.provider.confirm(order, key, "attempt-1"))
        await until_called(party, "confirm", 2)
        # While the second one waits, another call opens the breaker.
        if name == "toss":
            with pytest.raises(ProviderUnknown):
                await party.provider.look_up("other-order", None)
        else:
            await party.simulator.set_faults({"fault": "error_before", "operation": "look_up"})
            with pytest.raises(ProviderUnknown):
                await party.provider.look_up(order.order_id, key)
        with pytest.raises(ProviderUnknown):
            await second
        await party.simulator.set_faults()
        await asyncio.gather(first, return_exceptions=True)
        assert len(await party.book()) == 1


async def test_a_decline_leaves_the_order_open(party: Counterparty) -> None:
    order = new_order()
    at = "confirm" if party.provider.name == "toss" else "authorize"
    await party.simulator.set_faults({"fault": "decline", "operation": at})
    key = await party.authorized(order)
    with pytest.raises(ProviderDeclined) as declined:
        await party.provider.confirm(order, key, "attempt-1")
    assert declined.value.reason == "card_declined"
    assert declined.value.code
    assert await party.book() == []
    second = await party.authorized(order)
    assert (await party.provider.confirm(order, second, "attempt-2")).movements
    assert len(await party.book()) == 1


async def test_money_goes_back_in_parts(party: Counterparty) -> None:
    order = new_order()
    paid = await party.paid(order)
    first, second = refund_of(paid, 15_000), refund_of(paid, 40_000)
    assert await party.provider.look_up_refund(first, "key") is None
    done = await party.provider.refund(first, first.refund_id)
    assert (done.status, done.amount_minor, done.currency) == ("DONE", 15_000, "KRW")
    assert done == await party.provider.refund(first, first.refund_id), "the same key"
    assert done == await party.provider.look_up_refund(first, "key")
    assert await party.provider.look_up_refund(second, "key") is None
    after = await party.provider.look_up(order.order_id, paid.payment_key)
    assert after is not None
    assert after.status is PaymentStatus.PARTLY_REFUNDED
    assert (await party.provider.refund(second, second.refund_id)).status == "DONE"
    after = await party.provider.look_up(order.order_id, paid.payment_key)
    assert after is not None
    assert after.status is PaymentStatus.REFUNDED
    assert sorted(shown(after)) == sorted(await party.book())
    assert [amount for _, kind, amount, _ in await party.book() if kind == "refund"] == [
        15_000,
        40_000,
    ]


async def test_all_money_goes_back_at_once(party: Counterparty) -> None:
    order = new_order()
    paid = await party.paid(order)
    whole = refund_of(paid)
    done = await party.provider.refund(whole, whole.refund_id)
    assert (done.status, done.amount_minor) == ("DONE", AMOUNT)
    assert [kind for _, kind, _, _ in await party.book()] == ["capture", "refund"]


async def test_more_than_was_paid_does_not_go_back(party: Counterparty) -> None:
    paid = await party.paid(new_order())
    part = refund_of(paid, AMOUNT - 1)
    await party.provider.refund(part, part.refund_id)
    for amount in (2, AMOUNT - 1):
        more = refund_of(paid, amount)
        refused = await party.provider.refund(more, more.refund_id)
        assert (refused.status, refused.key) == ("FAILED", None)
        assert refused.reason
    assert len(await party.book()) == 2


@pytest.mark.parametrize("fault", LOST)
async def test_an_unknown_refund_is_found_or_repeated(party: Counterparty, fault: str) -> None:
    paid = await party.paid(new_order())
    part = refund_of(paid, 15_000)
    await party.simulator.set_faults({"fault": fault, "operation": "refund"})
    with pytest.raises(ProviderUnknown):
        await party.provider.refund(part, part.refund_id)
    found = await party.provider.look_up_refund(part, part.refund_id)
    assert (found is not None) is LOST[fault]
    is_stored = fault == "error_before" and party.provider.name == "stripe"
    if found is None and is_stored:
        # The stored 500 is repeated for a day; then the same key makes the refund.
        with pytest.raises(ProviderUnknown):
            await party.provider.refund(part, part.refund_id)
        await party.simulator.advance(86_401)
    if found is None:
        found = await party.provider.refund(part, part.refund_id)
    assert found.status == "DONE"
    assert [kind for _, kind, _, _ in await party.book()] == ["capture", "refund"]


@pytest.mark.parametrize("is_done", [True, False])
async def test_a_pending_refund_is_done_or_fails_later(party: Counterparty, is_done: bool) -> None:
    order = new_order()
    paid = await party.paid(order)
    part = refund_of(paid, 15_000)
    await party.simulator.set_faults({"fault": "pending", "operation": "refund"})
    pending = await party.provider.refund(part, part.refund_id)
    assert (pending.status, pending.happened_at) == ("PENDING", None)
    assert len(await party.book()) == 1
    own = {"payment_key": paid.payment_key, "refund_key": pending.key}
    await party.simulator.do("settle_refund", **own, is_done=is_done)
    found = await party.provider.look_up_refund(part, part.refund_id)
    assert found is not None
    assert (found.key, found.status) == (pending.key, "DONE" if is_done else "FAILED")
    assert bool(found.reason) is not is_done
    after = await party.provider.look_up(order.order_id, paid.payment_key)
    assert sorted(shown(after)) == sorted(await party.book())
    assert len(await party.book()) == (2 if is_done else 1)


async def test_a_refund_made_at_the_provider_is_seen(party: Counterparty) -> None:
    order = new_order()
    paid = await party.paid(order)
    await party.simulator.do("foreign_refund", payment_key=paid.payment_key, amount=5_000)
    after = await party.provider.look_up(order.order_id, paid.payment_key)
    assert after is not None
    assert after.status is PaymentStatus.PARTLY_REFUNDED
    assert sorted(shown(after)) == sorted(await party.book())
    assert await party.provider.look_up_refund(refund_of(paid, 5_000), "key") is None


async def _statement(
    party: Counterparty, since: datetime, until: datetime
) -> tuple[list[StatementLine], int]:
    lines: list[StatementLine] = []
    cursor, pages = None, 0
    while True:
        page = await party.provider.statement(since, until, cursor)
        lines += page.lines
        pages += 1
        cursor = page.next_cursor
        if cursor is None:
            return lines, pages


async def test_the_statement_has_every_movement_once(party: Counterparty) -> None:
    began = datetime.now(UTC) - timedelta(seconds=1)
    for number in range(3):
        paid = await party.paid(new_order(10_000 + number))
        part = refund_of(paid, 1_000)
        await party.provider.refund(part, part.refund_id)
    ended = datetime.now(UTC) + timedelta(seconds=2)
    lines, _ = await _statement(party, began, ended)
    told = [
        (one.movement.key, one.movement.kind, one.movement.amount_minor, one.movement.currency)
        for one in lines
    ]
    assert sorted(told) == sorted(await party.book())
    assert {one.order_id for one in lines if one.movement.kind == "capture"} == {
        one["order_id"] for one in await party.simulator.movements()
    }
    assert all(began <= one.movement.happened_at < ended for one in lines)
    for since, until in ((began - timedelta(days=1), began), (ended, ended + timedelta(days=1))):
        assert await _statement(party, since, until) == ([], 1)


async def test_a_long_statement_comes_in_pages(
    party: Counterparty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("boxoffice.payments.providers.toss._STATEMENT_PAGE", 4)
    monkeypatch.setattr("boxoffice.payments.providers.stripe._PAGE", 4)
    now = datetime.now(UTC)
    for number in range(9):
        await party.paid(new_order(10_000 + number))
    until = datetime.now(UTC) + timedelta(seconds=2)
    lines, pages = await _statement(party, now - timedelta(seconds=1), until)
    assert pages == 3
    assert sorted(one.movement.key for one in lines) == sorted(
        key for key, *_ in await party.book()
    )


async def test_a_statement_may_lag(party: Counterparty) -> None:
    began = datetime.now(UTC) - timedelta(seconds=1)
    await party.simulator.set_statement_lag(3_600)
    await party.paid(new_order())
    until = datetime.now(UTC) + timedelta(hours=3)
    assert (await party.provider.statement(began, until)).lines == ()
    await party.simulator.advance(3_601)
    assert len((await party.provider.statement(began, until)).lines) == 1


async def test_a_large_answer_is_read_up_to_the_limit(simulators: Simulators) -> None:
    for name in PROVIDERS:
        async with counterparty(name, simulators) as party:
            order = new_order()
            key = await party.authorized(order)
            await party.simulator.set_faults({"fault": "huge", "operation": "*", "times": 0})
            assert (await party.provider.confirm(order, key, "attempt-1")).movements
        async with counterparty(name, simulators, provider_answer_max_bytes=65_536) as party:
            with pytest.raises(ProviderUnknown):
                await party.provider.look_up(order.order_id, key)


async def test_a_redirect_is_not_followed(party: Counterparty) -> None:
    await party.simulator.set_faults({"fault": "redirect", "operation": "look_up"})
    with pytest.raises(ProviderMisconfigured):
        await party.provider.look_up(new_order().order_id, None)


@pytest.mark.parametrize("fault", ["wrong_currency", "wrong_amount"])
async def test_an_answer_about_other_money_is_told_as_it_is(
    party: Counterparty, fault: str
) -> None:
    order = new_order()
    paid = await party.paid(order)
    await party.simulator.set_faults({"fault": fault, "operation": "look_up"})
    told = await party.provider.look_up(order.order_id, paid.payment_key)
    assert told is not None
    assert (told.amount_minor, told.currency) != (AMOUNT, "KRW")


@pytest.mark.parametrize("name", PROVIDERS)
async def test_a_wrong_key_is_a_matter_for_an_operator(simulators: Simulators, name: str) -> None:
    wrong = {
        "toss_secret_key": "test_sk_of_another_shop",
        "stripe_secret_key": "sk_test_of_another",
    }
    async with counterparty(name, simulators, **wrong) as party:
        with pytest.raises(ProviderMisconfigured):
            await party.provider.look_up(new_order().order_id, None)


@pytest.mark.parametrize("name", PROVIDERS)
async def test_without_a_connection_nothing_was_sent(simulators: Simulators, name: str) -> None:
    nowhere = {"toss_api_url": "http://127.0.0.1:9", "stripe_api_url": "http://127.0.0.1:9"}
    async with counterparty(name, simulators, **nowhere) as party:
        with pytest.raises(ProviderUnavailable):
            await party.provider.look_up(new_order().order_id, None)


@pytest.mark.parametrize("name", PROVIDERS)
async def test_a_call_that_waits_for_a_connection_was_not_sent(
    simulators: Simulators, name: str
) -> None:
    bounds = {"provider_connections_max": 1, "provider_connect_timeout_ms": 200}
    async with counterparty(name, simulators, **bounds) as party:
        await party.simulator.set_faults(
            {"fault": "delay_after", "operation": "look_up", "seconds": HELD_S}
        )
        first = asyncio.create_task(party.provider.look_up(new_order().order_id, None))
        await until_called(party, "look_up")
        with pytest.raises(ProviderUnavailable):
            await party.provider.look_up(new_order().order_id, None)
        await party.simulator.set_faults()
        assert await first is None
        assert len(await party.simulator.calls("look_up")) == 1


async def test_an_abandoned_payment_can_not_be_confirmed(party: Counterparty) -> None:
    order = new_order()
    key = await party.authorized(order)
    for _ in range(2):
        await party.provider.abandon(order, key, "abandon-1")
    await party.provider.abandon(order, None, "abandon-2")
    await party.simulator.advance(party.provider.session_s + 1)
    with pytest.raises(ProviderDeclined) as declined:
        await party.provider.confirm(order, key, "attempt-1")
    assert declined.value.reason == "session_expired"
    found = await party.provider.look_up(order.order_id, key)
    assert found is None or found.status in (PaymentStatus.CANCELLED, PaymentStatus.EXPIRED)
    assert await party.book() == []


async def test_what_was_captured_is_not_abandoned(party: Counterparty) -> None:
    order = new_order()
    paid = await party.paid(order)
    await party.provider.abandon(order, paid.payment_key, "abandon-1")
    assert await party.provider.look_up(order.order_id, paid.payment_key) == paid
