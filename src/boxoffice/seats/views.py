"""The seats of a schedule as the API shows them."""

from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from boxoffice.platform.values import Money

SeatStatus = Literal["AVAILABLE", "HELD", "SOLD", "BLOCKED"]


class Seat(msgspec.Struct, frozen=True):
    """A seat of a seat map."""

    seat_id: str
    section: str
    row: str
    number: int
    grade: str
    price: Money
    status: SeatStatus


class SeatMap(msgspec.Struct, frozen=True, kw_only=True):
    """The seats of a schedule; `version` grows with every change of a seat.

    `layout_version` grows when seats are added, at the end, or when prices or grades change.
    """

    schedule_id: UUID
    layout_version: int
    version: int
    currency: str
    seats: list[Seat]


class _SeatsEvent(msgspec.Struct, frozen=True, kw_only=True):
    seq: int
    version: int
    seats_available: int
    on_sale: bool


class SeatsSnapshot(_SeatsEvent, frozen=True, kw_only=True):
    """The status of every seat: in `states`, the first letter of each, in the order of the seat map.

    The first event of a stream sets `seq`; each later event increases it by one. With another
    `layout_version` than that of the seat map, get the map again.
    """

    layout_version: int
    states: Annotated[str, Meta(pattern="^[AHSB]*$")]


class SeatsChange(_SeatsEvent, frozen=True, kw_only=True):
    """Seats with a new status: in `seats`, their positions in the seat map, counted from 0."""

    seats: dict[SeatStatus, list[int]]


class SaleEvent(_SeatsEvent, frozen=True, kw_only=True):
    """The last free seat is gone or the first is back, or the sale has begun or ended."""

    sold_out: bool


class SeatsAlive(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing has changed; the next event follows within this time, in milliseconds."""

    next_within_ms: int
