"""Toss Payments: its codes, sessions, virtual accounts and notices, against the simulator."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from boxoffice.payments.providers.port import (
    DeclineReason,
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
from tests.support.simulators import TOSS_KEYS, Simulators

DECLINED = {
    "REJECT_CARD_PAYMENT": DeclineReason.CARD_DECLINED,
    "REJECT_CARD_COMPANY": DeclineReason.CARD_DECLINED,
    "REJECT_ACCOUNT_PAYMENT": DeclineReason.CARD_DECLINED,
    "FDS_ERROR": DeclineReason.CARD_DECLINED,
    "INVALID_CARD_NUMBER": DeclineReason.CARD_INVALID,
    "INVALID_STOPPED_CARD": DeclineReason.CARD_INVALID,
    "INVALID_CARD_LOST_OR_STOLEN": DeclineReason.CARD_INVALID,
    "INVALID_REJECT_CARD": DeclineReason.CARD_INVALID,
    "INVALID_CARD_EXPIRATION": DeclineReason.CARD_EXPIRED,
    "EXCEED_MAX_DAILY_PAYMENT_COUNT": DeclineReason.LIMIT_EXCEEDED,
    "EXCEED_MAX_PAYMENT_AMOUNT": DeclineReason.LIMIT_EXCEEDED,
    "EXCEED_MAX_AMOUNT": DeclineReason.LIMIT_EXCEEDED,
    "EXCEED_MAX_ONE_DAY_AMOUNT": DeclineReason.LIMIT_EXCEEDED,
    "EXCEED_MAX_MONTHLY_PAYMENT_AMOUNT": DeclineReason.LIMIT_EXCEEDED,
    "INVALID_PASSWORD": DeclineReason.AUTHENTICATION_FAILED,
    "BELOW_MINIMUM_AMOUNT": DeclineReason.AMOUNT_REFUSED,
    "PAY_PROCESS_CANCELED": DeclineReason.CANCELLED_BY_BUYER,
    "PAY_PROCESS_ABORTED": DeclineReason.CARD_DECLINED,
    "NOT_FOUND_PAYMENT_SESSION": DeclineReason.SESSION_EXPIRED,
}
UNKNOWN = (
    "PROVIDER_ERROR", "ALREADY_PROCESSED_PAYMENT", "DUPLICATED_ORDER_ID", "INVALID_REQUEST",
    "FORBIDDEN_REQUEST", "FORBIDDEN_CONSECUTIVE_REQUEST", "CARD_PROCESSING_ERROR", "COMMON_ERROR",
    "FAILED_PAYMENT_INTERNAL_SYSTEM_PROCESSING", "UNKNOWN_PAYMENT_ERROR", "A_CODE_OF_NEXT_YEAR", "",
)  # fmt: skip
MISCONFIGURED = (
    "UNAUTHORIZED_KEY",
    "INVALID_API_KEY",
    "INCORRECT_BASIC_AUTH_FORMAT",
    "NOT_FOUND_TERMINAL_ID",
)
NOT_REFUNDED = (
    "NOT_CANCELABLE_AMOUNT", "NOT_CANCELABLE_PAYMENT", "EXCEED_MAX_REFUND_DUE", "REFUND_REJECTED",
    "NOT_ALLOWED_PARTIAL_REFUND", "INVALID_REFUND_ACCOUNT_INFO", "INVALID_BANK",
)  # fmt: skip


@pytest.fixture
async def toss(simulators: Simulators) -> AsyncIterator[Counterparty]:
    """The client of Toss and its simulator."""
    async with counterparty("toss", simulators, provider_breaker_failures_max=1_000) as one:
        yield one


async def _confirmed_with(toss: Counterparty, code: str) -> BaseException | None:
    order = new_order()
    rule = {"fault": "error_before", "operation": "confirm", "status": 400, "code": code}
    await toss.simulator.set_faults(rule)
    try:
        await toss.provider.confirm(order, "tgen_key", f"attempt-{order.order_id}")
    except (ProviderDeclined, ProviderUnknown, ProviderMisconfigured) as error:
        return error
    return None


@pytest.mark.parametrize("code", DECLINED)
async def test_a_code_that_declines(toss: Counterparty, code: str) -> None:
    error = await _confirmed_with(toss, code)
    assert isinstance(error, ProviderDeclined)
    assert (error.reason, error.code) == (DECLINED[code], code)


@pytest.mark.parametrize("code", UNKNOWN)
async def test_a_code_that_leaves_the_outcome_unknown(toss: Counterparty, code: str) -> None:
    assert isinstance(await _confirmed_with(toss, code), ProviderUnknown)


@pytest.mark.parametrize("code", MISCONFIGURED)
async def test_a_code_that_needs_an_operator(toss: Counterparty, code: str) -> None:
    assert isinstance(await _confirmed_with(toss, code), ProviderMisconfigured)


@pytest.mark.parametrize("code", NOT_REFUNDED)
async def test_a_code_that_refuses_a_refund(toss: Counterparty, code: str) -> None:
    whole = refund_of(await toss.paid(new_order()))
    await toss.simulator.set_faults({"fault": "decline", "operation": "refund", "code": code})
    refused = await toss.provider.refund(whole, whole.refund_id)
    assert (refused.status, refused.reason) == ("FAILED", code)


@pytest.mark.parametrize(
    "code", ["ALREADY_CANCELED_PAYMENT", "PROVIDER_ERROR", "FAILED_REFUND_PROCESS"]
)
async def test_a_code_that_leaves_a_refund_unknown(toss: Counterparty, code: str) -> None:
    whole = refund_of(await toss.paid(new_order()))
    await toss.simulator.set_faults({"fault": "decline", "operation": "refund", "code": code})
    with pytest.raises(ProviderUnknown):
        await toss.provider.refund(whole, whole.refund_id)


async def test_the_window_needs_no_call(toss: Counterparty, simulators: Simulators) -> None:
    order = new_order()
    opened = await toss.provider.open(order, "key")
    assert opened.payment_key is None
    assert opened.client == {
        "client_key": TOSS_KEYS["toss_client_key"],
        "sdk_url": f"{simulators.toss.url}/v2/standard",
        "order_id": order.order_id,
        "order_name": order.title,
        "amount": str(AMOUNT),
        "currency": "KRW",
    }
    assert await toss.simulator.calls() == []


@pytest.mark.parametrize(
    ("amount", "currency", "is_taken"),
    [(100, "KRW", True), (99, "KRW", False), (100_000, "USD", False), (100_000, "JPY", False)],
)
async def test_toss_takes_won(
    toss: Counterparty, amount: int, currency: str, is_taken: bool
) -> None:
    assert toss.provider.accepts(amount, currency) is is_taken


@pytest.mark.parametrize(("minutes", "is_paid"), [(9, True), (11, False)])
async def test_there_are_ten_minutes_to_confirm(
    toss: Counterparty, minutes: int, is_paid: bool
) -> None:
    order = new_order()
    key = await toss.authorized(order)
    await toss.simulator.advance(minutes * 60)
    if is_paid:
        assert (await toss.provider.confirm(order, key, "attempt-1")).movements
        return
    with pytest.raises(ProviderDeclined) as declined:
        await toss.provider.confirm(order, key, "attempt-1")
    assert declined.value.reason is DeclineReason.SESSION_EXPIRED
    found = await toss.provider.look_up(order.order_id, key)
    assert found is not None
    assert found.status is PaymentStatus.EXPIRED


async def test_thirty_minutes_in_the_window_end_it(toss: Counterparty) -> None:
    order = new_order()
    begun = await toss.simulator.do("begin", order_id=order.order_id, amount=AMOUNT)
    await toss.simulator.advance(31 * 60)
    found = await toss.provider.look_up(order.order_id, None)
    assert found is not None
    assert (found.payment_key, found.status) == (begun["payment_key"], PaymentStatus.EXPIRED)


async def test_a_key_with_another_body_gets_the_first_answer(toss: Counterparty) -> None:
    """Toss compares key, address and method: a key that is used for two orders is our fault."""
    first, second = new_order(), new_order()
    keys = [await toss.authorized(order) for order in (first, second)]
    paid = await toss.provider.confirm(first, keys[0], "one-key")
    again = await toss.provider.confirm(second, keys[1], "one-key")
    assert again == paid
    assert again.order_id == first.order_id, "which the caller compares"
    assert len(await toss.book()) == 1


async def test_a_key_is_valid_for_fifteen_days(toss: Counterparty) -> None:
    order = new_order()
    key = await toss.authorized(order)
    paid = await toss.provider.confirm(order, key, "x" * 300)
    await toss.simulator.advance(14 * 86_400)
    assert await toss.provider.confirm(order, key, "x" * 300) == paid
    await toss.simulator.advance(2 * 86_400)
    with pytest.raises(ProviderUnknown):
        await toss.provider.confirm(order, key, "x" * 300)
    assert len(await toss.book()) == 1
    with pytest.raises(ProviderUnknown):
        await toss.provider.confirm(order, key, "x" * 301)


async def test_a_second_payment_of_a_paid_order_is_refused(toss: Counterparty) -> None:
    order = new_order()
    paid = await toss.paid(order)
    second = await toss.authorized(order)
    with pytest.raises(ProviderUnknown):
        await toss.provider.confirm(order, second, "attempt-2")
    assert await toss.provider.look_up(order.order_id, second) == paid
    assert len(await toss.book()) == 1


async def test_a_payment_that_refuses_parts_is_refunded_whole(toss: Counterparty) -> None:
    order = new_order()
    paid = await toss.paid(order, is_partial_cancelable=False)
    assert not paid.is_partial_refundable
    part, whole = refund_of(paid, 5_000), refund_of(paid)
    refused = await toss.provider.refund(part, part.refund_id)
    assert (refused.status, refused.reason) == ("FAILED", "NOT_ALLOWED_PARTIAL_REFUND")
    assert (await toss.provider.refund(whole, whole.refund_id)).status == "DONE"


async def test_a_long_reason_keeps_the_id_of_the_refund(toss: Counterparty) -> None:
    paid = await toss.paid(new_order())
    part = refund_of(paid, 5_000)
    long = type(part)(part.refund_id, part.payment_key, 5_000, "KRW", False, "가" * 500)
    done = await toss.provider.refund(long, long.refund_id)
    assert await toss.provider.look_up_refund(long, "key") == done


async def test_nothing_is_left_to_refund_after_a_foreign_cancellation(toss: Counterparty) -> None:
    paid = await toss.paid(new_order())
    await toss.simulator.do("foreign_refund", payment_key=paid.payment_key)
    whole = refund_of(paid)
    found = await toss.provider.refund(whole, whole.refund_id)
    assert (found.status, found.reason) == ("FAILED", "ALREADY_CANCELED_PAYMENT")
    assert [kind for _, kind, _, _ in await toss.book()] == ["capture", "refund"]


async def test_a_refund_of_a_deposit_needs_the_buyers_account(toss: Counterparty) -> None:
    waiting = await toss.paid(new_order(), method="virtual_account")
    await toss.simulator.do("deposit", payment_key=waiting.payment_key)
    whole = refund_of(waiting)
    found = await toss.provider.refund(whole, whole.refund_id)
    assert (found.status, found.reason) == ("FAILED", "REFUND_ACCOUNT_NEEDED")
    assert [kind for _, kind, _, _ in await toss.book()] == ["capture"]


async def test_a_refund_after_foreign_ones_takes_what_is_left(toss: Counterparty) -> None:
    paid = await toss.paid(new_order())
    await toss.simulator.do("foreign_refund", payment_key=paid.payment_key, amount=5_000)
    whole = refund_of(paid)
    assert (await toss.provider.refund(whole, whole.refund_id)).amount_minor == AMOUNT - 5_000
    assert sum(amount for _, kind, amount, _ in await toss.book() if kind == "refund") == AMOUNT


async def test_a_deposit_comes_later_and_may_fall_back(toss: Counterparty) -> None:
    order = new_order()
    waiting = await toss.paid(order, method="virtual_account")
    assert (waiting.status, waiting.movements) == (PaymentStatus.AWAITING_DEPOSIT, ())
    assert waiting.deposit_secret
    for _ in range(2):
        await toss.simulator.do("deposit", payment_key=waiting.payment_key)
        paid = await toss.provider.look_up(order.order_id, None)
        assert paid is not None
        assert (paid.status, paid.deposit_secret) == (
            PaymentStatus.CAPTURED,
            waiting.deposit_secret,
        )
        assert shown(paid) == await toss.book()
        await toss.simulator.do("fall_back", payment_key=waiting.payment_key)
        again = await toss.provider.look_up(order.order_id, None)
        assert again is not None
        assert (again.status, again.movements) == (PaymentStatus.AWAITING_DEPOSIT, ())
        assert await toss.book() == []


async def test_a_whole_day_of_the_statement_ends_at_its_last_second(toss: Counterparty) -> None:
    await toss.paid(new_order())
    at = datetime.fromtimestamp((await toss.simulator.movements())[0]["happened_at"], UTC)
    whole = at.replace(microsecond=0)
    second = timedelta(seconds=1)
    for since, until, count in (
        (whole, whole + second, 1),
        (whole - second, whole, 0),
        (whole + second, whole + 2 * second, 0),
    ):
        assert len((await toss.provider.statement(since, until)).lines) == count


async def test_a_wrong_cursor_is_not_the_end(toss: Counterparty) -> None:
    now = datetime.now(UTC)
    with pytest.raises(ProviderUnknown):
        await toss.provider.statement(now - timedelta(days=1), now, "unknown")


async def test_settlements_have_fees(toss: Counterparty) -> None:
    await toss.paid(new_order(100_000))
    today = datetime.now(UTC) + timedelta(hours=9)
    query = {"startDate": f"{today:%Y-%m-%d}", "endDate": f"{today:%Y-%m-%d}"}
    login = aiohttp.encode_basic_auth(TOSS_KEYS["toss_secret_key"], "")
    async with (
        aiohttp.ClientSession(headers={"Authorization": login}) as session,
        session.get(f"{toss.simulator.url}/v1/settlements", params=query) as response,
    ):
        found = await response.json()
    assert [(one["amount"], one["fee"], one["payOutAmount"]) for one in found] == [
        (100_000, 3_000, 97_000)
    ]


async def test_a_notice_is_repeated_until_it_is_taken(toss: Counterparty) -> None:
    async with Receiver(toss) as receiver:
        await toss.simulator.set_notices(url=receiver.url, is_paused=True, retries_s=[60.0, 60.0])
        order = new_order()
        await toss.paid(order)
        receiver.statuses = [500]
        assert await toss.simulator.flush_notices() == [500]
        assert await toss.simulator.flush_notices() == [200]
        assert await toss.simulator.flush_notices() == []
    first, second = receiver.notices
    assert first == second
    assert (first.kind, first.grade, first.order_id) == (
        "PAYMENT_STATUS_CHANGED", "hint", order.order_id,
    )  # fmt: skip


async def test_a_deposit_is_told_twice_and_once_with_the_secret(toss: Counterparty) -> None:
    async with Receiver(toss) as receiver:
        await toss.simulator.set_notices(url=receiver.url, is_paused=True)
        waiting = await toss.paid(new_order(), method="virtual_account")
        await toss.simulator.flush_notices()
        receiver.notices.clear()
        await toss.simulator.do("deposit", payment_key=waiting.payment_key)
        await toss.simulator.flush_notices()
    assert sorted(one.grade for one in receiver.notices) == ["hint", "secret"]
    assert {one.secret for one in receiver.notices} == {None, waiting.deposit_secret}


async def test_a_closed_window_sends_nothing(toss: Counterparty) -> None:
    begun = await toss.simulator.do("begin", order_id=new_order().order_id, amount=AMOUNT)
    await toss.simulator.do(
        "decline", payment_key=begun["payment_key"], code="PAY_PROCESS_CANCELED"
    )
    assert await toss.simulator.notices() == []
