"""From samples to figures: medians with their spread, ratios to the baseline, and target_results. Pure."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median

import msgspec

from bench.measurement.runner import BASELINE_SCENARIO, CLEAN, RunSample


class ScenarioFigures(msgspec.Struct, kw_only=True):
    """A scenario: medians over its runs; CPU in microseconds per request, memory of the largest process.

    `cpu_us_per_success` is for each answer 201, with what the refused ones cost. `memory_all_mib` is of
    all processes of the application together, what they share counted once. `cpu_us_per_event` is the
    application's for each event that arrived, with what its other request_set costs.
    """

    name: str
    runs: int
    cpu_us_app: float
    cpu_us_postgres: float
    cpu_us_valkey: float
    cpu_us_relay: float
    cpu_us_total: float
    cpu_us_per_success: float | None
    client_cpu_us: float
    ratio_to_baseline: float | None
    rps: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    memory_mib: float
    memory_mib_by_process: dict[str, float]
    memory_all_mib: float
    statuses: dict[str, int]
    codes: dict[str, int]
    unexpected: int
    audit: str
    sold_twice: int
    batch_mean: float
    batch_sizes: dict[str, int]
    streams: int
    events_per_s: float
    cpu_us_per_event: float | None
    stream_kib: float
    spread: dict[str, tuple[float, float]]


class TargetResult(msgspec.Struct):
    """A target, what was measured, and whether it is reached; None where the scenarios were not run."""

    target: str
    measured: float | None
    limit: float
    at_most: bool

    @property
    def word(self) -> str:
        """PASS, FALLS SHORT, or why there is no verdict."""
        if self.measured is None:
            return "not measured"
        reached = self.measured <= self.limit if self.at_most else self.measured >= self.limit
        return "PASS" if reached else "FALLS SHORT"


def figures(samples: Mapping[str, Sequence[RunSample]]) -> list[ScenarioFigures]:
    """Return the figures of each scenario, in the scenarios' order."""
    baseline = _per_round(samples.get(BASELINE_SCENARIO, ()))
    return [_figures(name, scenario, baseline) for name, scenario in samples.items() if scenario]


def _per_round(samples: Sequence[RunSample]) -> dict[int, float]:
    rounds: dict[int, list[float]] = {}
    for sample in samples:
        rounds.setdefault(sample.round, []).append(sample.total_us)
    return {number: mean(values) for number, values in rounds.items()}


def _figures(
    name: str, samples: Sequence[RunSample], baseline: Mapping[int, float]
) -> ScenarioFigures:
    def middle(read: Callable[[RunSample], float]) -> float:
        return round(median(read(sample) for sample in samples), 3)

    def span(read: Callable[[RunSample], float]) -> tuple[float, float]:
        values = [read(sample) for sample in samples]
        return round(min(values), 3), round(max(values), 3)

    ratios = [
        sample.total_us / baseline[sample.round] for sample in samples if sample.round in baseline
    ]
    peaks = {
        group: round(max(sample.memory_mib[group] for sample in samples), 1)
        for group in samples[0].memory_mib
    }
    target_results = sorted({sample.audit for sample in samples})
    made = [us for sample in samples if (us := sample.us_per_success) is not None]
    return ScenarioFigures(
        name=name,
        runs=len(samples),
        cpu_us_app=middle(lambda sample: sample.cpu_us["app"]),
        cpu_us_postgres=middle(lambda sample: sample.cpu_us["postgres"]),
        cpu_us_valkey=middle(lambda sample: sample.cpu_us["valkey"]),
        cpu_us_relay=middle(lambda sample: sample.cpu_us.get("relay", 0.0)),
        cpu_us_total=middle(lambda sample: sample.total_us),
        cpu_us_per_success=round(median(made), 3) if made else None,
        client_cpu_us=middle(lambda sample: sample.client_cpu_us),
        ratio_to_baseline=round(median(ratios), 3) if ratios else None,
        rps=middle(lambda sample: sample.rps),
        p50_ms=middle(lambda sample: sample.p50_ms),
        p95_ms=middle(lambda sample: sample.p95_ms),
        p99_ms=middle(lambda sample: sample.p99_ms),
        memory_mib=peaks["app"],
        memory_mib_by_process=peaks,
        memory_all_mib=max(sample.memory_all_mib for sample in samples),
        statuses=_sum(sample.statuses for sample in samples),
        codes=_sum(sample.codes for sample in samples),
        unexpected=sum(sample.unexpected for sample in samples),
        audit=CLEAN if target_results == [CLEAN] else "; ".join(set(target_results) - {CLEAN}),
        sold_twice=round(median(sample.sold_twice for sample in samples)),
        batch_mean=middle(lambda sample: sample.batch_mean),
        batch_sizes=_sum(sample.batch_sizes for sample in samples),
        streams=samples[0].streams,
        events_per_s=middle(
            lambda sample: sample.events / sum(sample.statuses.values()) * sample.rps
        ),
        cpu_us_per_event=_per_event(samples),
        stream_kib=middle(lambda sample: sample.stream_kib),
        spread={
            "cpu_us_total": span(lambda sample: sample.total_us),
            "rps": span(lambda sample: sample.rps),
            "p99_ms": span(lambda sample: sample.p99_ms),
            "ratio_to_baseline": (
                (round(min(ratios), 3), round(max(ratios), 3)) if ratios else (0.0, 0.0)
            ),
        },
    )


def _per_event(samples: Sequence[RunSample]) -> float | None:
    us = [
        sample.cpu_us["app"] * sum(sample.statuses.values()) / sample.events
        for sample in samples
        if sample.events
    ]
    return round(median(us), 3) if us else None


def _sum(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return dict(total)


@dataclass(frozen=True)
class PerformanceTarget:
    """What is to be reached: a figure of the scenarios that it needs, and its bound."""

    text: str
    scenarios: tuple[str, ...]
    measure: Callable[..., float | None]
    limit: float
    at_most: bool = True


def _ratio(one: ScenarioFigures) -> float | None:
    return one.ratio_to_baseline


def _cheaper(one: ScenarioFigures, other: ScenarioFigures) -> float:
    return other.cpu_us_total / one.cpu_us_total


def _faster(one: ScenarioFigures, other: ScenarioFigures) -> float:
    return one.rps / other.rps


TARGETS: tuple[PerformanceTarget, ...] = (
    PerformanceTarget("hold_accepted, CPU × baseline", ("hold_accepted",), _ratio, 2.0),
    PerformanceTarget(
        "hold_accepted, × cheaper than lock_per_request",
        ("hold_accepted", "lock_per_request"),
        _cheaper,
        8.0,
        False,
    ),
    PerformanceTarget(
        "hold_accepted, × the requests/s of lock_per_request",
        ("hold_accepted", "lock_per_request"),
        _faster,
        8.0,
        False,
    ),
    PerformanceTarget("hold_refused, CPU × baseline", ("hold_refused",), _ratio, 1.2),
    PerformanceTarget("hold_sold_out, CPU × baseline", ("hold_sold_out",), _ratio, 1.2),
    PerformanceTarget("pay, CPU × baseline", ("pay",), _ratio, 2.5),
    PerformanceTarget("concerts_read, CPU × baseline", ("concerts_read",), _ratio, 1.1),
    PerformanceTarget("seats_304, CPU × baseline", ("seats_304",), _ratio, 1.1),
    PerformanceTarget("seats_read, CPU × baseline", ("seats_read",), _ratio, 1.5),
    PerformanceTarget("queue_poll, CPU × baseline", ("queue_poll",), _ratio, 1.2),
    PerformanceTarget("queue_poll_cold, CPU × baseline", ("queue_poll_cold",), _ratio, 1.2),
    PerformanceTarget("queue_join, CPU × baseline", ("queue_join",), _ratio, 1.6),
    PerformanceTarget("p95 at 88 requests/s, ms", ("open_88",), lambda one: one.p95_ms, 5.0),
    PerformanceTarget("p99 at 88 requests/s, ms", ("open_88",), lambda one: one.p99_ms, 10.0),
    PerformanceTarget(
        "a hold at 1,000,000 seats × one at 1,000",
        ("hold_1000000_seats", "hold_accepted"),
        lambda huge, small: huge.cpu_us_total / small.cpu_us_total,
        1.2,
    ),
    PerformanceTarget(
        "a worker's memory, 60,000 seats hot, MiB",
        ("hot_map_60000",),
        lambda one: one.memory_mib,
        128.0,
    ),
    PerformanceTarget(
        "memory of an open event stream, KiB",
        ("seat_events",),
        lambda one: one.stream_kib,
        20.0,
    ),
)


def target_results(scenarios: Sequence[ScenarioFigures]) -> list[TargetResult]:
    """Return one verdict per target."""
    by_name = {scenario.name: scenario for scenario in scenarios}
    found = []
    for target in TARGETS:
        needed = [by_name.get(name) for name in target.scenarios]
        measured = None if None in needed else target.measure(*needed)
        found.append(TargetResult(target.text, measured, target.limit, target.at_most))
    return found
