"""Choice of the best adjacent seats for many concurrent requests. Pure.

Seats are bytes in chain order: adjacent seats side by side, the best chain first, a gap after each
chain. Looking for adjacent free seats is then a substring search.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter

from boxoffice.platform.text import composed
from boxoffice.reservations import rules
from boxoffice.seats.cache.states import AVAILABLE
from boxoffice.seats.layout import LayoutSeat

_IS_FREE = bytes(status == AVAILABLE for status in range(256))


class _SeatOrder:
    """Some seats of a layout in chain order; `places` maps a position in the layout to its place."""

    def __init__(
        self, seats: Sequence[LayoutSeat], positions: Sequence[int], places: "array[int]"
    ) -> None:
        gap = len(seats)
        chains = rules.chains(
            [(seats[at].section, seats[at].row, seats[at].number) for at in positions]
        )
        order = [
            position for chain in chains for position in (*(positions[at] for at in chain), gap)
        ]
        for place, position in enumerate(order):
            if position != gap:
                places[position] = place
        self.positions = tuple(order)
        self.places = places
        # `itemgetter` of one item would return no tuple, but each chain has a gap as well.
        self.arrange: Callable[[bytes], Iterable[int]] = itemgetter(*order) if order else bytes


class Seating:
    """The seats of a layout in chain order, all and by grade, without those of `excluded` ids."""

    def __init__(self, seats: Sequence[LayoutSeat], excluded: frozenset[str] = frozenset()) -> None:
        # Requests name a grade in normal form; earlier releases stored other forms as well.
        self.grades = [composed(seat.grade) for seat in seats]
        by_grade: dict[str, list[int]] = {}
        chosen = [at for at, seat in enumerate(seats) if seat.seat_id not in excluded]
        for position in chosen:
            by_grade.setdefault(self.grades[position], []).append(position)
        everywhere, in_grade = array("L", [0]) * len(seats), array("L", [0]) * len(seats)
        self._all = _SeatOrder(seats, chosen, everywhere)
        self._of_grade = {
            grade: _SeatOrder(seats, positions, in_grade) for grade, positions in by_grade.items()
        }

    def order(self, grade: str | None) -> _SeatOrder | None:
        """Return the seats of `grade`, or all seats for None; None for an unknown grade."""
        return self._all if grade is None else self._of_grade.get(grade)


class _FreeSeats:
    """The free seats of one order at one reading, with and without the seats of pending holds."""

    def __init__(self, order: _SeatOrder, free: bytes, pending: Iterable[int]) -> None:
        self.order = order
        self.free = free
        self.seats_left = free.count(1)
        self._left = bytearray(self.free)
        # The smallest quantity that was not found, without pending seats and with them: a failed
        # search is not repeated.
        self._nothing_from = [len(free) + 1] * 2
        for position in pending:
            self._left[order.places[position]] = 0

    def choose(self, quantity: int, skip: int, *, with_pending: bool) -> tuple[int, ...]:
        if quantity >= self._nothing_from[with_pending]:
            return ()
        found = _find(self.free if with_pending else self._left, quantity, skip)
        if found < 0:
            self._nothing_from[with_pending] = quantity
            return ()
        return self.order.positions[found : found + quantity]

    def take(self, position: int) -> None:
        self._left[self.order.places[position]] = 0

    def give_back(self, position: int) -> None:
        place = self.order.places[position]
        self._left[place] = self.free[place]
        self._nothing_from[False] = len(self.free) + 1


def _find(free: bytes | bytearray, quantity: int, skip: int) -> int:
    wanted = b"\1" * quantity
    found = at = free.find(wanted)
    while skip and at >= 0:
        at = free.find(wanted, at + quantity)
        found = at if at >= 0 else found
        skip -= 1
    return found


class FreeSeatsReading:
    """The free seats of all grades at one reading, less those of this process's pending holds.

    `before` is an earlier reading, whose arrangement is reused when no seat has changed.
    """

    def __init__(
        self,
        seating: Seating,
        status: bytes,
        pending: Iterable[int],
        before: "FreeSeatsReading | None" = None,
    ) -> None:
        self._seating = seating
        self.status = status
        self.arranged: dict[str | None, bytes] = {}
        if before is not None and before.status == status:
            self.arranged = before.arranged
        self._pending = set(pending)
        self._by_grade: dict[str | None, _FreeSeats] = {}

    def choose(
        self, quantity: int, grade: str | None, skip: int = 0, *, with_pending: bool = False
    ) -> tuple[int, ...]:
        """Return the positions of the best `quantity` adjacent seats after `skip` better choices.

        Empty where there are none; seats of pending holds count with `with_pending` only. Where fewer
        choices exist, the last one is returned: skipping keeps pods that read the same map from
        choosing the same seats, and never makes a seat unavailable.
        """
        seats = self._seats(grade)
        return seats.choose(quantity, skip, with_pending=with_pending) if seats else ()

    def seats_left(self, grade: str | None) -> int:
        """Return how many seats were free at the reading, pending ones included."""
        seats = self._seats(grade)
        return seats.seats_left if seats else 0

    def take(self, positions: Iterable[int]) -> None:
        """Exclude these seats from the choices."""
        for position in positions:
            self._pending.add(position)
            for seats in self._seats_with(position):
                seats.take(position)

    def give_back(self, positions: Iterable[int]) -> None:
        """Include these seats again, where they were free at the reading."""
        for position in positions:
            self._pending.discard(position)
            for seats in self._seats_with(position):
                seats.give_back(position)

    def _seats_with(self, position: int) -> Iterable[_FreeSeats]:
        found = (self._by_grade.get(None), self._by_grade.get(self._seating.grades[position]))
        return [seats for seats in found if seats]

    def _seats(self, grade: str | None) -> _FreeSeats | None:
        seats = self._by_grade.get(grade)
        if seats is None and (order := self._seating.order(grade)) is not None:
            grades = self._seating.grades
            pending = [at for at in self._pending if grade is None or grades[at] == grade]
            if grade not in self.arranged:
                # The gap between two chains is a seat that is never free.
                free = self.status.translate(_IS_FREE) + b"\0"
                self.arranged[grade] = bytes(order.arrange(free))
            seats = self._by_grade[grade] = _FreeSeats(order, self.arranged[grade], pending)
        return seats


class BestSeatAllocator:
    """Keeps concurrent requests of one process for the best seats of one layout apart."""

    def __init__(self, seating: Seating) -> None:
        self._seating = seating
        self._pending: set[int] = set()
        self._newest: FreeSeatsReading | None = None
        self._read_at = 0.0

    def reading(self, status: bytes, read_at: float) -> FreeSeatsReading:
        """Return the newest reading: this one, or a later one of another request."""
        if self._newest is None or read_at > self._read_at:
            self._newest = FreeSeatsReading(self._seating, status, self._pending, self._newest)
            self._read_at = read_at
        return self._newest

    @contextmanager
    def pending(self, positions: Sequence[int]) -> Iterator[list[int]]:
        """Keep other requests away from `positions` while they are decided.

        The list takes those that turn out to be still free.
        """
        free: list[int] = []
        self._pending.update(positions)
        if self._newest is not None:
            self._newest.take(positions)
        try:
            yield free
        finally:
            self._pending.difference_update(positions)
            if self._newest is not None:
                self._newest.give_back(free)
