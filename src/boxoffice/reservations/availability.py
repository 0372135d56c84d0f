"""Whether adjacent seats are on sale, for those who ask without holding any."""

from collections.abc import Sequence
from uuid import UUID
from weakref import WeakKeyDictionary

from boxoffice.errors import Invalid
from boxoffice.platform.concurrency.offload import offload
from boxoffice.reservations.best_seats import FreeSeatsReading, Seating
from boxoffice.reservations.service import PairedSeats
from boxoffice.seats.layout import Layout, LayoutSeat
from boxoffice.seats.read_model import SeatReadModel


class SeatAvailability:
    """Answers from memory, and by a new reading where memory shows such seats."""

    def __init__(self, seats: SeatReadModel, pairs: PairedSeats) -> None:
        self._seats = seats
        self._pairs = pairs
        # As long as its layout, which the seat cache owns.
        self._seatings: WeakKeyDictionary[Layout, Seating] = WeakKeyDictionary()

    async def has_adjacent(self, schedule_id: UUID, quantity: int, grade: str | None) -> bool:
        """Return whether such adjacent seats are on sale.

        Raises `ScheduleNotFound`, and `Invalid` for a grade that the schedule does not have.
        """
        await self._seats.layout_on_offer(schedule_id)
        for max_age_s in (None, 0):
            layout, states = await self._seats.layout_and_states(schedule_id, max_age_s=max_age_s)
            seating = await self._seating(schedule_id, layout)
            # guard: seats_of_grade_that_exists => if False:
            if seating.order(grade) is None:
                raise Invalid("The schedule has no such grade.")
            if not FreeSeatsReading(seating, states.status, ()).choose(quantity, grade):
                return False
        return True

    async def _seating(self, schedule_id: UUID, layout: Layout) -> Seating:
        seating = self._seatings.get(layout)
        if seating is None:
            paired = await self._pairs.paired_seats(schedule_id)
            seating = await _new_seating(layout.seats, paired)
            self._seatings[layout] = seating
        return seating


async def _new_seating(seats: Sequence[LayoutSeat], paired: frozenset[str]) -> Seating:
    # The seats and not the layout: a reference to the key would keep the entry for ever.
    return await offload(len(seats), lambda: Seating(seats, paired))
