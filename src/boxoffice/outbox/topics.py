"""The topics of events and the fields of their data; `docs/events.md` has the same table."""

from dataclasses import dataclass
from enum import Enum


class Scope(Enum):
    """The meaning of an event's `scope_id` in the outbox."""

    SCHEDULE = "schedule_id"
    PERSON = "user_id"


@dataclass(frozen=True)
class Topic:
    """A kind of event: its occasion, the field with the id of its subject, and all fields."""

    name: str
    occasion: str
    scope: Scope
    subject_field: str
    fields: tuple[str, ...]
    stored_as: str = ""
    """The topic of its rows in the outbox, where that differs from `name`."""
    is_scoped: bool = False
    """Whether the public id of a person's subject contains that of the person."""


_DISPUTE = ("dispute_id", "user_id", "amount", "currency")
_REFUND = ("refund_id", "user_id", "amount", "currency")
_RESERVATION = ("reservation_id", "schedule_id", "user_id", "seat_ids")

# By the topic of the rows in the outbox.
TOPICS = {
    topic.stored_as or topic.name: topic
    for topic in (
        Topic(
            "reservation.held",
            "Seats were held.",
            Scope.SCHEDULE,
            "reservation_id",
            (*_RESERVATION, "amount", "currency", "expires_at"),
        ),
        Topic(
            "reservation.confirmed",
            "A hold was paid and its seats are sold.",
            Scope.SCHEDULE,
            "reservation_id",
            (*_RESERVATION, "amount", "currency"),
        ),
        Topic(
            "reservation.expired",
            "A hold expired and was closed by the sweeper.",
            Scope.SCHEDULE,
            "reservation_id",
            _RESERVATION,
        ),
        Topic(
            "reservation.cancelled",
            "A hold was cancelled by its user.",
            Scope.SCHEDULE,
            "reservation_id",
            _RESERVATION,
        ),
        Topic(
            "payment.succeeded",
            "A reservation was paid.",
            Scope.SCHEDULE,
            "payment_id",
            ("payment_id", *_RESERVATION, "amount", "currency"),
        ),
        Topic(
            "payment.refunded",
            "Tickets of a payment were returned; their seats are on sale.",
            Scope.SCHEDULE,
            "payment_id",
            ("payment_id", *_RESERVATION, "amount", "currency"),
        ),
        Topic(
            "schedule.cancelled",
            "A performance was cancelled; its refunds begin.",
            Scope.SCHEDULE,
            "change_id",
            ("change_id", "schedule_id", "user_id"),
        ),
        Topic(
            "schedule.postponed",
            "A performance got another date.",
            Scope.SCHEDULE,
            "change_id",
            ("change_id", "schedule_id", "user_id"),
        ),
        Topic(
            "schedule.changed",
            "A performance got another place, or another start before it was sold.",
            Scope.SCHEDULE,
            "change_id",
            ("change_id", "schedule_id", "user_id"),
        ),
        Topic(
            "refund.succeeded",
            "The money of a refund has arrived.",
            Scope.PERSON,
            "refund_id",
            _REFUND,
        ),
        Topic(
            "refund.failed",
            "A provider refused a refund; an operator decides.",
            Scope.PERSON,
            "refund_id",
            _REFUND,
        ),
        Topic(
            "payment.late",
            "Money arrived at a provider that could not be used; it is being returned.",
            Scope.PERSON,
            "intent_id",
            ("intent_id", "user_id", "amount", "currency"),
            is_scoped=True,
        ),
        Topic(
            "dispute.opened",
            "A buyer's bank disputes a payment.",
            Scope.PERSON,
            "dispute_id",
            _DISPUTE,
        ),
        Topic(
            "dispute.closed",
            "A dispute was won or lost.",
            Scope.PERSON,
            "dispute_id",
            _DISPUTE,
        ),
        Topic(
            "wallet.topped_up",
            "Money came into a wallet.",
            Scope.PERSON,
            "top_up_id",
            ("top_up_id", "user_id", "amount", "currency"),
            stored_as="wallet.charged",
        ),
    )
}
