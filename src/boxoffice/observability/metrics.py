"""Metrics of requests, and metric types that are cheap on a hot path."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Protocol

from prometheus_client import Counter, Histogram

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class BufferedCounter:
    """Counts in a plain number, for a hot path; `flush_counters` adds the number to the metric."""

    def __init__(self, counter: Counter) -> None:
        self.count = 0
        self._counter = counter
        _buffered.append(self)

    def flush(self) -> None:
        """Add what was counted since the last flush to the metric."""
        count, self.count = self.count, 0
        if count:
            self._counter.inc(count)


class Buffered(Protocol):
    """What keeps observations of a hot path until it is flushed."""

    def flush(self) -> None: ...


_buffered: list[Buffered] = []


def flush_counters() -> None:
    """Flush what is buffered in the process; to be called before metrics are read."""
    for counter in _buffered:
        counter.flush()


# Steps per bucket, for statistics that are finer than the metric.
_FINER = 4


def _finer(bounds: Sequence[float]) -> tuple[float, ...]:
    """Return bounds that cut each bucket into `_FINER`, evenly on a logarithmic scale."""
    lows = (bounds[0] / 2, *bounds)
    return tuple(
        low * (high / low) ** (part / _FINER)
        for low, high in zip(lows, bounds, strict=False)
        for part in range(1, _FINER + 1)
    )


# Upper bounds of the steps, in seconds; what is above the last one has a step of its own.
FINE_SECONDS = _finer(SECONDS)


class Timings(Histogram):
    """A histogram over `SECONDS` that takes many observations at once, at a fraction of their cost."""

    def observe_all(self, seconds: Sequence[float]) -> dict[int, int]:
        """Observe each of `seconds`; return how many fell into which step of `FINE_SECONDS`."""
        bounds = FINE_SECONDS
        steps: dict[int, int] = {}
        for value in seconds:
            at = bisect_left(bounds, value)
            steps[at] = steps.get(at, 0) + 1
        for at, count in steps.items():
            self._buckets[at // _FINER].inc(count)
        self._sum.inc(sum(seconds))
        return steps


class BufferedTimings:
    """Keeps observed seconds, for a hot path, until `flush_counters` adds them to the metric."""

    def __init__(self, timings: Timings) -> None:
        self._timings = timings
        self._seconds: list[float] = []
        self.observe = self._seconds.append
        _buffered.append(self)

    def flush(self) -> None:
        """Add what was observed since the last flush to the metric."""
        if self._seconds:
            self._timings.observe_all(self._seconds)
            self._seconds.clear()


REQUESTS = Counter(
    "boxoffice_requests_total",
    "Answers by route and by the problem's code ('ok' for success).",
    ("method", "route", "status", "code"),
)


REQUEST_SECONDS = Timings(
    "boxoffice_request_seconds", "Time to answer, by route.", ("route",), buckets=SECONDS
)
