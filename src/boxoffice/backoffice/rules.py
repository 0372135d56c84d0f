"""The history of a reservation, told from what is written of it."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

What = Literal[
    "HELD", "LAPSED", "EXPIRED", "CANCELLED", "CONFIRMED", "PAID", "TICKET_ISSUED", "MONEY_MOVED"
]
# What happens in one transaction has one time, and is told in this order.
_ORDER: tuple[What, ...] = (
    "HELD", "LAPSED", "EXPIRED", "CANCELLED", "PAID", "MONEY_MOVED", "CONFIRMED", "TICKET_ISSUED",
)  # fmt: skip


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A reservation as its organizer sees it; `now` is the database's time of the reading."""

    schedule_id: UUID
    reservation_id: UUID
    user_id: UUID
    email: str
    name: str
    status: str
    seat_ids: tuple[str, ...]
    amount_minor: int
    currency: str
    created_at: datetime
    expires_at: datetime
    closed_at: datetime | None
    now: datetime


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """A payment for a reservation."""

    payment_id: UUID
    amount_minor: int
    currency: str
    method: str
    status: str
    created_at: datetime


class Transfer(msgspec.Struct, frozen=True, kw_only=True):
    """Money that moved in the ledger for a payment: the payment itself, or what was given back."""

    transfer_id: UUID
    kind: str
    amount_minor: int
    currency: str
    created_at: datetime


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """A ticket of a reservation."""

    ticket_id: UUID
    seat_id: str
    status: str
    issued_at: datetime


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that became of a reservation; `details` depend on `what`."""

    at: datetime
    what: What
    details: dict[str, Any]


def history(
    found: Found,
    payments: Sequence[Payment],
    transfers: Sequence[Transfer],
    tickets: Sequence[Ticket],
) -> list[Event]:
    """Return what became of a reservation, the earliest first."""
    events = [
        *_of_hold(found),
        *(_paid(payment) for payment in payments),
        *(_moved(transfer) for transfer in transfers),
        *(_issued(ticket) for ticket in tickets),
    ]
    return sorted(events, key=lambda event: (event.at, _ORDER.index(event.what)))


def _of_hold(found: Found) -> Iterable[Event]:
    held: dict[str, object] = {
        "seat_ids": found.seat_ids,
        "amount": found.amount_minor,
        "currency": found.currency,
        "expires_at": found.expires_at,
    }
    yield Event(at=found.created_at, what="HELD", details=held)
    if found.status == "EXPIRED" or (found.status == "HELD" and found.expires_at <= found.now):
        yield Event(at=found.expires_at, what="LAPSED", details={})
    if found.closed_at is None:
        return
    match found.status:
        # The seats were free since the hold lapsed; here the sweeper wrote it down.
        case "EXPIRED":
            yield Event(at=found.closed_at, what="EXPIRED", details={})
        case "CANCELLED":
            yield Event(at=found.closed_at, what="CANCELLED", details={})
        case "CONFIRMED":
            yield Event(at=found.closed_at, what="CONFIRMED", details={})


def _paid(payment: Payment) -> Event:
    details: dict[str, object] = {
        "payment_id": payment.payment_id,
        "amount": payment.amount_minor,
        "currency": payment.currency,
        "method": payment.method,
        "status": payment.status,
    }
    return Event(at=payment.created_at, what="PAID", details=details)


def _moved(transfer: Transfer) -> Event:
    details: dict[str, object] = {
        "transfer_id": transfer.transfer_id,
        "kind": transfer.kind,
        "amount": transfer.amount_minor,
        "currency": transfer.currency,
    }
    return Event(at=transfer.created_at, what="MONEY_MOVED", details=details)


def _issued(ticket: Ticket) -> Event:
    details: dict[str, object] = {
        "ticket_id": ticket.ticket_id,
        "seat_id": ticket.seat_id,
        "status": ticket.status,
    }
    return Event(at=ticket.issued_at, what="TICKET_ISSUED", details=details)
