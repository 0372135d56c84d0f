"""Applies changes to the seats in memory, and invalidates what cannot be known from changes."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from boxoffice.seats.cache.entries import ScheduleEntries
from boxoffice.seats.cache.states import PositionChange


class SeatChangeApplier:
    """Updates the entries that are in memory; a schedule that is not in memory is left alone."""

    def __init__(self, entries: ScheduleEntries) -> None:
        self._entries = entries
        self._cache = entries.cache

    def apply(self, schedule_id: UUID, changes: Iterable[PositionChange]) -> None:
        """Apply the changes that are newer than what is known."""
        entry = self._cache.peek(schedule_id)
        if entry is None or entry.refresher.live is None:
            if entry is not None:
                entry.refresher.invalidate()  # a first reading may have begun before the change
            return
        live = entry.refresher.live
        gaps = live.gaps
        try:
            for change in changes:
                live.apply(change)
        except (IndexError, OverflowError):
            gaps = -1
        if live.gaps != gaps:
            entry.refresher.invalidate()
        self._entries.wake(schedule_id)

    def positions(self, schedule_id: UUID, seat_ids: Sequence[str]) -> list[int] | None:
        """Return the positions of the seats in the layout; None where one is not known."""
        entry = self._cache.peek(schedule_id)
        if entry is None:
            return None
        found = [entry.layout.index.get(one, -1) for one in seat_ids]
        return None if -1 in found else found

    def set_connected(self, is_connected: bool) -> None:
        """Set whether changes of other pods arrive."""
        self._entries.is_connected = is_connected

    def invalidate(self, schedule_id: UUID) -> None:
        """Do not use the states of a schedule until they have been read again."""
        entry = self._cache.peek(schedule_id)
        if entry is not None:
            entry.refresher.invalidate()
        self._entries.wake(schedule_id)

    def invalidate_all(self) -> None:
        """Do not use any states until they have been read again: changes were missed."""
        for entry in self._cache.values():
            entry.refresher.invalidate()
            self._entries.wake(entry.layout.schedule_id)

    def evict(self, schedule_id: UUID) -> None:
        """Drop layout and states: the seats or the status of the schedule were changed."""
        self._cache.invalidate(schedule_id)
        self._entries.wake(schedule_id)

    def evict_absent(self) -> None:
        """Drop the knowledge that schedules do not exist: a concert was published."""
        self._cache.forget_absent()
