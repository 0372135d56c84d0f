"""The spike beside the published one, and a model of larger machines. Pure.

Published: `tall15421542-lab/ticket-master`, `deployment/k8s-configs/overlays/`, the reports
`16-instance-perf` (v0.0.21), `16-instance-perf-v.0.0.23` and `32-instance-perf-v.0.0.23`. Their CPU
is what the pods request, without the managed Kafka and the gateway; what they used is not published.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import linear_regression

from bench.measurement.results import ScenarioFigures

_MODEL_CORES = (2, 8, 32)
# A worker has this many batches of a schedule at PostgreSQL (`BOXOFFICE_BATCHES_IN_FLIGHT`).
_BATCHES_IN_FLIGHT = 2
_US_PER_S = 1_000_000.0


@dataclass(frozen=True)
class PublishedSpike:
    """A published spike; without a completion time, its p99 stands for it."""

    report: str
    requests: int
    cores: float
    p50_s: float
    p95_s: float
    p99_s: float
    last_s: float | None

    @property
    def per_core_s(self) -> float:
        """Requests for each second of a requested core: an upper bound where `last_s` is unknown."""
        return self.requests / (self.cores * (self.last_s or self.p99_s))


PUBLISHED = (
    PublishedSpike("16 instances, v0.0.21", 400_000, 80.0, 0.753, 5.468, 7.457, None),
    PublishedSpike(
        "the same, repetitions after 503 included", 400_000, 80.0, 7.939, 15.417, 17.327, None
    ),
    PublishedSpike("16 instances, v0.0.23", 400_000, 192.0, 0.215, 2.025, 2.773, 7.447),
    PublishedSpike("32 instances, v0.0.23", 1_000_000, 320.0, 0.974, 1.852, 2.329, 13.041),
)


@dataclass(frozen=True)
class SpikeRun:
    """A measured spike: seconds of CPU by server, and the time until the last answer."""

    workers: int
    requests: int
    app_s: float
    postgres_s: float
    valkey_s: float
    p50_s: float
    p95_s: float
    p99_s: float
    last_s: float

    @property
    def cpu_s(self) -> float:
        """CPU of all servers."""
        return self.app_s + self.postgres_s + self.valkey_s

    @property
    def per_cpu_s(self) -> float:
        """Requests for each second of CPU that the servers used."""
        return self.requests / self.cpu_s


def spike_run(figures: ScenarioFigures, workers: int) -> SpikeRun:
    """Return the spike of a scenario's figures."""
    # The counts of all runs are added up in the figures.
    requests = sum(figures.statuses.values()) // figures.runs
    share = requests / _US_PER_S
    return SpikeRun(
        workers=workers,
        requests=requests,
        app_s=figures.cpu_us_app * share,
        postgres_s=figures.cpu_us_postgres * share,
        valkey_s=figures.cpu_us_valkey * share,
        p50_s=figures.p50_ms / 1000,
        p95_s=figures.p95_ms / 1000,
        p99_s=figures.p99_ms / 1000,
        last_s=requests / figures.rps,
    )


@dataclass(frozen=True)
class SpikeForecast:
    """What the model says of a machine; `limit` is what takes the longest."""

    cores: int
    workers: int
    cpu_s: float
    p50_s: float
    p95_s: float
    p99_s: float
    last_s: float
    limit: str


def forecast(runs: Sequence[SpikeRun], cores: int) -> SpikeForecast:
    """Return the spike on `cores` cores without the client, with the number of workers that is best.

    The CPU of each server grows by the same amount with each worker, a line through `runs` (a single
    run gives a constant). The spike ends when its slowest part does: a worker, at most on one core;
    Valkey, on one core; PostgreSQL, on as many as there are batches in flight; or all of them on all
    cores. The percentiles keep their share of the time until the last answer.
    """
    return min((_with(runs, cores, workers) for workers in range(1, cores + 1)), key=_last)


def _last(one: SpikeForecast) -> float:
    return one.last_s


def _with(runs: Sequence[SpikeRun], cores: int, workers: int) -> SpikeForecast:
    app_s = _at([(one.workers, one.app_s) for one in runs], workers)
    postgres_s = _at([(one.workers, one.postgres_s) for one in runs], workers)
    valkey_s = _at([(one.workers, one.valkey_s) for one in runs], workers)
    cpu_s = app_s + postgres_s + valkey_s
    parts = {
        "workers": app_s / workers,
        "PostgreSQL": postgres_s / min(cores, _BATCHES_IN_FLIGHT * workers),
        "Valkey": valkey_s,
        "all cores": cpu_s / cores,
    }
    limit, last_s = max(parts.items(), key=lambda part: part[1])
    shape = max(runs, key=lambda one: one.workers)
    quantiles = (last_s * part / shape.last_s for part in (shape.p50_s, shape.p95_s, shape.p99_s))
    p50_s, p95_s, p99_s = quantiles
    return SpikeForecast(cores, workers, cpu_s, p50_s, p95_s, p99_s, last_s, limit)


def _at(points: Sequence[tuple[int, float]], workers: int) -> float:
    """Return the value at `workers` of a line through the points, which never falls."""
    xs, ys = [float(x) for x, _ in points], [y for _, y in points]
    slope, intercept = linear_regression(xs, ys) if len(set(xs)) > 1 else (0.0, 0.0)
    return max(0.0, intercept + slope * workers) if slope > 0 else sum(ys) / len(ys)


def spike_lines(runs: Sequence[tuple[SpikeRun, ScenarioFigures]]) -> list[str]:
    """Return the spike as lines of Markdown: measured, published, and the model."""
    times = "last answer, s | p50 | p95 | p99 s"
    costs = "app | PostgreSQL | Valkey | CPU s | requests per CPU second"
    return [
        f"| spike | requests | {times} | held | taken | repeated | {costs} |",
        "|---|" + "---:|" * 13,
        *(_measured_line(run, figures) for run, figures in runs),
        *(_published_line(one) for one in PUBLISHED),
        "",
        "| model: cores | workers | last answer, s | p50 | p95 | p99 s | CPU s | limit |",
        "|---:|" + "---:|" * 6 + "---|",
        *(_forecast_line(forecast([run for run, _ in runs], cores)) for cores in _MODEL_CORES),
    ]


def _measured_line(run: SpikeRun, figures: ScenarioFigures) -> str:
    held, taken = (figures.statuses.get(status, 0) // figures.runs for status in ("201", "409"))
    cells = [
        f"workers: {run.workers}; connections: {figures.connections:,}",
        f"{run.requests:,}",
        *(f"{seconds:.2f}" for seconds in (run.last_s, run.p50_s, run.p95_s, run.p99_s)),
        *(f"{count:,}" for count in (held, taken, figures.retried)),
        *(f"{seconds:.2f}" for seconds in (run.app_s, run.postgres_s, run.valkey_s, run.cpu_s)),
        f"{run.per_cpu_s:,.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def _published_line(one: PublishedSpike) -> str:
    last = "–" if one.last_s is None else f"{one.last_s:.2f}"
    times = " | ".join(f"{seconds:.2f}" for seconds in (one.p50_s, one.p95_s, one.p99_s))
    sign = "≤ " if one.last_s is None else ""
    used = one.cores * (one.last_s or one.p99_s)
    head = f"published: {one.report}, {one.cores:.0f} vCPU | {one.requests:,} | {last} | {times}"
    unknown = " | ".join("–" * 6)
    return f"| {head} | {unknown} | {used:,.0f} requested | {sign}{one.per_core_s:,.0f} |"


def _forecast_line(one: SpikeForecast) -> str:
    times = (one.last_s, one.p50_s, one.p95_s, one.p99_s, one.cpu_s)
    cells = " | ".join(f"{seconds:.2f}" for seconds in times)
    return f"| {one.cores} | {one.workers} | {cells} | {one.limit} |"
