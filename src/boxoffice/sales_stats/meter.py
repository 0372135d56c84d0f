"""What one worker has counted since it last handed its sums over.

The access log hands it answers in batches. It bounds what it keeps: of the schedules that are
asked for, the first `schedules_max` per turn are counted apart. Only those that an answer has shown to
exist are: any id can be asked for, and each that is counted takes memory in Valkey for an hour.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping

from boxoffice.observability.access_log import Kind
from boxoffice.sales_stats.rules import Sums, step_of

# All calls of people together, whatever they are about.
SHOP = "shop"

_UNCOUNTED = frozenset({"/healthz", "/readyz", "/metrics", "unknown"})
# Of what is not there nobody is told that it is so, and nothing is in the way of it.
_REFUSED_FROM, _IN_THE_WAY = 400, 409
# So many schedules are remembered to exist for each one that is counted.
_REMEMBERED = 16


class Meter:
    """Sums by scope (a schedule's id, or `SHOP`) and step."""

    def __init__(self, now_s: Callable[[], float], schedules_max: int) -> None:
        self._now_s = now_s
        self._schedules_max = schedules_max
        self._sums: dict[tuple[str, int], Sums] = {}
        self._existing: OrderedDict[str, None] = OrderedDict()

    def hear(self, kind: Kind, count: int, times: Mapping[int, int]) -> None:
        """Count answers of one kind."""
        if kind.route in _UNCOUNTED:
            return
        step = step_of(self._now_s())
        self._add(SHOP, step, kind.code, count, times)
        if kind.scope and self._exists(kind):
            self._add(kind.scope, step, kind.code, count, times)

    def take(self) -> dict[tuple[str, int], Sums]:
        """Return the sums since the last time, and begin anew."""
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
            # One for the shop and each schedule, and twice that where a step ends in between.
            if len(self._sums) >= 2 * (self._schedules_max + 1):
                return
            sums = self._sums[scope, step] = Sums()
        sums.add(code, count, times)
