"""How tickets are presented."""

from collections.abc import Container, Sequence
from typing import Literal
from uuid import UUID

import msgspec

from boxoffice.seats.layout import Layout


class TicketOut(msgspec.Struct):
    """A ticket: the right to one seat, while it is VALID."""

    ticket_id: UUID
    seat_id: str
    section: str
    row: str
    number: int
    grade: str
    status: Literal["VALID", "VOID"]


class QrCodeOut(msgspec.Struct):
    """A ticket's QR code (ISO/IEC 18004): its text and its modules by row, `1` for a dark one."""

    ticket_id: UUID
    text: str
    rows: list[str]


class QrCodesOut(msgspec.Struct, kw_only=True):
    """The QR codes of a payment's tickets, in the order of the tickets."""

    items: list[QrCodeOut]


def present_tickets(
    ticket_ids: Sequence[UUID],
    seat_ids: Sequence[str],
    layout: Layout,
    void: Container[UUID] = (),
) -> list[TicketOut]:
    """Return the tickets of seats that `layout` describes, in order."""
    return [
        _present_ticket(ticket_id, seat_id, layout, is_void=ticket_id in void)
        for ticket_id, seat_id in zip(ticket_ids, seat_ids, strict=True)
    ]


def _present_ticket(ticket_id: UUID, seat_id: str, layout: Layout, *, is_void: bool) -> TicketOut:
    seat = layout.seats[layout.index[seat_id]]
    status: Literal["VALID", "VOID"] = "VOID" if is_void else "VALID"
    return TicketOut(ticket_id, seat_id, seat.section, seat.row, seat.number, seat.grade, status)
