"""Stripe: its codes, captures, stored answers, refunds, disputes and notices, against the simulator."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import stripe as oracle
from aiohttp import web

from boxoffice.payments.providers.port import (
    DeclineReason,
    NoticeForged,
    PaymentStatus,
    ProviderDeclined,
    ProviderMisconfigured,
    ProviderUnknown,
)
from tests.support.providers import (
    AMOUNT,
    Counterparty,
    Receiver,
    counterparty,
    new_order,
    refund_of,
    shown,
)
from tests.support.simulators import STRIPE_KEYS, Simulators
from tests.support.waiting import until

DECLINES = {
    "generic_decline": DeclineReason.CARD_DECLINED,
    "do_not_honor": DeclineReason.CARD_DECLINED,
    "insufficient_funds": DeclineReason.INSUFFICIENT_FUNDS,
    "lost_card": DeclineReason.CARD_INVALID,
    "stolen_card": DeclineReason.CARD_INVALID,
    "card_velocity_exceeded": DeclineReason.LIMIT_EXCEEDED,
    "authentication_required": DeclineReason.AUTHENTICATION_FAILED,
    "expired_card": DeclineReason.CARD_EXPIRED,
    "a_code_of_next_year": DeclineReason.CARD_DECLINED,
}


@pytest.fixture
async def stripe(simulators: Simulators) -> AsyncIterator[Counterparty]:
    """The client of Stripe and its simulator."""
    async with counterparty("stripe", simulators, provider_breaker_failures_max=1_000) as one:
        yield one


async def test_the_browser_gets_a_client_secret(
    stripe: Counterparty, simulators: Simulators
) -> None:
    order = new_order()
    opened = await stripe.provider.open(order, "key")
    assert opened.payment_key is not None
    assert opened.client["publishable_key"] == STRIPE_KEYS["stripe_publishable_key"]
    assert opened.client["sdk_url"] == f"{simulators.stripe.url}/v3/"
    assert opened.client["client_secret"].startswith(f"{opened.payment_key}_secret_")
    assert await stripe.provider.open(order, "key") == opened, "the same key, the same intent"
    assert len(await stripe.simulator.payments()) == 1
    waiting = await stripe.provider.look_up(order.order_id, opened.payment_key)
    assert waiting is not None
    assert waiting.status is PaymentStatus.WAITING
    early = await stripe.provider.confirm(order, opened.payment_key, "attempt-1")
    assert (early.status, await stripe.book()) == (PaymentStatus.WAITING, [])


async def test_a_lost_answer_to_open_makes_no_second_intent(stripe: Counterparty) -> None:
    order = new_order()
    await stripe.simulator.set_faults({"fault": "drop_after", "operation": "open"})
    with pytest.raises(ProviderUnknown):
        await stripe.provider.open(order, "key")
    opened = await stripe.provider.open(order, "key")
    assert [one["id"] for one in await stripe.simulator.payments()] == [opened.payment_key]


async def test_a_key_with_other_parameters_is_our_fault(stripe: Counterparty) -> None:
    await stripe.provider.open(new_order(), "key")
    with pytest.raises(ProviderMisconfigured):
        await stripe.provider.open(new_order(), "key")


@pytest.mark.parametrize("code", DECLINES)
async def test_a_declined_card_has_a_reason(stripe: Counterparty, code: str) -> None:
    order = new_order()
    key = await stripe.authorized(order, card=code)
    with pytest.raises(ProviderDeclined) as declined:
        await stripe.provider.confirm(order, key, "attempt-1")
    assert (declined.value.reason, declined.value.code) == (DECLINES[code], code)
    found = await stripe.provider.look_up(order.order_id, key)
    assert found is not None
    assert (found.status, found.reason) == (PaymentStatus.WAITING, DECLINES[code])


async def test_a_bank_that_asks_the_buyer_is_waited_for(stripe: Counterparty) -> None:
    order = new_order()
    key = await stripe.authorized(order, card="three_d_secure")
    waiting = await stripe.provider.confirm(order, key, "attempt-1")
    assert (waiting.status, waiting.movements) == (PaymentStatus.WAITING, ())
    await stripe.simulator.do("authorize", payment_key=key)
    assert (await stripe.provider.confirm(order, key, "attempt-1")).movements


async def test_a_decline_at_the_capture_leaves_the_authorization(stripe: Counterparty) -> None:
    order = new_order()
    key = await stripe.authorized(order)
    await stripe.simulator.set_faults({"fault": "decline", "operation": "confirm"})
    with pytest.raises(ProviderDeclined):
        await stripe.provider.confirm(order, key, "attempt-1")
    found = await stripe.provider.look_up(order.order_id, key)
    assert found is not None
    assert found.status is PaymentStatus.AUTHORIZED


async def test_a_stored_failure_does_not_block_a_capture(stripe: Counterparty) -> None:
    """Stripe repeats a 500 under its key for a day; a capture is guarded by the intent's state."""
    order = new_order()
    key = await stripe.authorized(order)
    await stripe.simulator.set_faults({"fault": "error_before", "operation": "confirm"})
    with pytest.raises(ProviderUnknown):
        await stripe.provider.confirm(order, key, "attempt-1")
    assert await stripe.book() == []
    assert (await stripe.provider.confirm(order, key, "attempt-1")).movements
    assert len(await stripe.book()) == 1


@pytest.mark.parametrize("fault", ["error_after", "error_before"])
async def test_a_capture_that_was_sent_is_not_called_unsent(
    simulators: Simulators, fault: str
) -> None:
    """The failure opens the breaker, so that the look-up behind it is not sent."""
    async with counterparty("stripe", simulators, provider_breaker_failures_max=1) as party:
        order = new_order()
        key = await party.authorized(order)
        await party.simulator.set_faults({"fault": fault, "operation": "confirm"})
        with pytest.raises(ProviderUnknown):
            await party.provider.confirm(order, key, "attempt-1")
        assert len(await party.book()) == int(fault == "error_after")


async def test_captures_under_several_keys_move_money_once(stripe: Counterparty) -> None:
    order = new_order()
    key = await stripe.authorized(order)
    found = await asyncio.gather(
        *(stripe.provider.confirm(order, key, f"attempt-{number}") for number in range(5))
    )
    assert {shown(one)[0] for one in found} == set(await stripe.book())
    assert len(await stripe.book()) == 1


@pytest.mark.parametrize(("days", "is_paid"), [(6, True), (8, False)])
async def test_an_authorization_lasts_seven_days(
    stripe: Counterparty, days: int, is_paid: bool
) -> None:
    order = new_order()
    key = await stripe.authorized(order)
    await stripe.simulator.advance(days * 86_400)
    if is_paid:
        assert (await stripe.provider.confirm(order, key, "attempt-1")).movements
        return
    with pytest.raises(ProviderDeclined) as declined:
        await stripe.provider.confirm(order, key, "attempt-1")
    assert declined.value.reason is DeclineReason.SESSION_EXPIRED


async def test_too_small_an_amount_is_declined(stripe: Counterparty) -> None:
    assert not stripe.provider.accepts(999, "KRW")
    assert stripe.provider.accepts(1_000, "KRW")
    with pytest.raises(ProviderDeclined) as declined:
        await stripe.provider.open(new_order(999), "key")
    assert declined.value.reason is DeclineReason.AMOUNT_REFUSED


async def test_won_has_no_decimals(stripe: Counterparty) -> None:
    await stripe.paid(new_order(55_000))
    assert [one["amount"] for one in await stripe.simulator.payments()] == [55_000]
    assert [one["currency"] for one in await stripe.simulator.payments()] == ["krw"]


async def test_a_refund_that_fails_later_gives_its_money_back(stripe: Counterparty) -> None:
    order = new_order()
    paid = await stripe.paid(order)
    whole = refund_of(paid)
    done = await stripe.provider.refund(whole, whole.refund_id)
    assert done.status == "DONE"
    await stripe.simulator.do("settle_refund", refund_key=done.key, is_done=False)
    failed = await stripe.provider.look_up_refund(whole, "key")
    assert failed is not None
    assert (failed.status, failed.reason) == ("FAILED", "lost_or_stolen_card")
    now = datetime.now(UTC)
    page = await stripe.provider.statement(now - timedelta(hours=1), now + timedelta(hours=1))
    told = [(one.movement.key, one.movement.kind, one.movement.amount_minor) for one in page.lines]
    assert sorted(told) == sorted(one[:3] for one in await stripe.book())
    assert sorted(kind for _, kind, _ in told) == ["capture", "refund", "refund_failed"]


async def test_an_intent_is_found_by_its_order(stripe: Counterparty) -> None:
    orders = [new_order() for _ in range(3)]
    keys = [await stripe.authorized(order) for order in orders]
    for order, key in zip(orders, keys, strict=True):
        found = await stripe.provider.look_up(order.order_id, None)
        assert found is not None
        assert (found.order_id, found.payment_key) == (order.order_id, key)


async def test_fees_stand_in_the_statement(stripe: Counterparty) -> None:
    await stripe.paid(new_order(100_000))
    now = datetime.now(UTC)
    page = await stripe.provider.statement(now - timedelta(hours=1), now + timedelta(hours=1))
    assert [one.fee_minor for one in page.lines] == [3_000]


@pytest.mark.parametrize(
    ("outcome", "kinds"), [("won", ["dispute", "dispute_won"]), ("lost", ["dispute"])]
)
async def test_a_dispute_withdraws_and_may_give_back(
    stripe: Counterparty, outcome: str, kinds: list[str]
) -> None:
    paid = await stripe.paid(new_order())
    own = {"payment_key": paid.payment_key}
    made = await stripe.simulator.do("dispute", **own, stage="created")
    found = await stripe.provider.look_up_dispute(made["id"])
    assert found is not None
    assert (found.status, found.movements, found.payment_key) == ("OPEN", (), paid.payment_key)
    await stripe.simulator.do("dispute", **own, stage="funds_withdrawn")
    if outcome == "won":
        await stripe.simulator.do("dispute", **own, stage="funds_reinstated")
    await stripe.simulator.do("dispute", **own, stage="closed", status=outcome)
    found = await stripe.provider.look_up_dispute(made["id"])
    assert found is not None
    assert found.status == outcome.upper()
    assert [one.kind for one in found.movements] == kinds
    assert {one.amount_minor for one in found.movements} == {AMOUNT}
    now = datetime.now(UTC)
    page = await stripe.provider.statement(now - timedelta(hours=1), now + timedelta(hours=1))
    told = {(one.movement.key, one.movement.kind) for one in page.lines}
    assert {(one.key, one.kind) for one in found.movements} < told
    assert told == {one[:2] for one in await stripe.book()}


async def test_an_unknown_dispute_is_not_found(stripe: Counterparty) -> None:
    assert await stripe.provider.look_up_dispute("dp_unknown") is None


async def _have_come(receiver: Receiver, count: int, kind: str = "") -> bool:
    return len([one for one in receiver.notices if kind in ("", one.kind)]) >= count


async def test_notices_come_in_any_order_and_twice(stripe: Counterparty) -> None:
    async with Receiver(stripe) as receiver:
        await stripe.simulator.set_notices(url=receiver.url, is_reordered=True)
        await stripe.simulator.set_mix(duplicates=1.0)
        order = new_order()
        paid = await stripe.paid(order)
        await until(lambda: _have_come(receiver, 8))
        # Nor do more come.
        await asyncio.sleep(0.3)
    kinds = [one.kind for one in receiver.notices]
    assert len(kinds) == 8
    assert len({one.notice_id for one in receiver.notices}) == 4
    assert {one.order_id for one in receiver.notices} == {order.order_id}
    assert {one.payment_key for one in receiver.notices} == {paid.payment_key}
    assert {one.grade for one in receiver.notices} == {"signed"}


async def test_a_notice_may_come_before_the_answer(stripe: Counterparty) -> None:
    order = new_order()
    key = await stripe.authorized(order)
    async with Receiver(stripe) as receiver:
        await stripe.simulator.set_notices(url=receiver.url, is_paused=True)
        await stripe.simulator.set_faults(
            {"fault": "notice_first", "operation": "confirm"},
            {"fault": "delay_after", "operation": "confirm", "seconds": 20.0},
        )
        confirming = asyncio.create_task(stripe.provider.confirm(order, key, "attempt-1"))
        await until(lambda: _have_come(receiver, 1, "payment_intent.succeeded"))
        assert not confirming.done()
        await stripe.simulator.set_faults()
        assert (await confirming).movements


async def test_the_library_of_stripe_accepts_the_simulators_signature(stripe: Counterparty) -> None:
    bodies: list[tuple[bytes, str]] = []

    async def receive(request: web.Request) -> web.Response:
        bodies.append((await request.read(), request.headers["Stripe-Signature"]))
        return web.Response()

    app = web.Application()
    app.add_routes([web.post("/", receive)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    for style in ({}, {"is_forged": True}, {"is_stale": True}):
        await stripe.simulator.set_notices(url=url, is_paused=True, **style)
        assert (
            await stripe.simulator.post_notice('{"id":"evt_1","type":"x","data":{"object":{}}}')
            == 200
        )
    await runner.cleanup()
    secret = STRIPE_KEYS["stripe_webhook_secrets"]
    good, *bad = bodies
    assert oracle.Webhook.construct_event(*good, secret).id == "evt_1"
    for body, header in bad:
        with pytest.raises(oracle.SignatureVerificationError):
            oracle.Webhook.construct_event(body, header, secret)
        with pytest.raises(NoticeForged):
            stripe.provider.read_notice({"stripe-signature": header}, body)
