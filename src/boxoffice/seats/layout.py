"""Where the seats of a schedule are, packed: a hall of a million seats must fit into a worker."""

from array import array
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar, overload
from uuid import UUID

import msgspec

from boxoffice.platform.postgres.database import Record

T = TypeVar("T")


class Seat(msgspec.Struct, frozen=True, gc=False):
    """A seat without its state; `price_minor` in minor units of the layout's currency."""

    seat_id: str
    section: str
    row: str
    number: int
    grade: str
    price_minor: int


class _Kind(msgspec.Struct, frozen=True, gc=False):
    """What the seats of a row share."""

    section: str
    row: str
    grade: str
    price_minor: int


class PackedSeats(Sequence[Seat]):
    """Seats in their order; what many seats share is kept once, and a `Seat` is made when asked for."""

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

    def __len__(self) -> int:
        return len(self._ids)

    @overload
    def __getitem__(self, at: int) -> Seat: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Seat]: ...
    def __getitem__(self, at: int | slice) -> Seat | Sequence[Seat]:
        if isinstance(at, slice):
            return [self[one] for one in range(*at.indices(len(self._ids)))]
        kind = self._kinds[self._kind_at[at]]
        return Seat(
            self._ids[at], kind.section, kind.row, self._numbers[at], kind.grade, kind.price_minor
        )


@dataclass(frozen=True, eq=False)
class Layout:
    """The seats of a schedule in their order, and the position of each id.

    They are final: a schedule has no layout before it has been opened.
    """

    schedule_id: UUID
    currency: str
    seats: Sequence[Seat]
    index: Mapping[str, int]


async def packed(rows: AsyncIterable[Sequence[Record]]) -> PackedSeats:
    """Pack the rows of `seats_of_schedule` as they arrive."""
    seats = PackedSeats()
    async for part in rows:
        for row in part:
            seats.append(row)  # type: ignore[arg-type]
    return seats


def positions(seat_ids: Iterable[str]) -> dict[str, int]:
    """Return where in the order each seat stands."""
    return {seat_id: at for at, seat_id in enumerate(seat_ids)}
