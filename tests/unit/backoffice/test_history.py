"""The history of a reservation is told in order, and of every end that it may have."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from boxoffice.backoffice.rules import PaymentRow, ReservationRow, TicketRow, TransferRow, history

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)


def found(**changed: Any) -> ReservationRow:
    """A hold of one seat."""
    given: dict[str, Any] = {
        "schedule_id": uuid4(),
        "reservation_id": uuid4(),
        "user_id": uuid4(),
        "email": "a@example.test",
        "name": "A",
        "status": "HELD",
        "seat_ids": ("A-1-1",),
        "amount_minor": 1000,
        "currency": "KRW",
        "created_at": AT,
        "expires_at": AT + timedelta(seconds=300),
        "closed_at": None,
        "order_number": None,
        "now": AT + timedelta(seconds=10),
    }
    return ReservationRow(**{**given, **changed})


LATER = AT + timedelta(seconds=400)
ENDS: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["HELD"]),
    ({"now": LATER}, ["HELD", "LAPSED"]),
    ({"status": "EXPIRED", "closed_at": LATER, "now": LATER}, ["HELD", "LAPSED", "EXPIRED"]),
    ({"status": "CANCELLED", "closed_at": AT + timedelta(seconds=5)}, ["HELD", "CANCELLED"]),
    ({"status": "CONFIRMED", "closed_at": AT + timedelta(seconds=5)}, ["HELD", "CONFIRMED"]),
]


@pytest.mark.parametrize(("changed", "told"), ENDS)
def test_every_end_is_in_the_history(changed: dict[str, Any], told: list[str]) -> None:
    events = history(found(**changed), [], [], [])
    assert [event.what for event in events] == told
    assert [event.at for event in events] == sorted(event.at for event in events)


def test_events_of_one_moment_are_in_order() -> None:
    paid_at = AT + timedelta(seconds=5)
    events = history(
        found(status="CONFIRMED", closed_at=paid_at),
        [
            PaymentRow(
                payment_id=uuid4(),
                amount_minor=1000,
                currency="KRW",
                method="wallet",
                status="SUCCEEDED",
                created_at=paid_at,
            )
        ],
        [
            TransferRow(
                transfer_id=uuid4(),
                kind="payment",
                amount_minor=1000,
                currency="KRW",
                created_at=paid_at,
            )
        ],
        [TicketRow(ticket_id=uuid4(), seat_id="A-1-1", status="VALID", issued_at=paid_at)],
    )
    assert [event.what for event in events] == [
        "HELD",
        "PAID",
        "MONEY_MOVED",
        "CONFIRMED",
        "TICKET_ISSUED",
    ]
