"""The history of a reservation, derived from its rows."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

EventKind = Literal[
    "HELD", "LAPSED", "EXPIRED", "CANCELLED", "CONFIRMED", "PAID", "TICKET_ISSUED", "MONEY_MOVED"
]
# Events of one transaction have the same time and are listed in this order.
_ORDER: tuple[EventKind, ...] = (
    "HELD", "LAPSED", "EXPIRED", "CANCELLED", "PAID", "MONEY_MOVED", "CONFIRMED", "TICKET_ISSUED",
)  # fmt: skip


class ReservationRow(msgspec.Struct, frozen=True, kw_only=True):
    """A reservation; `now` is the database's time of the read."""

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
    order_number: str | None
    now: datetime


class PaymentRow(msgspec.Struct, frozen=True, kw_only=True):
    """A payment for a reservation."""

    payment_id: UUID
    amount_minor: int
    currency: str
    method: str
    status: str
    created_at: datetime


class TransferRow(msgspec.Struct, frozen=True, kw_only=True):
    """A ledger transfer of a payment: the payment itself or a refund."""

    transfer_id: UUID
    kind: str
    amount_minor: int
    currency: str
    created_at: datetime


class TicketRow(msgspec.Struct, frozen=True, kw_only=True):
    """A ticket of a reservation."""

    ticket_id: UUID
    seat_id: str
    status: str
    issued_at: datetime


class HistoryEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One change of a reservation; the fields of `details` depend on `what`."""

    at: datetime
    what: EventKind
    details: dict[str, Any]


def history(
    found: ReservationRow,
    payments: Sequence[PaymentRow],
    transfers: Sequence[TransferRow],
    tickets: Sequence[TicketRow],
) -> list[HistoryEvent]:
    """Return the events of a reservation, earliest first."""
    events = [
        *_hold_events(found),
        *(_payment_event(payment) for payment in payments),
        *(_transfer_event(transfer) for transfer in transfers),
        *(_ticket_event(ticket) for ticket in tickets),
    ]
    return sorted(events, key=lambda event: (event.at, _ORDER.index(event.what)))


def _hold_events(found: ReservationRow) -> Iterable[HistoryEvent]:
    held: dict[str, object] = {
        "seat_ids": found.seat_ids,
        "amount": found.amount_minor,
        "currency": found.currency,
        "expires_at": found.expires_at,
    }
    yield HistoryEvent(at=found.created_at, what="HELD", details=held)
    if found.status == "EXPIRED" or (found.status == "HELD" and found.expires_at <= found.now):
        yield HistoryEvent(at=found.expires_at, what="LAPSED", details={})
    if found.closed_at is None:
        return
    match found.status:
        # The seats were free from `expires_at` on; the sweeper recorded it later.
        case "EXPIRED":
            yield HistoryEvent(at=found.closed_at, what="EXPIRED", details={})
        case "CANCELLED":
            yield HistoryEvent(at=found.closed_at, what="CANCELLED", details={})
        case "CONFIRMED" | "REFUNDED":  # closed by the payment
            yield HistoryEvent(at=found.closed_at, what="CONFIRMED", details={})


def _payment_event(payment: PaymentRow) -> HistoryEvent:
    details: dict[str, object] = {
        "payment_id": payment.payment_id,
        "amount": payment.amount_minor,
        "currency": payment.currency,
        "method": payment.method,
        "status": payment.status,
    }
    return HistoryEvent(at=payment.created_at, what="PAID", details=details)


def _transfer_event(transfer: TransferRow) -> HistoryEvent:
    details: dict[str, object] = {
        "transfer_id": transfer.transfer_id,
        "kind": transfer.kind,
        "amount": transfer.amount_minor,
        "currency": transfer.currency,
    }
    return HistoryEvent(at=transfer.created_at, what="MONEY_MOVED", details=details)


def _ticket_event(ticket: TicketRow) -> HistoryEvent:
    details: dict[str, object] = {
        "ticket_id": ticket.ticket_id,
        "seat_id": ticket.seat_id,
        "status": ticket.status,
    }
    return HistoryEvent(at=ticket.issued_at, what="TICKET_ISSUED", details=details)
