"""The seat changes of the last seconds, by schedule.

Another process's reading is older than what this process knows. What has changed since it began is
compared with it, so that it undoes nothing, also where the schedule was not in memory.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from uuid import UUID

from boxoffice.seats.cache.states import PositionChange

# Changes are kept for one to two times this long, unless there are very many.
_KEPT_S = 3.0
_CHANGES_MAX = 50_000

_Noted = dict[UUID, list[tuple[float, Sequence[PositionChange]]]]


class RecentChanges:
    """Keeps changes while `is_wanted` returns true; `clock` counts monotonic seconds."""

    def __init__(self, clock: Callable[[], float], is_wanted: Callable[[], bool]) -> None:
        self._clock = clock
        self._is_wanted = is_wanted
        self._older: _Noted = {}
        self._newer: _Noted = {}
        self._newer_count = 0
        # The begin of each part; what came later is complete.
        self._older_since = math.inf
        self._newer_since = math.inf
        # By schedule: when a change was missed.
        self._missed_at: dict[UUID, float] = {}

    def note(self, schedule_id: UUID, changes: Sequence[PositionChange]) -> None:
        """Keep changes that were made here or arrived."""
        now = self._current()
        if now < math.inf:
            self._newer.setdefault(schedule_id, []).append((now, changes))
            self._newer_count += len(changes)

    def miss(self, schedule_id: UUID) -> None:
        """Note that a change of a schedule was missed."""
        now = self._current()
        if now < math.inf:
            self._missed_at[schedule_id] = now

    def miss_all(self) -> None:
        """Note that changes of any schedule may have been missed."""
        self._older, self._newer, self._newer_count = {}, {}, 0
        self._missed_at.clear()
        self._older_since = self._newer_since = self._clock() if self._is_wanted() else math.inf

    def complete_since(self, schedule_id: UUID) -> float:
        """Return from when on every change of a schedule that arrived is known; infinite for never."""
        self._current()
        return max(self._older_since, self._missed_at.get(schedule_id, -math.inf))

    def since(self, schedule_id: UUID, began_at: float) -> Iterator[PositionChange]:
        """Yield the changes that came after `began_at`, in the order of their arrival."""
        for part in (self._older, self._newer):
            for noted_at, changes in part.get(schedule_id, ()):
                if noted_at > began_at:
                    yield from changes

    def _current(self) -> float:
        """Return the time, infinite where nothing is kept; drop what is too old."""
        if not self._is_wanted():
            if self._newer_since < math.inf:
                self.miss_all()
            return math.inf
        now = self._clock()
        if self._newer_since == math.inf:
            self._older_since = self._newer_since = now
        if now - self._newer_since >= _KEPT_S or self._newer_count > _CHANGES_MAX:
            self._older, self._older_since = self._newer, self._newer_since
            self._newer, self._newer_since, self._newer_count = {}, now, 0
            self._forget_misses()
        return now

    def _forget_misses(self) -> None:
        for one in [one for one, at in self._missed_at.items() if at <= self._older_since]:
            del self._missed_at[one]
