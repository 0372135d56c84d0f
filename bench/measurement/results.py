"""From samples to figures: medians, spreads, and ratios to the baseline. Pure."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import mean, median

import msgspec

from bench.measurement.sample import CLEAN, RunSample
from bench.scenarios.catalogue import BASELINE

Read = Callable[[RunSample], float]


class ScenarioFigures(msgspec.Struct, kw_only=True):
    """Medians over the runs of a scenario; CPU in microseconds per request.

    `cpu_us_per_success` is per answer 201 and includes the refused requests. `memory_mib` is the peak
    of the largest process, `memory_all_mib` that of all processes with shared pages counted once.
    `cpu_us_per_event` is the application's CPU per delivered event and includes its other work.
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
    retried: int
    connections: int
    spread: dict[str, tuple[float, float]]


def figures(samples: Mapping[str, Sequence[RunSample]]) -> list[ScenarioFigures]:
    """Return the figures of each scenario, in the order of the scenarios."""
    baseline = _per_round(samples.get(BASELINE, ()))
    return [_figures(name, found, baseline) for name, found in samples.items() if found]


def _per_round(samples: Sequence[RunSample]) -> dict[int, float]:
    rounds: dict[int, list[float]] = {}
    for sample in samples:
        rounds.setdefault(sample.round, []).append(sample.total_us)
    return {number: mean(values) for number, values in rounds.items()}


def _figures(
    name: str, samples: Sequence[RunSample], baseline: Mapping[int, float]
) -> ScenarioFigures:
    def middle(read: Read) -> float:
        return round(median(map(read, samples)), 3)

    ratios = [
        sample.total_us / baseline[sample.round] for sample in samples if sample.round in baseline
    ]
    peaks = _peaks(samples)
    return ScenarioFigures(
        name=name,
        runs=len(samples),
        cpu_us_app=middle(lambda sample: sample.cpu_us["app"]),
        cpu_us_postgres=middle(lambda sample: sample.cpu_us["postgres"]),
        cpu_us_valkey=middle(lambda sample: sample.cpu_us["valkey"]),
        cpu_us_relay=middle(lambda sample: sample.cpu_us.get("relay", 0.0)),
        cpu_us_total=middle(lambda sample: sample.total_us),
        cpu_us_per_success=_median(sample.us_per_success for sample in samples),
        client_cpu_us=middle(lambda sample: sample.client_cpu_us),
        ratio_to_baseline=_median(ratios),
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
        audit=_audit(samples),
        sold_twice=round(median(sample.sold_twice for sample in samples)),
        batch_mean=middle(lambda sample: sample.batch_mean),
        batch_sizes=_sum(sample.batch_sizes for sample in samples),
        streams=samples[0].streams,
        events_per_s=middle(lambda sample: sample.events_per_s),
        cpu_us_per_event=_median(sample.us_per_event for sample in samples),
        stream_kib=middle(lambda sample: sample.stream_kib),
        retried=round(median(sample.retried for sample in samples)),
        connections=samples[0].connections,
        spread={
            "cpu_us_total": _span(sample.total_us for sample in samples),
            "rps": _span(sample.rps for sample in samples),
            "p99_ms": _span(sample.p99_ms for sample in samples),
            "ratio_to_baseline": _span(ratios or (0.0,)),
        },
    )


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(median(known), 3) if known else None


def _span(values: Iterable[float]) -> tuple[float, float]:
    ordered = sorted(values)
    return round(ordered[0], 3), round(ordered[-1], 3)


def _peaks(samples: Sequence[RunSample]) -> dict[str, float]:
    return {
        group: round(max(sample.memory_mib[group] for sample in samples), 1)
        for group in samples[0].memory_mib
    }


def _audit(samples: Sequence[RunSample]) -> str:
    broken = {sample.audit for sample in samples} - {CLEAN}
    return "; ".join(sorted(broken)) or CLEAN


def _sum(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return dict(total)
