"""How traffic is counted, and how the series is computed: pure.

Steps last `STEP_S` seconds and are counted from 1970 by the database's clock, so that pods agree.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from math import ceil

import msgspec

STEP_S = 5
# Steps stored under one key in Valkey.
STEPS_PER_KEY = 60
# Workers flush every second, so a step is complete this much later.
SETTLED_AFTER_S = 2.0
# Windows that are read; a shorter request gets the end of one, so that few readings serve all.
WINDOWS_S = (60, 600, 3_600)
WINDOW_MIN_S, WINDOW_MAX_S = WINDOWS_S[0], WINDOWS_S[-1]
OK = "ok"

_CODE = "c:"
_TIME = "t:"


class TrafficSums(msgspec.Struct):
    """Answers of one step, counted by code and by latency bucket."""

    codes: dict[str, int] = msgspec.field(default_factory=dict)
    times: dict[int, int] = msgspec.field(default_factory=dict)

    @property
    def requests(self) -> int:
        """How many answers there were."""
        return sum(self.codes.values())

    def add(self, code: str, count: int, times: Mapping[int, int]) -> None:
        """Count answers with one code."""
        self.codes[code] = self.codes.get(code, 0) + count
        for at, number in times.items():
            self.times[at] = self.times.get(at, 0) + number

    def merge(self, other: "TrafficSums") -> None:
        """Add the answers of `other`."""
        for code, count in other.codes.items():
            self.codes[code] = self.codes.get(code, 0) + count
        for at, number in other.times.items():
            self.times[at] = self.times.get(at, 0) + number

    def fields(self) -> dict[str, int]:
        """Return the counts as named counters, as stored in Valkey."""
        named = {f"{_CODE}{code}": count for code, count in self.codes.items()}
        return named | {f"{_TIME}{at}": count for at, count in self.times.items()}


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the series; `requests`, `p95_ms` and `refusals` are None where nothing was counted.

    `requests` are per second; `refusals` by code; `holds`, `sales` and `revenue` (minor units) are of
    this step. `p95_ms` is also None without requests.
    """

    at: datetime
    requests: float | None
    p95_ms: float | None
    refusals: dict[str, int] | None
    holds: int
    sales: int
    revenue: int


class Sold(msgspec.Struct, frozen=True, kw_only=True):
    """What was held and sold in one step; `revenue` in minor units."""

    step: int
    holds: int
    sales: int
    revenue: int


def step_of(at_s: float) -> int:
    """Return the step of a time in seconds since 1970."""
    return int(at_s // STEP_S)


def starts_at(step: int) -> datetime:
    """Return when a step begins."""
    return datetime.fromtimestamp(step * STEP_S, UTC)


def read_window(window_s: int) -> int:
    """Return the shortest window of `WINDOWS_S` that covers `window_s`."""
    return next(read for read in WINDOWS_S if read >= window_s)


def steps_in(window_s: int) -> int:
    """Return how many steps a window has."""
    return ceil(window_s / STEP_S)


def window(now_s: float, window_s: int) -> range:
    """Return the steps of the last `window_s` seconds that are complete and flushed."""
    end = step_of(now_s - SETTLED_AFTER_S)
    return range(end - steps_in(window_s), end)


def key_of(step: int) -> int:
    """Return the number of the key that stores a step's sums."""
    return step // STEPS_PER_KEY


def keys_of(steps: range) -> range:
    """Return the numbers of the keys that store the sums of `steps`."""
    return range(key_of(steps.start), key_of(steps.stop - 1) + 1)


def field_of(step: int, name: str) -> str:
    """Return the name of a counter of a step within its key."""
    return f"{step}:{name}"


def sums_by_step(fields: Iterable[tuple[str, int]]) -> dict[int, TrafficSums]:
    """Parse named counters to sums by step; unknown names are skipped."""
    found: dict[int, TrafficSums] = {}
    for field, count in fields:
        step, _, name = field.partition(":")
        if not step.isdigit():
            continue
        sums = found.setdefault(int(step), TrafficSums())
        if name.startswith(_CODE):
            sums.codes[name.removeprefix(_CODE)] = count
        elif name.startswith(_TIME) and name.removeprefix(_TIME).isdigit():
            sums.times[int(name.removeprefix(_TIME))] = count
    return found


def percentile_ms(
    times: Mapping[int, int], bounds_s: Sequence[float], share: float
) -> float | None:
    """Return the latency percentile `share` in milliseconds; None without answers.

    `times` counts answers by bucket of `bounds_s` (upper bounds in seconds). Answers are interpolated
    linearly within a bucket; those above the last bound count as that bound.
    """
    total = sum(times.values())
    if total == 0:
        return None
    wanted, seen = share * total, 0
    for at in sorted(times):
        count = times[at]
        if seen + count >= wanted:
            if at >= len(bounds_s):
                return bounds_s[-1] * 1000
            low = bounds_s[at - 1] if at else 0.0
            return (low + (bounds_s[at] - low) * (wanted - seen) / count) * 1000
        seen += count
    return bounds_s[-1] * 1000


def series(
    steps: range,
    counted: Mapping[int, TrafficSums] | None,
    sold: Iterable[Sold],
    bounds_s: Sequence[float],
) -> list[Point]:
    """Return one point per step; `counted` is None where the traffic is not known."""
    sales = {one.step: one for one in sold}
    return [
        _point(
            step,
            None if counted is None else counted.get(step, TrafficSums()),
            sales.get(step),
            bounds_s,
        )
        for step in steps
    ]


def _point(
    step: int, sums: TrafficSums | None, sold: Sold | None, bounds_s: Sequence[float]
) -> Point:
    p95_ms = None if sums is None else percentile_ms(sums.times, bounds_s, 0.95)
    return Point(
        at=starts_at(step),
        requests=None if sums is None else round(sums.requests / STEP_S, 2),
        p95_ms=None if p95_ms is None else round(p95_ms, 2),
        refusals=None if sums is None else refusals_of(sums),
        holds=sold.holds if sold else 0,
        sales=sold.sales if sold else 0,
        revenue=sold.revenue if sold else 0,
    )


def refusals_of(sums: TrafficSums) -> dict[str, int]:
    """Return the number of answers by error code."""
    return {code: count for code, count in sorted(sums.codes.items()) if code != OK}
