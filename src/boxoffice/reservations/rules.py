"""The pure rules of reservations: which seats are best together, and what a lapsed hold is called."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from hashlib import blake2b
from uuid import UUID

from boxoffice.errors import Invalid

# Adjacent seats in the order in which people like them: positions in the layout, best chain first.
Chain = tuple[int, ...]


class Status(StrEnum):
    """What became of a reservation."""

    HELD = "HELD"
    CONFIRMED = "CONFIRMED"
    EXPIRED = "EXPIRED"
    CANCELLED = "CANCELLED"


def status_at(status: str, expires_at: datetime, now: datetime) -> Status:
    """Return the status as callers see it: a hold past its time is expired, tidied or not."""
    if status == Status.HELD and expires_at <= now:
        return Status.EXPIRED
    return Status(status)


def check_seat_ids(seat_ids: Sequence[str], seats_max: int) -> None:
    """Raise `Invalid` for an empty, overlong or repetitive list of seats."""
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
    """Return the owner token of the seat lock: the same for a request and for its repetition."""
    return blake2b(user_id.bytes + key.encode(), digest_size=12).hexdigest()


def chains(places: Sequence[tuple[str, str, int]]) -> list[Chain]:
    """Return the runs of adjacent seats of a layout, given (section, row, number) by position.

    Seats are adjacent where section and row agree and the numbers follow each other. The layout's
    order is the order of quality; the best chain is the one with the best seat in it.
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
