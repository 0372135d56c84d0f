"""The topics of events and the types of their data; `docs/events.md` has the same table."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from uuid import UUID

import msgspec


class Scope(Enum):
    """The meaning of an event's `scope_id` in the outbox."""

    SCHEDULE = "schedule_id"
    PERSON = "user_id"


@dataclass(frozen=True)
class Topic:
    """A kind of event: its occasion, the field with the id of its subject, and the type of its data."""

    name: str
    occasion: str
    scope: Scope
    subject_field: str
    data: type[msgspec.Struct]
    stored_as: str = ""
    """The topic of its rows in the outbox, where that differs from `name`."""
    is_scoped: bool = False
    """Whether the public id of a person's subject contains that of the person."""

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields of its data."""
        return self.data.__struct_fields__


class ReservationEnded(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A reservation whose seats are free again; ids are those of the API."""

    reservation_id: str
    schedule_id: UUID
    user_id: UUID
    seat_ids: list[str]


class ReservationConfirmed(ReservationEnded, frozen=True, forbid_unknown_fields=True):
    """A reservation and its amount in minor units of `currency` (ISO 4217)."""

    amount: int
    currency: str


class ReservationHeld(ReservationConfirmed, frozen=True, forbid_unknown_fields=True):
    """A hold; `expires_at` is its end when it was made."""

    expires_at: datetime


class PaymentChanged(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A payment, its reservation, and the seats and amount that were paid or given back."""

    payment_id: str
    reservation_id: str
    schedule_id: UUID
    user_id: UUID
    seat_ids: list[str]
    amount: int
    currency: str


class PerformanceChanged(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A change of a performance; `user_id` is the member who made it."""

    change_id: str
    schedule_id: UUID
    user_id: UUID


class RefundEnded(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A refund of a buyer, in minor units."""

    refund_id: UUID
    user_id: UUID
    amount: int
    currency: str


class PaymentLate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A payment intent whose money is being returned."""

    intent_id: str
    user_id: UUID
    amount: int
    currency: str


class DisputeChanged(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A dispute of a payment."""

    dispute_id: UUID
    user_id: UUID
    amount: int
    currency: str


class WalletToppedUp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Money that came into a wallet."""

    top_up_id: UUID
    user_id: UUID
    amount: int
    currency: str


# By the topic of the rows in the outbox.
TOPICS = {
    topic.stored_as or topic.name: topic
    for topic in (
        Topic(
            "reservation.held",
            "Seats were held.",
            Scope.SCHEDULE,
            "reservation_id",
            ReservationHeld,
        ),
        Topic(
            "reservation.confirmed",
            "A hold was paid and its seats are sold.",
            Scope.SCHEDULE,
            "reservation_id",
            ReservationConfirmed,
        ),
        Topic(
            "reservation.expired",
            "A hold expired and was closed by the sweeper.",
            Scope.SCHEDULE,
            "reservation_id",
            ReservationEnded,
        ),
        Topic(
            "reservation.cancelled",
            "A hold was cancelled by its user.",
            Scope.SCHEDULE,
            "reservation_id",
            ReservationEnded,
        ),
        Topic(
            "payment.succeeded",
            "A reservation was paid.",
            Scope.SCHEDULE,
            "payment_id",
            PaymentChanged,
        ),
        Topic(
            "payment.refunded",
            "Tickets of a payment were returned; their seats are on sale.",
            Scope.SCHEDULE,
            "payment_id",
            PaymentChanged,
        ),
        Topic(
            "schedule.cancelled",
            "A performance was cancelled; its refunds begin.",
            Scope.SCHEDULE,
            "change_id",
            PerformanceChanged,
        ),
        Topic(
            "schedule.postponed",
            "A performance got another date.",
            Scope.SCHEDULE,
            "change_id",
            PerformanceChanged,
        ),
        Topic(
            "schedule.changed",
            "A performance got another place, or another start before it was sold.",
            Scope.SCHEDULE,
            "change_id",
            PerformanceChanged,
        ),
        Topic(
            "refund.succeeded",
            "The money of a refund has arrived.",
            Scope.PERSON,
            "refund_id",
            RefundEnded,
        ),
        Topic(
            "refund.failed",
            "A provider refused a refund; an operator decides.",
            Scope.PERSON,
            "refund_id",
            RefundEnded,
        ),
        Topic(
            "payment.late",
            "Money arrived at a provider that could not be used; it is being returned.",
            Scope.PERSON,
            "intent_id",
            PaymentLate,
            is_scoped=True,
        ),
        Topic(
            "dispute.opened",
            "A buyer's bank disputes a payment.",
            Scope.PERSON,
            "dispute_id",
            DisputeChanged,
        ),
        Topic(
            "dispute.closed",
            "A dispute was won or lost.",
            Scope.PERSON,
            "dispute_id",
            DisputeChanged,
        ),
        Topic(
            "wallet.topped_up",
            "Money came into a wallet.",
            Scope.PERSON,
            "top_up_id",
            WalletToppedUp,
            stored_as="wallet.charged",
        ),
    )
}
