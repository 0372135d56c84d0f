"""What one worker has counted since it last handed its sums over.

It hears from the journal, some answers at a time, and bounds what it keeps: of the schedules that are
asked for, the first `schedules_max` per turn are counted apart.
"""

from collections.abc import Callable, Mapping

from boxoffice.figures.rules import Sums, step_of
from boxoffice.http.journal import Kind

# All calls of people together, whatever they are about.
SHOP = "shop"

_UNCOUNTED = frozenset({"/healthz", "/readyz", "/metrics", "unknown"})


class Meter:
    """Sums by scope (a schedule's id, or `SHOP`) and step."""

    def __init__(self, now_s: Callable[[], float], schedules_max: int) -> None:
        self._now_s = now_s
        self._schedules_max = schedules_max
        self._sums: dict[tuple[str, int], Sums] = {}

    def hear(self, kind: Kind, count: int, times: Mapping[int, int]) -> None:
        """Count answers of one kind."""
        if kind.route in _UNCOUNTED:
            return
        step = step_of(self._now_s())
        self._add(SHOP, step, kind.code, count, times)
        if kind.scope:
            self._add(kind.scope, step, kind.code, count, times)

    def take(self) -> dict[tuple[str, int], Sums]:
        """Return the sums since the last time, and begin anew."""
        sums, self._sums = self._sums, {}
        return sums

    def _add(self, scope: str, step: int, code: str, count: int, times: Mapping[int, int]) -> None:
        sums = self._sums.get((scope, step))
        if sums is None:
            # One for the shop and each schedule, and twice that where a step ends in between.
            if len(self._sums) >= 2 * (self._schedules_max + 1):
                return
            sums = self._sums[scope, step] = Sums()
        sums.add(code, count, times)
