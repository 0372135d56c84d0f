"""Toss Payments (core API, version 2022-11-16).

The buyer authorizes in the payment window, which returns a `paymentKey`; the money moves at confirm.
Amounts are in won. Payment notices are unsigned. A cancellation at Toss has no id of ours, so the id of
a refund stands at the end of its reason, where a look-up finds it.
"""

import hashlib
import re
from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, Never

import aiohttp
import msgspec

from boxoffice.payments.providers.client import (
    ProviderAnswer,
    ProviderHttp,
    ProviderRequest,
    after_sending,
    shaped,
)
from boxoffice.payments.providers.port import (
    DeclineReason,
    Movement,
    MovementKind,
    NoticeForged,
    Opened,
    PaymentOrder,
    PaymentStatus,
    ProviderDeclined,
    ProviderDispute,
    ProviderMisconfigured,
    ProviderNotice,
    ProviderPayment,
    ProviderRefund,
    ProviderUnknown,
    RefundOrder,
    RefundStatus,
    StatementLine,
    StatementPage,
)
from boxoffice.settings import ProviderSettings

NAME = "toss"
# 30 minutes in the payment window, then 10 minutes to confirm.
SESSION_S = 2_400.0
CURRENCY = "KRW"
AMOUNT_MIN = 100

_SEOUL = timezone(timedelta(hours=9))
_REASON_MAX = 200
_STATEMENT_PAGE = 1_000
_PAYMENT_KEY = re.compile(r"[A-Za-z0-9_-]{1,200}")
_VIRTUAL_ACCOUNT = ("가상계좌", "VIRTUAL_ACCOUNT")
# A refund lacks a part, as that of a deposit lacks the buyer's bank account; or nothing is left to give
# back, because this refund, or one that was made on the pages of Toss, has given back all.
_INVALID, _CANCELLED = "INVALID_REQUEST", "ALREADY_CANCELED_PAYMENT"
_REFUND_UNCLEAR = (_INVALID, _CANCELLED)
_ACCOUNT_NEEDED = "REFUND_ACCOUNT_NEEDED"

_STATUSES = {
    "READY": PaymentStatus.WAITING,
    "IN_PROGRESS": PaymentStatus.AUTHORIZED,
    "WAITING_FOR_DEPOSIT": PaymentStatus.AWAITING_DEPOSIT,
    "DONE": PaymentStatus.CAPTURED,
    "PARTIAL_CANCELED": PaymentStatus.PARTLY_REFUNDED,
    "CANCELED": PaymentStatus.REFUNDED,
    "ABORTED": PaymentStatus.DECLINED,
    "EXPIRED": PaymentStatus.EXPIRED,
}
_REFUND_STATUSES: dict[str, RefundStatus] = {
    "DONE": "DONE",
    "IN_PROGRESS": "PENDING",
    "ABORTED": "FAILED",
}

# Codes that say no for good; a code that no table has is an unknown outcome.
_REASONS: Mapping[str, DeclineReason] = {
    **dict.fromkeys(
        ("INVALID_CARD_NUMBER", "INVALID_STOPPED_CARD", "INVALID_CARD_LOST_OR_STOLEN",
         "INVALID_REJECT_CARD", "INVALID_ACCOUNT_INFO_RE_REGISTER", "RESTRICTED_TRANSFER_ACCOUNT",
         "REJECT_TOSSPAY_INVALID_ACCOUNT", "NOT_AVAILABLE_BANK"),
        DeclineReason.CARD_INVALID,
    ),
    **dict.fromkeys(
        ("REJECT_CARD_PAYMENT", "REJECT_CARD_COMPANY", "REJECT_ACCOUNT_PAYMENT", "FDS_ERROR",
         "NOT_SUPPORTED_INSTALLMENT_PLAN_CARD_OR_MERCHANT", "INVALID_CARD_INSTALLMENT_PLAN",
         "NOT_SUPPORTED_MONTHLY_INSTALLMENT_PLAN", "NOT_ALLOWED_POINT_USE",
         "EXCEED_MAX_CARD_INSTALLMENT_PLAN", "NOT_AVAILABLE_PAYMENT", "PAY_PROCESS_ABORTED"),
        DeclineReason.CARD_DECLINED,
    ),
    **dict.fromkeys(
        ("EXCEED_MAX_DAILY_PAYMENT_COUNT", "EXCEED_MAX_PAYMENT_AMOUNT", "EXCEED_MAX_AMOUNT",
         "EXCEED_MAX_ONE_DAY_AMOUNT", "EXCEED_MAX_ONE_DAY_WITHDRAW_AMOUNT",
         "EXCEED_MAX_ONE_TIME_WITHDRAW_AMOUNT", "EXCEED_MAX_MONTHLY_PAYMENT_AMOUNT",
         "EXCEED_MAX_AUTH_COUNT"),
        DeclineReason.LIMIT_EXCEEDED,
    ),
    **dict.fromkeys(
        ("INVALID_AUTHORIZE_AUTH", "INVALID_PASSWORD", "UNAPPROVED_ORDER_ID"),
        DeclineReason.AUTHENTICATION_FAILED,
    ),
    "INVALID_CARD_EXPIRATION": DeclineReason.CARD_EXPIRED,
    "BELOW_MINIMUM_AMOUNT": DeclineReason.AMOUNT_REFUSED,
    "PAY_PROCESS_CANCELED": DeclineReason.CANCELLED_BY_BUYER,
    "NOT_FOUND_PAYMENT_SESSION": DeclineReason.SESSION_EXPIRED,
}  # fmt: skip
_MISCONFIGURED = {
    "UNAUTHORIZED_KEY", "INVALID_API_KEY", "INVALID_CLIENT_KEY", "INCORRECT_BASIC_AUTH_FORMAT",
    "NOT_FOUND_TERMINAL_ID", "INVALID_UNREGISTERED_SUBMALL", "NOT_REGISTERED_BUSINESS",
}  # fmt: skip
_REFUND_REFUSED = {
    "NOT_CANCELABLE_AMOUNT", "NOT_CANCELABLE_PAYMENT", "EXCEED_MAX_REFUND_DUE",
    "NOT_ALLOWED_PARTIAL_REFUND", "NOT_ALLOWED_PARTIAL_REFUND_WAITING_DEPOSIT",
    "INVALID_REFUND_ACCOUNT_INFO", "INVALID_REFUND_ACCOUNT_NUMBER", "INVALID_BANK", "REFUND_REJECTED",
    "FORBIDDEN_BANK_REFUND_REQUEST", "EXCEED_CANCEL_AMOUNT_DISCOUNT_AMOUNT",
    "NOT_MATCHES_REFUNDABLE_AMOUNT", "NOT_CANCELABLE_PAYMENT_FOR_DORMANT_USER", "NOT_FOUND_PAYMENT",
}  # fmt: skip


class TossCancel(msgspec.Struct, rename="camel"):
    """A cancellation, whole or partial."""

    transaction_key: str
    cancel_reason: str
    cancel_amount: int
    canceled_at: datetime
    cancel_status: str = "DONE"


class TossFailure(msgspec.Struct):
    """Why a payment failed."""

    code: str = ""


class TossPayment(msgspec.Struct, rename="camel"):
    """The parts of Toss's payment object that we use."""

    order_id: str
    payment_key: str
    status: str
    total_amount: int
    currency: str
    approved_at: datetime | None = None
    cancels: list[TossCancel] | None = None
    failure: TossFailure | None = None
    is_partial_cancelable: bool | None = None
    virtual_account: Any = None
    secret: str | None = None


class TossTransaction(msgspec.Struct, rename="camel"):
    """A line of the statement; Toss shows the amount of a cancellation without a sign."""

    transaction_key: str
    payment_key: str
    order_id: str
    status: str
    amount: int
    currency: str
    transaction_at: datetime
    method: str | None = None


class TossEvent(msgspec.Struct, rename="camel"):
    """A notice: the payment is in `data`, or its parts stand in the event itself."""

    event_type: str = "DEPOSIT_CALLBACK"
    data: dict[str, Any] = {}
    order_id: str | None = None
    secret: str | None = None


class TossPayments:
    """The client of Toss Payments."""

    name = NAME
    session_s = SESSION_S
    opens_by_call = False

    def __init__(self, settings: ProviderSettings, session: aiohttp.ClientSession) -> None:
        authorization = b64encode(f"{settings.toss_secret_key}:".encode()).decode("ascii")
        headers = {"Authorization": f"Basic {authorization}"}
        self._settings = settings
        self._http = ProviderHttp(NAME, settings.toss_api_url, headers, session, settings)
        self.is_test = not settings.payments_live

    @property
    def is_available(self) -> bool:
        """Whether a call would be sent now."""
        return self._http.is_available

    def accepts(self, amount_minor: int, currency: str) -> bool:
        """Say whether Toss takes this amount: won, from its minimum on."""
        return currency == CURRENCY and amount_minor >= AMOUNT_MIN

    async def open(self, order: PaymentOrder, key: str) -> Opened:
        """Return what the payment window needs; Toss learns of the order from the browser."""
        del key
        client = {
            "client_key": self._settings.toss_client_key,
            "sdk_url": self._settings.toss_sdk_url,
            "order_id": order.order_id,
            "order_name": order.title[:100],
            "amount": str(order.amount_minor),
            "currency": order.currency,
        }
        return Opened(client, None)

    async def confirm(self, order: PaymentOrder, payment_key: str, key: str) -> ProviderPayment:
        """Move the money of an authorized payment."""
        # guard: toss_payment_key_is_one => if False:
        if not _PAYMENT_KEY.fullmatch(payment_key):
            raise ProviderDeclined(DeclineReason.OTHER, "the payment key is malformed")
        body = {"paymentKey": payment_key, "orderId": order.order_id, "amount": order.amount_minor}
        answer = await self._http.call(
            ProviderRequest(
                "confirm", "POST", "/v1/payments/confirm", body=body, key=key,
                timeout_ms=self._settings.confirm_timeout_ms,
            )
        )  # fmt: skip
        if answer.status != 200:
            _refuse(answer)
        return _payment(shaped(NAME, answer.body, TossPayment))

    async def look_up(self, order_id: str, payment_key: str | None) -> ProviderPayment | None:
        """Return the payment of an order; the browser's payment key is not trusted."""
        del payment_key
        answer = await self._http.call(
            ProviderRequest("look_up", "GET", f"/v1/payments/orders/{order_id}")
        )
        payment = _found(answer)
        return None if payment is None else _payment(payment)

    async def abandon(self, order: PaymentOrder, payment_key: str | None, key: str) -> None:
        """Do nothing: what is not confirmed expires by itself."""

    async def refund(self, refund: RefundOrder, key: str) -> ProviderRefund:
        """Cancel a payment, or part of it."""
        body: dict[str, object] = {"cancelReason": _reason(refund)}
        if not refund.is_whole:
            body["cancelAmount"] = refund.amount_minor
        answer = await self._http.call(
            ProviderRequest(
                "refund", "POST", f"/v1/payments/{_path(refund.payment_key)}/cancel", body=body,
                key=key, timeout_ms=self._settings.confirm_timeout_ms,
            )
        )  # fmt: skip
        if answer.status == 200:
            found = _refund_in(shaped(NAME, answer.body, TossPayment), refund)
            if found is None:
                raise ProviderUnknown("toss: the answer lacks the cancellation")
            return found
        code = _code(answer)
        if code in _REFUND_UNCLEAR:
            return await self._explained(refund, answer)
        if code not in _REFUND_REFUSED:
            _refuse(answer)
        return ProviderRefund(None, "FAILED", refund.amount_minor, refund.currency, code)

    async def _explained(self, refund: RefundOrder, answer: ProviderAnswer) -> ProviderRefund:
        """Return what a look-up says of a refund whose refusal may have several reasons."""
        with after_sending():
            payment = await self._payment_of(refund.payment_key)
        if payment is None:
            _refuse(answer)
        found, code = _refund_in(payment, refund), _code(answer)
        if found is not None:
            return found
        is_deposit = code == _INVALID and payment.virtual_account is not None
        # guard: toss_payment_that_is_not_cancelled_is_asked_again: and payment.status == "CANCELED" =>
        is_given_back = code == _CANCELLED and payment.status == "CANCELED"
        # guard: toss_refusal_that_is_not_explained_is_unknown => if False:
        if not (is_deposit or is_given_back):
            _refuse(answer)
        reason = _ACCOUNT_NEEDED if is_deposit else code
        return ProviderRefund(None, "FAILED", refund.amount_minor, refund.currency, reason)

    async def look_up_refund(self, refund: RefundOrder, key: str) -> ProviderRefund | None:
        """Return the cancellation that carries the refund's id."""
        del key
        payment = await self._payment_of(refund.payment_key)
        return None if payment is None else _refund_in(payment, refund)

    async def look_up_dispute(self, dispute_key: str) -> ProviderDispute | None:
        """Return None: chargebacks reach no API of Toss."""
        del dispute_key
        return None

    async def statement(
        self, since: datetime, until: datetime, cursor: str | None = None
    ) -> StatementPage:
        """Return movements of `since ≤ time < until`; Toss filters by whole seconds of Seoul."""
        query = {
            "startDate": _seoul(since),
            "endDate": _seoul(until),
            "limit": str(_STATEMENT_PAGE),
        } | ({"startingAfter": cursor} if cursor else {})
        answer = await self._http.call(
            ProviderRequest(
                "statement", "GET", "/v1/transactions", query=query,
                timeout_ms=self._settings.provider_statement_timeout_ms,
            )
        )  # fmt: skip
        if answer.status != 200:
            _refuse(answer)
        found = shaped(NAME, answer.body, list[TossTransaction])
        lines = [await self._line(one) for one in found]
        # guard: toss_statement_ends_in_time: since <= one.movement.happened_at < until => True
        shown = [one for one in lines if one and since <= one.movement.happened_at < until]
        is_last = len(found) < _STATEMENT_PAGE
        return StatementPage(tuple(shown), None if is_last else found[-1].transaction_key)

    async def _line(self, one: TossTransaction) -> StatementLine | None:
        """Return a line; None where no money moved, as at the issue of a virtual account."""
        if one.amount == 0 or one.status not in ("DONE", "CANCELED", "PARTIAL_CANCELED"):
            return None
        is_capture = one.status == "DONE"
        key = one.payment_key if is_capture else one.transaction_key
        if not is_capture and one.method in _VIRTUAL_ACCOUNT:
            # A virtual account that was closed without a deposit has such a line too.
            payment = await self._payment_of(one.payment_key)
            if payment is None or key not in {found.key for found in _movements(payment)}:
                return None
        kind: MovementKind = "capture" if is_capture else "refund"
        movement = Movement(key, kind, abs(one.amount), one.currency, _aware(one.transaction_at))
        return StatementLine(movement, one.order_id, one.payment_key)

    async def _payment_of(self, payment_key: str) -> TossPayment | None:
        path = f"/v1/payments/{_path(payment_key)}"
        return _found(await self._http.call(ProviderRequest("look_up", "GET", path)))

    def read_notice(self, headers: Mapping[str, str], body: bytes) -> ProviderNotice:
        """Return what a notice says; it is a hint, or carries the secret of a deposit.

        The id is that of the content, so that a forged notice cannot take the place of a true one.
        """
        try:
            event = msgspec.json.decode(body, type=TossEvent)
        except msgspec.DecodeError as error:
            raise NoticeForged("toss: a notice of another form") from error
        order_id = event.order_id or event.data.get("orderId")
        payment_key = event.data.get("paymentKey")
        if not isinstance(order_id, str) or not isinstance(payment_key, str | None):
            raise NoticeForged("toss: a notice without an order")
        sent = headers.get("tosspayments-webhook-transmission-id", "")
        secret = event.secret if event.event_type == "DEPOSIT_CALLBACK" else None
        return ProviderNotice(
            notice_id=hashlib.sha256(sent.encode() + b"\n" + body).hexdigest(),
            kind=event.event_type[:60],
            grade="hint" if secret is None else "secret",
            order_id=order_id,
            payment_key=payment_key,
            secret=secret,
        )


def _refuse(answer: ProviderAnswer) -> Never:
    """Raise what an answer that is not a success means."""
    code = _code(answer)
    if code in _MISCONFIGURED or answer.status == 401:
        raise ProviderMisconfigured(f"toss refuses our key or shop: {code}")
    if code in _REASONS:
        raise ProviderDeclined(_REASONS[code], code)
    raise ProviderUnknown(f"toss answered {answer.status} {code}")


def _code(answer: ProviderAnswer) -> str:
    body = answer.body if isinstance(answer.body, dict) else {}
    # Version 2024-06-01 and later wrap the error.
    inner = body.get("error", body)
    code = inner.get("code") if isinstance(inner, dict) else None
    return code if isinstance(code, str) else ""


def _found(answer: ProviderAnswer) -> TossPayment | None:
    if answer.status == 404 and _code(answer) in ("NOT_FOUND_PAYMENT", "NOT_FOUND"):
        return None
    if answer.status != 200:
        _refuse(answer)
    return shaped(NAME, answer.body, TossPayment)


def _payment(one: TossPayment) -> ProviderPayment:
    movements = _movements(one)
    status = _STATUSES.get(one.status)
    if status is None:
        raise ProviderUnknown(f"toss: a payment in state {one.status[:60]!r}")
    if status is PaymentStatus.REFUNDED and not movements:
        status = PaymentStatus.CANCELLED
    reason = _REASONS.get(one.failure.code, DeclineReason.OTHER) if one.failure else None
    return ProviderPayment(
        order_id=one.order_id,
        payment_key=one.payment_key,
        status=status,
        amount_minor=one.total_amount,
        currency=one.currency,
        movements=tuple(movements),
        reason=reason,
        is_partial_refundable=one.is_partial_cancelable is not False,
        deposit_secret=one.secret if one.virtual_account else None,
    )


def _movements(one: TossPayment) -> list[Movement]:
    """Return the money that moved: nothing before the approval, and only finished cancellations."""
    if one.status not in ("DONE", "CANCELED", "PARTIAL_CANCELED") or one.approved_at is None:
        return []
    at = _aware(one.approved_at)
    captured = Movement(one.payment_key, "capture", one.total_amount, one.currency, at)
    return [captured] + [
        Movement(
            cancel.transaction_key,
            "refund",
            cancel.cancel_amount,
            one.currency,
            _aware(cancel.canceled_at),
        )
        for cancel in one.cancels or ()
        # guard: toss_pending_cancel_moved_nothing => if True
        if cancel.cancel_status == "DONE"
    ]


def _reason(refund: RefundOrder) -> str:
    mark = f" ({refund.refund_id})"
    return refund.reason[: _REASON_MAX - len(mark)] + mark


def _refund_in(payment: TossPayment, refund: RefundOrder) -> ProviderRefund | None:
    for cancel in payment.cancels or ():
        # guard: toss_refund_is_found_by_its_id => if True:
        if cancel.cancel_reason.endswith(f"({refund.refund_id})"):
            status = _REFUND_STATUSES.get(cancel.cancel_status, "PENDING")
            return ProviderRefund(
                cancel.transaction_key,
                status,
                cancel.cancel_amount,
                payment.currency,
                cancel.cancel_status if status == "FAILED" else None,
                _aware(cancel.canceled_at) if status == "DONE" else None,
            )
    return None


def _path(payment_key: str) -> str:
    if not _PAYMENT_KEY.fullmatch(payment_key):
        raise ProviderMisconfigured(f"toss: {payment_key[:60]!r} is not a payment key")
    return payment_key


def _aware(at: datetime) -> datetime:
    return at if at.tzinfo is not None else at.replace(tzinfo=_SEOUL)


def _seoul(at: datetime) -> str:
    return at.astimezone(_SEOUL).strftime("%Y-%m-%dT%H:%M:%S")
