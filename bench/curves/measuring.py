"""Measures the points of the curves, each several times, and keeps the medians."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import msgspec

from bench.closed_reservations import MeasuredSchedule, measure
from bench.curves import scenarios
from bench.curves.laws import CurvePoint
from bench.environment.environment import DatasetPlan, Environment
from bench.measurement.runner import BenchRunner, RunProgress
from bench.measurement.sample import CLEAN, RunSample
from bench.scenarios.scenario import HUGE, LARGE, SMALL, BenchScenario, Sizes
from boxoffice.platform.ids import new_id

_BATCH_CONNECTIONS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_WORKERS = (1, 2, 3, 4)
_MIDDLE = 10_000
_SUCCESS = "201"


class CurveSizes(msgspec.Struct, frozen=True):
    """What is measured: the values of x of each curve."""

    batch_connections: Sequence[int] = _BATCH_CONNECTIONS
    workers: Sequence[int] = _WORKERS
    seats: Sequence[int] = (SMALL, _MIDDLE, LARGE, HUGE)
    closed: Sequence[int] = (0, 10_000, 100_000, 1_000_000)
    history_batches: int = 100
    watchers: Sequence[int] = (0, 1_000, 2_000, 3_500, 5_000)
    people_waiting: Sequence[int] = (0, 5_000, 20_000, 50_000)


QUICK = CurveSizes((1, 8, 64), (1, 2), (SMALL, _MIDDLE), (0, 20_000), 10, (0, 200), (0, 1_000))


@dataclass(frozen=True)
class _Series:
    """One series of a curve: its scenarios by x; without x, the mean batch is x."""

    name: str
    scenarios: Sequence[tuple[int | None, BenchScenario]]


class CurveFailed(Exception):
    """A run got unexpected answers, or its audit is not clean."""


def measured(
    environment: Environment,
    sizes: Sizes,
    curve_sizes: CurveSizes,
    folder: Path,
    runs: int,
    show: Callable[[RunProgress], None],
) -> dict[str, list[CurvePoint]]:
    """Return the points of each series; raise `CurveFailed` for a run that is not as it should be."""
    found: dict[str, list[CurvePoint]] = {}
    runner = BenchRunner(environment, sizes, folder, None, show)
    for series in _series(sizes, curve_sizes):
        samples = runner.run([scenario for _, scenario in series.scenarios], runs)
        found[series.name] = sorted(
            (_point(x, samples[scenario.name]) for x, scenario in series.scenarios),
            key=lambda point: point.x,
        )
    found["history"] = _history(environment, curve_sizes)
    return found


def _series(sizes: Sizes, curves: CurveSizes) -> Iterator[_Series]:
    apart = scenarios.CONNECTIONS
    yield _Series("batch", [(None, scenarios.batches(one)) for one in curves.batch_connections])
    yield _Series("workers", [(one, scenarios.workers(one, apart)) for one in curves.workers])
    yield _Series(
        "workers_busy", [(one, scenarios.workers(one, apart * one)) for one in curves.workers]
    )
    yield _Series("seats", [(one, scenarios.seats(one)) for one in curves.seats])
    yield _Series("watchers", [(one, scenarios.watchers(one)) for one in curves.watchers])
    most = max(curves.people_waiting)
    waiting = [(one, scenarios.people_waiting(one, most, sizes)) for one in curves.people_waiting]
    yield _Series("waiting", waiting)


def _point(x: int | None, samples: Sequence[RunSample]) -> CurvePoint:
    for sample in samples:
        if sample.unexpected or sample.audit != CLEAN:
            raise CurveFailed(f"{sample.statuses} {sample.codes}, audit {sample.audit}")

    def per_hold(server: str) -> float:
        return median(
            sample.cpu_us[server] * sample.answers / sample.statuses[_SUCCESS] for sample in samples
        )

    mean_batch = median(sample.batch_mean for sample in samples)
    return CurvePoint(
        x=mean_batch if x is None else x,
        app=per_hold("app"),
        postgres=per_hold("postgres"),
        valkey=per_hold("valkey"),
    )


def _history(environment: Environment, curves: CurveSizes) -> list[CurvePoint]:
    """Measure PostgreSQL alone, with closed reservations of other users in the schedule."""
    schedules = [MeasuredSchedule(f"{one}", new_id(), closed=one) for one in curves.closed]
    plan = DatasetPlan(seats=1, schedules=1, users=0)
    environment.seed_dataset(plan)
    with environment.fresh_database(plan) as settings:
        asyncio.run(measure(settings, schedules, curves.history_batches))
    return [CurvePoint(float(one.closed), 0.0, one.median_us, 0.0) for one in schedules]
