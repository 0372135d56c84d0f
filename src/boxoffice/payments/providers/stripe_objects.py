"""Stripe's objects: the parts that we use, and what they mean to the port. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from boxoffice.payments.providers.client import shaped
from boxoffice.payments.providers.port import (
    DeclineReason,
    DisputeStatus,
    Movement,
    MovementKind,
    PaymentStatus,
    ProviderRefund,
    RefundStatus,
    StatementLine,
)

NAME = "stripe"
UnixSeconds = Annotated[int, Meta(ge=0, le=253_402_300_799)]

STATUSES = {
    "requires_payment_method": PaymentStatus.WAITING,
    "requires_confirmation": PaymentStatus.WAITING,
    "requires_action": PaymentStatus.WAITING,
    "processing": PaymentStatus.WAITING,
    "requires_capture": PaymentStatus.AUTHORIZED,
    "succeeded": PaymentStatus.CAPTURED,
    "canceled": PaymentStatus.CANCELLED,
}
REFUND_STATUSES: dict[str, RefundStatus] = {
    "succeeded": "DONE",
    "pending": "PENDING",
    "requires_action": "PENDING",
    "failed": "FAILED",
    "canceled": "FAILED",
}
DISPUTE_STATUSES: dict[str, DisputeStatus] = {
    "won": "WON",
    "warning_closed": "WON",
    "prevented": "WON",
    "lost": "LOST",
}
# By `decline_code`, else by `code`.
REASONS: Mapping[str, DeclineReason] = {
    **dict.fromkeys(
        ("incorrect_number", "invalid_number", "invalid_account", "incorrect_cvc", "invalid_cvc",
         "lost_card", "stolen_card", "pickup_card", "restricted_card", "card_not_supported",
         "currency_not_supported"),
        DeclineReason.CARD_INVALID,
    ),
    **dict.fromkeys(
        ("expired_card", "invalid_expiry_month", "invalid_expiry_year"), DeclineReason.CARD_EXPIRED
    ),
    **dict.fromkeys(
        ("card_velocity_exceeded", "withdrawal_count_limit_exceeded"), DeclineReason.LIMIT_EXCEEDED
    ),
    **dict.fromkeys(
        ("authentication_required", "payment_intent_authentication_failure", "incorrect_pin"),
        DeclineReason.AUTHENTICATION_FAILED,
    ),
    **dict.fromkeys(
        ("amount_too_small", "amount_too_large"), DeclineReason.AMOUNT_REFUSED
    ),
    **dict.fromkeys(
        ("capture_charge_authorization_expired", "charge_expired_for_capture"),
        DeclineReason.SESSION_EXPIRED,
    ),
    "insufficient_funds": DeclineReason.INSUFFICIENT_FUNDS,
    "card_declined": DeclineReason.CARD_DECLINED,
}  # fmt: skip
MISCONFIGURED = {
    "api_key_expired", "platform_api_key_expired", "secret_key_required", "testmode_charges_only",
    "account_invalid", "livemode_mismatch", "parameter_unknown", "tls_version_unsupported",
}  # fmt: skip
# Balance transactions that are movements of payments; fees and payouts are not.
_CAPTURES = ("charge", "payment")
_REFUNDS = ("refund", "payment_refund")
_FAILED_REFUNDS = ("refund_failure", "payment_refund_failure", "payment_failure_refund")


class StripeError(msgspec.Struct):
    """The error of an answer, or the last one of a payment."""

    type: str = ""
    code: str | None = None
    decline_code: str | None = None


class StripeCharge(msgspec.Struct):
    """A charge: one attempt to pay; the time of its balance transaction is that of the capture."""

    id: str
    amount: int
    currency: str
    created: UnixSeconds
    payment_intent: str | None = None
    amount_captured: int = 0
    amount_refunded: int = 0
    captured: bool = False
    balance_transaction: Any = None
    metadata: dict[str, str] = {}


class StripeIntent(msgspec.Struct):
    """A payment intent, with its last charge expanded."""

    id: str
    amount: int
    currency: str
    status: str
    created: UnixSeconds
    client_secret: str | None = None
    metadata: dict[str, str] = {}
    latest_charge: StripeCharge | None = None
    last_payment_error: StripeError | None = None
    cancellation_reason: str | None = None


class StripeRefund(msgspec.Struct):
    """A refund; a balance transaction shows that money moved."""

    id: str
    amount: int
    currency: str
    created: UnixSeconds
    status: str | None = None
    payment_intent: str | None = None
    balance_transaction: str | None = None
    failure_balance_transaction: str | None = None
    failure_reason: str | None = None
    metadata: dict[str, str] | None = None


class StripeTransaction(msgspec.Struct):
    """A balance transaction; its source is expanded in the statement."""

    id: str
    type: str
    amount: int
    currency: str
    created: UnixSeconds
    fee: int = 0
    source: Any = None


class StripeDispute(msgspec.Struct):
    """A dispute with the balance transactions that withdrew or reinstated its amount."""

    id: str
    amount: int
    currency: str
    status: str
    reason: str = ""
    payment_intent: str | None = None
    balance_transactions: list[StripeTransaction] = []


def why(error: StripeError) -> tuple[DeclineReason, str]:
    """Return the reason of a decline, and the provider's code."""
    code = error.decline_code or error.code or error.type
    for one in (error.decline_code, error.code):
        if one is not None and one in REASONS:
            return REASONS[one], code
    is_card = error.type == "card_error" or error.decline_code is not None
    return DeclineReason.CARD_DECLINED if is_card else DeclineReason.OTHER, code


def statement_line(one: StripeTransaction) -> StatementLine | None:
    """Return a line; None where it is a fee or a payout."""
    if not isinstance(one.source, dict):
        return None
    kind = one.source.get("object")
    if one.type in _CAPTURES and kind == "charge":
        charge = shaped(NAME, one.source, StripeCharge)
        amount = charge.amount_captured or charge.amount
        movement = Movement(charge.id, "capture", amount, charge.currency.upper(), _at(one.created))
        order_id = charge.metadata.get("order_id")
        return StatementLine(movement, order_id, charge.payment_intent or charge.id, one.fee)
    if one.type in (*_REFUNDS, *_FAILED_REFUNDS) and kind == "refund":
        refund = shaped(NAME, one.source, StripeRefund)
        movement = _refund_movement(refund, is_failed=one.type in _FAILED_REFUNDS, at=one.created)
        return StatementLine(movement, None, refund.payment_intent or refund.id, one.fee)
    if one.type == "adjustment" and kind == "dispute":
        dispute = shaped(NAME, one.source, StripeDispute)
        movement = dispute_movement(one, dispute)
        return StatementLine(movement, None, dispute.payment_intent or dispute.id, one.fee)
    return None


def refund_of(one: StripeRefund) -> ProviderRefund:
    """Return a refund as the port has it."""
    status = REFUND_STATUSES.get(one.status or "", "PENDING")
    return ProviderRefund(
        one.id,
        status,
        one.amount,
        one.currency.upper(),
        (one.failure_reason or one.status) if status == "FAILED" else None,
        _at(one.created) if status == "DONE" else None,
    )


def refund_movements(one: StripeRefund) -> list[Movement]:
    """Return the money that a refund moved: none yet, out, or out and back."""
    found = []
    if one.balance_transaction is not None:
        found.append(_refund_movement(one, is_failed=False, at=one.created))
    if one.failure_balance_transaction is not None:
        found.append(_refund_movement(one, is_failed=True, at=one.created))
    return found


def _refund_movement(one: StripeRefund, *, is_failed: bool, at: int) -> Movement:
    """Return the movement of a refund, or of the money that came back because it failed."""
    key = f"{one.id}:failed" if is_failed else one.id
    kind: MovementKind = "refund_failed" if is_failed else "refund"
    return Movement(key, kind, one.amount, one.currency.upper(), _at(at))


def dispute_movement(one: StripeTransaction, dispute: StripeDispute) -> Movement:
    """Return what a dispute withdrew or reinstated, in the payment's currency."""
    kind: MovementKind = "dispute" if one.amount < 0 else "dispute_won"
    is_same = one.currency == dispute.currency
    amount = abs(one.amount) if is_same else dispute.amount
    return Movement(one.id, kind, amount, dispute.currency.upper(), _at(one.created))


def captured_at(charge: StripeCharge) -> datetime:
    """Return when the money moved; the charge itself is as old as the authorization."""
    moved = charge.balance_transaction
    if not isinstance(moved, dict):
        return _at(charge.created)
    return _at(shaped(NAME, moved, StripeTransaction).created)


def _at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
