"""What the status of an intent allows, and what a provider's answer means for it. Pure."""

from collections.abc import Sequence
from enum import StrEnum
from uuid import UUID

from boxoffice.payments.providers.port import Movement, PaymentStatus, ProviderPayment
from boxoffice.platform.ids import ScopedId


class IntentStatus(StrEnum):
    """The states of a payment intent."""

    OPEN = "OPEN"
    CONFIRMING = "CONFIRMING"
    UNKNOWN = "UNKNOWN"
    AWAITING_DEPOSIT = "AWAITING_DEPOSIT"
    SUCCEEDED = "SUCCEEDED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    CAPTURED_LATE = "CAPTURED_LATE"
    RETURNING = "RETURNING"
    RETURNED = "RETURNED"


# An attempt was begun and its outcome is open.
IN_FLIGHT = frozenset(
    {IntentStatus.CONFIRMING, IntentStatus.UNKNOWN, IntentStatus.AWAITING_DEPOSIT}
)
# Nothing was charged, and nothing will be.
UNPAID = frozenset({IntentStatus.CANCELLED, IntentStatus.EXPIRED})


class Change(StrEnum):
    """What becomes of an intent of which no money is known to have moved (`functions.sql`)."""

    CANCEL = "cancel"
    EXPIRE = "expire"
    DECLINE = "decline"
    UNSENT = "unsent"
    ABSENT = "absent"
    UNKNOWN = "unknown"
    AWAIT_DEPOSIT = "await_deposit"


# The change after an answer of the provider that has no capture.
_CHANGES = {
    # The buyer has not finished: the attempt has failed, and counts.
    PaymentStatus.WAITING: Change.DECLINE,
    PaymentStatus.AUTHORIZED: Change.DECLINE,
    PaymentStatus.DECLINED: Change.DECLINE,
    PaymentStatus.EXPIRED: Change.ABSENT,
    PaymentStatus.CANCELLED: Change.ABSENT,
    PaymentStatus.AWAITING_DEPOSIT: Change.AWAIT_DEPOSIT,
}


def order_id(user_id: UUID, intent_id: UUID) -> str:
    """Return the public id of an intent, which is the provider's order id as well."""
    return str(ScopedId(user_id, intent_id))


def captures(payment: ProviderPayment) -> Sequence[Movement]:
    """Return the movements that brought money."""
    return [one for one in payment.movements if one.kind == "capture"]


def is_sellable(payment: ProviderPayment) -> bool:
    """Say whether all that was captured is still there; none of it was given back at the provider."""
    return payment.status is PaymentStatus.CAPTURED


def change_after(payment: ProviderPayment) -> Change:
    """Return what a confirmation without a capture means; what is not clear is unknown."""
    return _CHANGES.get(payment.status, Change.UNKNOWN)
