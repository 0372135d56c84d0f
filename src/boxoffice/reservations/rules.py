"""The rules of reservations: limits of a request, adjacent seats, the status of a hold. Pure."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from hashlib import blake2b
from uuid import UUID

from boxoffice.errors import Invalid

# Adjacent seats as positions in the layout.
Chain = tuple[int, ...]


class Status(StrEnum):
    """The status of a reservation."""

    HELD = "HELD"
    CONFIRMED = "CONFIRMED"
    EXPIRED = "EXPIRED"
    CANCELLED = "CANCELLED"
    REFUNDED = "REFUNDED"  # it was paid, and none of its tickets is live


def status_at(status: str, expires_at: datetime, now: datetime) -> Status:
    """Return the status that callers see: a lapsed hold is expired, also before it is swept."""
    if status == Status.HELD and expires_at <= now:
        return Status.EXPIRED
    return Status(status)


def check_seat_ids(seat_ids: Sequence[str], seats_max: int) -> None:
    """Raise `Invalid` for a list of seats that is empty, too long or has duplicates."""
    if not seat_ids:
        raise Invalid("seat_ids must name at least one seat.")
    if len(seat_ids) > seats_max:
        raise Invalid(f"At most {seats_max} seats can be held at once.", seats_max=seats_max)
    if len(set(seat_ids)) != len(seat_ids):
        raise Invalid("seat_ids names a seat twice.")


def check_quantity(quantity: int, seats_max: int) -> None:
    """Raise `Invalid` for more seats than one hold may have."""
    if quantity > seats_max:
        raise Invalid(f"At most {seats_max} seats can be held at once.", seats_max=seats_max)


def lock_owner(user_id: UUID, key: str) -> str:
    """Return the owner token of the seat lock, the same for a request and its repetitions."""
    return blake2b(user_id.bytes + key.encode(), digest_size=12).hexdigest()


def chains(places: Sequence[tuple[str, str, int]]) -> list[Chain]:
    """Return the runs of adjacent seats of a layout, given (section, row, number) by position.

    Adjacent seats have the same section and row and consecutive numbers. The order of the layout is the
    order of quality; the best chain, which has the best seat, comes first.
    """
    rows: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for position, (section, row, number) in enumerate(places):
        rows.setdefault((section, row), []).append((number, position))
    found: list[Chain] = []
    for seats in rows.values():
        seats.sort()
        run = [seats[0]]
        for seat in seats[1:]:
            if seat[0] != run[-1][0] + 1:
                found.append(tuple(position for _, position in run))
                run = []
            run.append(seat)
        found.append(tuple(position for _, position in run))
    return sorted(found, key=min)
