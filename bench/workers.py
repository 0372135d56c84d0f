"""What a hold costs with one worker and with several, each batching alone and together.

All buyers want seats of one schedule, so one worker collects. The CPU of each process is read alone;
the variants take turns. From the parts follows what more cores would sell (docs/performance.md).
"""

import asyncio
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from uuid import UUID

import psutil
import typer

from bench.client import load
from bench.environment.batch_counters import BatchCounters
from bench.environment.cpu import CpuMeter, MeasuredGroup
from bench.environment.environment import Dataset, Environment, running_environment
from bench.environment.processes import APP, ServerProcess, running
from bench.measurement import audits
from bench.measurement.sample import CLEAN
from bench.scenarios import holds
from bench.scenarios.scenario import LARGE, BenchScenario, ScenarioContext, Sizes
from boxoffice.batching.handover.workers import WorkerPlace
from boxoffice.settings import Settings


@dataclass(frozen=True)
class WorkersVariant:
    """A number of workers, which batch together or each alone."""

    workers: int
    is_together: bool

    def __str__(self) -> str:
        together = "together" if self.is_together and self.workers > 1 else "alone"
        return f"{self.workers} {together}"


@dataclass(frozen=True)
class WorkersRun:
    """One run: microseconds of CPU per hold by part, and what the client saw."""

    cpu_us: dict[str, float]
    batch_mean: float
    rps: float
    p50_ms: float
    p99_ms: float


def measure(
    environment: Environment, dataset: Dataset, sizes: Sizes, variant: WorkersVariant, home: Path
) -> WorkersRun:
    """Hold seats of one schedule; raise `SystemExit` for another answer, or where the audit fails."""
    scenario = BenchScenario("workers", holds.accepted, workers=variant.workers, seats=LARGE)
    with environment.fresh_database(sizes.dataset(LARGE)) as settings:
        env = environment.env(settings, variant.workers)
        env["BOXOFFICE_HAND_OVER"] = str(variant.is_together).lower()
        with running(APP, env, home / "workers.log") as server:
            requests = scenario.build(ScenarioContext(sizes, dataset, server))
            schedule_id = UUID(dataset.schedules[0].schedule_id)
            meter = CpuMeter([*_groups(server, schedule_id), *environment.groups])
            counted: list[BatchCounters] = []

            def before() -> None:
                counted.append(server.batches())
                meter.start()

            def after() -> None:
                meter.stop()
                counted.append(server.batches())

            plan = load.LoadPlan(
                port=server.port,
                connections=64,
                requests=list(requests.requests),
                count=requests.count,
                warmup=list(requests.warmup),
            )
            sent = load.run(plan, before, after)
            _require_clean(settings, scenario, sent)
    cpu_us = {name: us / requests.count for name, us in meter.cpu_us().items()}
    return WorkersRun(cpu_us, counted[1].since(counted[0]).mean, sent.rps, sent.p50_ms, sent.p99_ms)


def _require_clean(settings: Settings, scenario: BenchScenario, sent: load.LoadResult) -> None:
    audit, _ = asyncio.run(audits.check(settings, scenario))
    if audit != CLEAN or set(sent.statuses) != {"201"}:
        raise SystemExit(f"unexpected answers {sent.statuses}, or the audit is not clean: {audit}")


def _groups(server: ServerProcess, schedule_id: UUID) -> Iterator[MeasuredGroup]:
    """Yield the whole application, and of several workers each one."""
    yield server.group
    for worker in psutil.Process(server.group.pid).children():
        argv = worker.cmdline()
        if "--place" in argv:
            place = WorkerPlace.parse(argv[argv.index("--place") + 1])
            is_collector = schedule_id.int % place.count == place.number
            name = "collector" if is_collector else f"neighbour {place.number}"
            yield MeasuredGroup(name, worker.pid)


def _line(name: str, runs: list[WorkersRun]) -> str:
    def median(of: list[float]) -> float:
        return statistics.median(of) if of else 0.0

    parts = {part: median([run.cpu_us[part] for run in runs]) for part in runs[0].cpu_us}
    total = median([sum(run.cpu_us[one] for one in ("app", "postgres", "valkey")) for run in runs])
    neighbours = [us for part, us in parts.items() if part.startswith("neighbour")]
    figures = [
        total,
        parts["app"],
        parts.get("collector", parts["app"]),
        statistics.fmean(neighbours) if neighbours else 0.0,
        parts["postgres"],
        parts["valkey"],
        median([run.batch_mean for run in runs]),
    ]
    shown = " ".join(f"{figure:>10.1f}" for figure in figures)
    latency = [median([getattr(run, one) for run in runs]) for one in ("rps", "p50_ms", "p99_ms")]
    return f"{name:<12} {shown} {latency[0]:>8.0f} {latency[1]:>6.1f} {latency[2]:>6.1f}"


def main(
    workers: Annotated[str, typer.Option(help="Numbers of workers, comma-separated.")] = "1,2,4",
    count: Annotated[int, typer.Option("--holds", min=32, help="Holds per run.")] = 6_000,
    runs: Annotated[int, typer.Option(min=1, help="Runs per variant.")] = 3,
) -> None:
    """Measure the CPU per hold of workers that batch alone and together."""
    numbers = [int(one) for one in workers.split(",")]
    variants = [WorkersVariant(number, True) for number in numbers]
    variants += [WorkersVariant(number, False) for number in numbers if number > 1]
    sizes = Sizes(holds=count, open_s=1.0, huge=False)
    found: dict[WorkersVariant, list[WorkersRun]] = {variant: [] for variant in variants}
    with (
        tempfile.TemporaryDirectory(prefix="boxoffice-bench-", ignore_cleanup_errors=True) as home,
        running_environment(Path(home) / "servers") as environment,
    ):
        dataset = environment.seed_dataset(sizes.dataset(LARGE))
        for number in range(runs):
            for variant in variants[:: -1 if number % 2 else 1]:
                run = measure(environment, dataset, sizes, variant, Path(home))
                found[variant].append(run)
                print(f"… {variant}: {run}", flush=True)
    heads = ["total", "app", "collector", "neighbour", "postgres", "valkey", "batch"]
    print(f"{'workers':<12} {' '.join(f'{one:>10}' for one in heads)}      rps p50_ms p99_ms")
    for variant in variants:
        print(_line(str(variant), found[variant]))


if __name__ == "__main__":
    typer.run(main)
