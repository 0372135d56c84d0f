"""The performance targets, and whether the figures reach them. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from bench.measurement.results import ScenarioFigures


@dataclass(frozen=True)
class PerformanceTarget:
    """A bound for a figure that is computed from the named scenarios."""

    text: str
    scenarios: tuple[str, ...]
    measure: Callable[..., float | None]
    limit: float
    at_most: bool = True


class TargetResult(msgspec.Struct):
    """A target and what was measured; None if its scenarios were not run."""

    target: str
    measured: float | None
    limit: float
    at_most: bool

    @property
    def outcome(self) -> str:
        """PASS, FALLS SHORT or `not measured`."""
        if self.measured is None:
            return "not measured"
        reached = self.measured <= self.limit if self.at_most else self.measured >= self.limit
        return "PASS" if reached else "FALLS SHORT"


def _ratio(figures: ScenarioFigures) -> float | None:
    return figures.ratio_to_baseline


def _cpu(scenario: str, limit: float) -> PerformanceTarget:
    return PerformanceTarget(f"{scenario}, CPU × baseline", (scenario,), _ratio, limit)


TARGETS: tuple[PerformanceTarget, ...] = (
    _cpu("hold_accepted", 2.8),
    PerformanceTarget(
        "hold_accepted, × cheaper than lock_per_request",
        ("hold_accepted", "lock_per_request"),
        lambda shop, other: other.cpu_us_total / shop.cpu_us_total,
        9.0,
        at_most=False,
    ),
    PerformanceTarget(
        "hold_accepted, × the requests/s of lock_per_request",
        ("hold_accepted", "lock_per_request"),
        lambda shop, other: shop.rps / other.rps,
        8.0,
        at_most=False,
    ),
    *(
        PerformanceTarget(
            f"{scenario}, CPU × one worker",
            (scenario, "hold_accepted"),
            lambda more, one: more.cpu_us_total / one.cpu_us_total,
            1.1,
        )
        for scenario in (
            "hold_accepted_2_workers",
            "hold_accepted_2_together",
            "hold_accepted_4_together",
        )
    ),
    PerformanceTarget(
        "hold_accepted_2_together, mean batch",
        ("hold_accepted_2_together",),
        lambda one: one.batch_mean,
        28.0,
        at_most=False,
    ),
    _cpu("hold_refused", 1.0),
    _cpu("hold_sold_out", 1.0),
    _cpu("pay", 2.8),
    _cpu("concerts_read", 1.1),
    _cpu("seats_304", 1.1),
    _cpu("seats_read", 1.5),
    _cpu("queue_poll", 1.2),
    _cpu("queue_poll_cold", 1.2),
    _cpu("queue_join", 1.4),
    PerformanceTarget("p95 at 88 requests/s, ms", ("open_88",), lambda one: one.p95_ms, 5.0),
    PerformanceTarget("p99 at 88 requests/s, ms", ("open_88",), lambda one: one.p99_ms, 10.0),
    PerformanceTarget(
        "a hold at 1,000,000 seats × one at 1,000",
        ("hold_1000000_seats", "hold_accepted"),
        lambda huge, small: huge.cpu_us_total / small.cpu_us_total,
        1.1,
    ),
    PerformanceTarget(
        "memory of a worker with 60,000 cached seats, MiB",
        ("hot_map_60000",),
        lambda one: one.memory_mib,
        128.0,
    ),
    PerformanceTarget(
        "p95 of a hold beside 5,000 event streams, ms",
        ("seat_events",),
        lambda one: one.p95_ms,
        5.0,
    ),
    PerformanceTarget(
        "memory of an open event stream, KiB", ("seat_events",), lambda one: one.stream_kib, 20.0
    ),
)


def check(figures: Sequence[ScenarioFigures]) -> list[TargetResult]:
    """Return one result per target."""
    by_name = {one.name: one for one in figures}
    results = []
    for target in TARGETS:
        needed = [by_name.get(name) for name in target.scenarios]
        measured = None if None in needed else target.measure(*needed)
        results.append(TargetResult(target.text, measured, target.limit, target.at_most))
    return results
