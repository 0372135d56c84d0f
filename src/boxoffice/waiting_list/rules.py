"""Which entries of a waiting list get which of the seats that return. Pure."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from boxoffice.platform.text import composed
from boxoffice.reservations.best_seats import FreeSeatsReading, Seating
from boxoffice.seats.cache.states import AVAILABLE
from boxoffice.seats.layout import LayoutSeat


class ReturningSeat(NamedTuple):
    """A seat that is held for a reservation that has ended, at one version."""

    seat_id: str
    section: str
    row: str
    number: int
    grade: str
    version: int


class Waiting(NamedTuple):
    """An entry that waits for `seats` adjacent seats of a grade, None for any."""

    entry_id: UUID
    user_id: UUID
    seats: int
    grade: str | None


class SeatOffer(NamedTuple):
    """The seats that an entry is offered."""

    entry: Waiting
    seats: tuple[ReturningSeat, ...]


class Returning:
    """The seats that return, less those that were given to entries."""

    def __init__(self, seats: Sequence[ReturningSeat]) -> None:
        self._seats = seats
        layout = [LayoutSeat(*one[:5], price_minor=0) for one in seats]
        states = bytes([AVAILABLE]) * len(seats)
        self._free = FreeSeatsReading(Seating(layout), states, ())
        self.grades = sorted({composed(one.grade) for one in seats})

    def longest(self, grade: str | None, seats_max: int) -> int:
        """Return how many adjacent seats of a grade an entry may want at most, up to `seats_max`."""
        wanted = range(seats_max, 0, -1)
        return next((one for one in wanted if self._free.choose(one, grade)), 0)

    def assign(self, entries: Sequence[Waiting]) -> list[SeatOffer]:
        """Give each entry, in order, the best seats that fit it; an entry that none fit gets none."""
        offers = []
        for entry in entries:
            chosen = self._free.choose(entry.seats, entry.grade)
            if chosen:
                self._free.take(chosen)
                offers.append(SeatOffer(entry, tuple(self._seats[at] for at in chosen)))
        return offers


def unwanted(
    seats: Sequence[ReturningSeat], wanted_grades: frozenset[str | None]
) -> list[ReturningSeat]:
    """Return the seats of grades for which no entry waits."""
    # guard: seats_wanted_by_entries_of_any_grade => if False:
    if None in wanted_grades:
        return []
    return [one for one in seats if composed(one.grade) not in wanted_grades]
