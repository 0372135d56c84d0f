"""Counts one worker's answers until they are flushed.

The access log passes answers in batches. Memory is bounded: of the requested schedules, the first
`schedules_max` per flush are counted separately, and only those that an answer has shown to exist,
because each counted schedule takes memory in Valkey for an hour.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping

from boxoffice.observability.access_log import Kind
from boxoffice.sales_stats.rules import TrafficSums, step_of

# The scope of all calls of people.
SHOP = "shop"

_UNCOUNTED = frozenset({"/healthz", "/readyz", "/metrics", "unknown"})
# A schedule that does not exist is never answered with success or with a conflict.
_REFUSED_FROM, _IN_THE_WAY = 400, 409
# Existing schedules that are remembered per schedule that is counted.
_REMEMBERED = 16


class TrafficCounter:
    """TrafficSums by scope (a schedule's id, or `SHOP`) and step."""

    def __init__(self, now_s: Callable[[], float], schedules_max: int) -> None:
        self._now_s = now_s
        self._schedules_max = schedules_max
        self._sums: dict[tuple[str, int], TrafficSums] = {}
        self._existing: OrderedDict[str, None] = OrderedDict()

    def record(self, kind: Kind, count: int, times: Mapping[int, int]) -> None:
        """Count answers of one kind."""
        if kind.route in _UNCOUNTED:
            return
        step = step_of(self._now_s())
        self._add(SHOP, step, kind.code, count, times)
        if kind.scope and self._exists(kind):
            self._add(kind.scope, step, kind.code, count, times)

    def drain(self) -> dict[tuple[str, int], TrafficSums]:
        """Return and reset the sums."""
        sums, self._sums = self._sums, {}
        return sums

    def _exists(self, kind: Kind) -> bool:
        if kind.status < _REFUSED_FROM or kind.status == _IN_THE_WAY:
            self._existing[kind.scope] = None
            self._existing.move_to_end(kind.scope)
            if len(self._existing) > _REMEMBERED * self._schedules_max:
                self._existing.popitem(last=False)
        return kind.scope in self._existing

    def _add(self, scope: str, step: int, code: str, count: int, times: Mapping[int, int]) -> None:
        sums = self._sums.get((scope, step))
        if sums is None:
            # One for the shop and each schedule; twice that where a step ends between two flushes.
            if len(self._sums) >= 2 * (self._schedules_max + 1):
                return
            sums = self._sums[scope, step] = TrafficSums()
        sums.add(code, count, times)
