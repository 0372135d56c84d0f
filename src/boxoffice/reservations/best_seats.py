"""Which seats "the best three together" are, for many people who ask at once: pure, and in bytes.

A row of seats is a run of bytes, so that looking for neighbours is a search for a substring. Seats
stand in chain order: adjacent ones side by side, the best chain first, a gap after each chain.
"""

from array import array
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter

from boxoffice.platform.text import composed
from boxoffice.reservations import rules
from boxoffice.seats.cache.states import AVAILABLE
from boxoffice.seats.layout import LayoutSeat

_IS_FREE = bytes(status == AVAILABLE for status in range(256))


class _Order:
    """Some seats of a layout in chain order; `places` is where in it each of them stands."""

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
        # With one item only, `itemgetter` would return that and no tuple; a chain has its gap too.
        self.arrange: Callable[[bytes], Iterable[int]] = itemgetter(*order) if order else bytes


class Seating:
    """The seats of a layout, all of them and by grade, ready to be searched for neighbours."""

    def __init__(self, seats: Sequence[LayoutSeat]) -> None:
        # A grade is asked for in the form in which text is kept; earlier releases kept others too.
        self.grades = [composed(seat.grade) for seat in seats]
        by_grade: dict[str, list[int]] = {}
        for position, grade in enumerate(self.grades):
            by_grade.setdefault(grade, []).append(position)
        everywhere, in_grade = array("L", [0]) * len(seats), array("L", [0]) * len(seats)
        self._all = _Order(seats, range(len(seats)), everywhere)
        self._of_grade = {
            grade: _Order(seats, positions, in_grade) for grade, positions in by_grade.items()
        }

    def order(self, grade: str | None) -> _Order | None:
        """Return the seats of a grade, all of them for None; None where there is no such grade."""
        return self._all if grade is None else self._of_grade.get(grade)


class _Look:
    """The free seats of one order at one reading, and what of them is left for the next request."""

    def __init__(self, order: _Order, free: bytes, picked: Iterable[int]) -> None:
        self.order = order
        self.free = free
        self.seats_left = free.count(1)
        self._left = bytearray(self.free)
        # From this many neighbours on there is nothing, without what is picked and with it: what is not
        # found once is not searched again.
        self._nothing_from = [len(free) + 1] * 2
        for position in picked:
            self._left[order.places[position]] = 0

    def choose(self, quantity: int, skip: int, *, picked: bool) -> tuple[int, ...]:
        if quantity >= self._nothing_from[picked]:
            return ()
        found = _find(self.free if picked else self._left, quantity, skip)
        if found < 0:
            self._nothing_from[picked] = quantity
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


class Board:
    """The seats that are free at one reading, less those that this process goes after already.

    `before` is a board of an earlier reading: where nothing has changed its work is used again.
    """

    def __init__(
        self,
        seating: Seating,
        status: bytes,
        picked: Iterable[int],
        before: "Board | None" = None,
    ) -> None:
        self._seating = seating
        self.status = status
        self.arranged: dict[str | None, bytes] = {}
        if before is not None and before.status == status:
            self.arranged = before.arranged
        self._picked = set(picked)
        self._looks: dict[str | None, _Look] = {}

    def choose(
        self, quantity: int, grade: str | None, skip: int = 0, *, picked: bool = False
    ) -> tuple[int, ...]:
        """Return the positions of the best `quantity` neighbours after `skip` better choices.

        Empty where there are none: none that nobody goes after, or with `picked` none at all. Where
        fewer choices exist, the last one is returned: skipping keeps pods that look at the same map
        from running after the same seats, it never makes a seat unavailable.
        """
        look = self._look(grade)
        return look.choose(quantity, skip, picked=picked) if look else ()

    def seats_left(self, grade: str | None) -> int:
        """Return how many seats were free at the reading, picked or not."""
        look = self._look(grade)
        return look.seats_left if look else 0

    def take(self, positions: Iterable[int]) -> None:
        """Choose these seats for nobody else."""
        for position in positions:
            self._picked.add(position)
            for look in self._looks_on(position):
                look.take(position)

    def give_back(self, positions: Iterable[int]) -> None:
        """Choose these seats again, those that were free at the reading."""
        for position in positions:
            self._picked.discard(position)
            for look in self._looks_on(position):
                look.give_back(position)

    def _looks_on(self, position: int) -> Iterable[_Look]:
        looks = (self._looks.get(None), self._looks.get(self._seating.grades[position]))
        return [look for look in looks if look]

    def _look(self, grade: str | None) -> _Look | None:
        look = self._looks.get(grade)
        if look is None and (order := self._seating.order(grade)) is not None:
            grades = self._seating.grades
            picked = [at for at in self._picked if grade is None or grades[at] == grade]
            if grade not in self.arranged:
                # The gap between two chains is a seat that is never free.
                free = self.status.translate(_IS_FREE) + b"\0"
                self.arranged[grade] = bytes(order.arrange(free))
            look = self._looks[grade] = _Look(order, self.arranged[grade], picked)
        return look


class Chase:
    """What one process goes after in one layout, from one reading to the next."""

    def __init__(self, seating: Seating) -> None:
        self._seating = seating
        self._picked: set[int] = set()
        self._board: Board | None = None
        self._read_at = 0.0

    def board(self, status: bytes, read_at: float) -> Board:
        """Return the newest board: of this reading, or of a later one that another request made."""
        if self._board is None or read_at > self._read_at:
            self._board = Board(self._seating, status, self._picked, self._board)
            self._read_at = read_at
        return self._board

    def pick(self, positions: Iterable[int]) -> None:
        """Keep other requests of this process away from these seats while they are being decided."""
        self._picked.update(positions)
        if self._board is not None:
            self._board.take(positions)

    def decided(self, positions: Iterable[int], free: Iterable[int]) -> None:
        """Forget what was picked; `free` of it is still free for anybody, as far as is known."""
        self._picked.difference_update(positions)
        if self._board is not None:
            self._board.give_back(free)
