"""The seats of a schedule without their states, packed: a million seats must fit into a worker."""

from array import array
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import overload
from uuid import UUID

import msgspec

from boxoffice.platform.postgres.database import Record


class LayoutSeat(msgspec.Struct, frozen=True, gc=False):
    """A seat without its state; `price_minor` in minor units of the layout's currency."""

    seat_id: str
    section: str
    row: str
    number: int
    grade: str
    price_minor: int


class _Kind(msgspec.Struct, frozen=True, gc=False):
    """The fields that the seats of a row share."""

    section: str
    row: str
    grade: str
    price_minor: int


class PackedSeats(Sequence[LayoutSeat]):
    """Seats in order; shared fields are stored once, and a `LayoutSeat` is made on access."""

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._numbers = array("q")
        self._kind_at = array("I")
        self._kinds: list[_Kind] = []
        self._index: dict[_Kind, int] = {}

    def append(self, row: Sequence[object]) -> None:
        """Add a seat: id, section, row, number, grade and price."""
        seat_id, section, label, number, grade, price_minor = row
        kind = _Kind(section, label, grade, price_minor)  # type: ignore[arg-type]
        at = self._index.setdefault(kind, len(self._kinds))
        if at == len(self._kinds):
            self._kinds.append(kind)
        self._ids.append(seat_id)  # type: ignore[arg-type]
        self._numbers.append(number)  # type: ignore[arg-type]
        self._kind_at.append(at)

    @property
    def ids(self) -> Sequence[str]:
        """The ids of the seats."""
        return self._ids

    def price_minor(self, at: int) -> int:
        """Return the price of the seat at a position."""
        return self._kinds[self._kind_at[at]].price_minor

    def __len__(self) -> int:
        return len(self._ids)

    @overload
    def __getitem__(self, at: int) -> LayoutSeat: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[LayoutSeat]: ...
    def __getitem__(self, at: int | slice) -> LayoutSeat | Sequence[LayoutSeat]:
        if isinstance(at, slice):
            return [self[one] for one in range(*at.indices(len(self._ids)))]
        kind = self._kinds[self._kind_at[at]]
        return LayoutSeat(
            self._ids[at], kind.section, kind.row, self._numbers[at], kind.grade, kind.price_minor
        )


@dataclass(frozen=True, eq=False)
class Layout:
    """The seats of a schedule in order, and the position of each id.

    `version` grows when seats are added, which come last, or when prices or grades change.
    """

    schedule_id: UUID
    currency: str
    seats: PackedSeats
    index: Mapping[str, int]
    version: int = 1

    def price_minor(self, seat_ids: Iterable[str]) -> int | None:
        """Return the price of some seats together; None where one is not known."""
        total = 0
        for seat_id in seat_ids:
            at = self.index.get(seat_id)
            if at is None:
                return None
            total += self.seats.price_minor(at)
        return total


async def packed(rows: AsyncIterable[Sequence[Record]]) -> PackedSeats:
    """Pack the rows of `seats_of_schedule` as they arrive."""
    seats = PackedSeats()
    async for part in rows:
        for row in part:
            seats.append(row)  # type: ignore[arg-type]
    return seats


def positions(seat_ids: Iterable[str]) -> dict[str, int]:
    """Return the position of each seat."""
    return {seat_id: at for at, seat_id in enumerate(seat_ids)}
