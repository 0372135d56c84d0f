"""How large batches are, and what a hold costs, with and without the routing of writes by schedule."""

import asyncio
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.client import load
from bench.environment.batch_counters import BatchCounters
from bench.environment.cpu import CpuMeter, MeasuredGroup
from bench.environment.environment import Dataset, DatasetPlan, Environment, running_environment
from bench.environment.processes import APP, ServerProcess, running
from bench.scenarios import http_requests
from drills.drill import Drill, DrillReport
from drills.edge.databases import fresh_database
from drills.edge.proxies import EdgeCertificate, EdgeProxy, haproxy, make_certificate

_WARMUP = 200
_CONNECTIONS = 256
_ROUNDS = 3
# Equal schedules, and the seats of each: as many holds for one schedule as for eight.
_SALES = (DatasetPlan(4_000, 1, 4_200), DatasetPlan(500, 8, 4_200))
_POD_COUNTS = (2, 4)
# How the edge routes writes: variables by a name.
_ROUTINGS: Mapping[str, Mapping[str, str]] = {
    "least connections": {"EDGE_ROUTE_WRITES": "off"},
    "by schedule, bound 150 %": {"EDGE_BALANCE_FACTOR": "150"},
    "by schedule, no bound": {"EDGE_BALANCE_FACTOR": "0"},
}
_MANY = "10000000"
# A pod that is the only one of a schedule refuses what would wait for half a second on a slow machine.
_POD_ENV = {"BOXOFFICE_BATCH_WAIT_MAX_MS": "30000", "BOXOFFICE_LOG_LEVEL": "warning"}


@dataclass(frozen=True)
class BatchRun:
    """One sell-out: per hold in microseconds of CPU, but for `mean_batch` and `largest_share`."""

    mean_batch: float
    largest_share: float
    pods_us: float
    postgres_us: float
    holds_per_s: float
    p99_ms: float
    failed: int


async def play(report: DrillReport, folder: Path) -> None:
    """Sell out, once for each routing in each round, and compare within the rounds."""
    certificate = make_certificate(folder)
    with running_environment(folder / "servers") as environment:
        for plan in _SALES:
            dataset = await asyncio.to_thread(environment.seed_dataset, plan)
            for pods in _POD_COUNTS:
                runs: dict[str, list[BatchRun]] = {name: [] for name in _ROUTINGS}
                for turn in range(_ROUNDS):
                    for name, routing in _in_turn(turn):
                        run = await _sell_out(
                            environment, dataset, pods, routing, certificate, folder
                        )
                        runs[name].append(run)
                        report.say(f"{pods} pods, {plan.schedules} schedules, {name}: {run}")
                _compare(report, f"{plan.schedules} schedules, {pods} pods", runs)


def _in_turn(turn: int) -> Sequence[tuple[str, Mapping[str, str]]]:
    """Return the routings; each round begins with another one."""
    routings = list(_ROUTINGS.items())
    start = turn % len(routings)
    return routings[start:] + routings[:start]


def _compare(report: DrillReport, what: str, runs: Mapping[str, Sequence[BatchRun]]) -> None:
    for name, of_name in runs.items():
        for figure, unit, value in _FIGURES:
            report.measure(
                f"{what}, {name}: {figure}", statistics.median(map(value, of_name)), unit
            )
    failed = sum(run.failed for of_name in runs.values() for run in of_name)
    report.check(f"{what}: each hold succeeded", holds=not failed, seen=f"{failed} failed")
    shares = [run.largest_share for run in runs["by schedule, bound 150 %"]]
    report.check(
        f"{what}: the bound holds",
        holds=max(shares) <= _largest_share_allowed(int(what.split()[2])),
        seen=f"{max(shares):.0%} of the holds went to one pod",
    )


def _largest_share_allowed(pods: int) -> float:
    # The bound is of open requests; a pod that answers faster than the others gets more of them.
    return min(1.0, 1.5 / pods + 0.15)


_FIGURES: Sequence[tuple[str, str, Callable[[BatchRun], float]]] = (
    ("mean batch", "holds", lambda run: run.mean_batch),
    ("share of the busiest pod", "percent", lambda run: 100 * run.largest_share),
    ("CPU of pods", "µs a hold", lambda run: run.pods_us),
    ("CPU of PostgreSQL", "µs a hold", lambda run: run.postgres_us),
    ("throughput", "holds/s", lambda run: run.holds_per_s),
    ("p99", "ms", lambda run: run.p99_ms),
)


async def _sell_out(
    environment: Environment,
    dataset: Dataset,
    count: int,
    routing: Mapping[str, str],
    certificate: EdgeCertificate,
    folder: Path,
) -> BatchRun:
    requests = _holds(dataset)
    async with fresh_database(environment, dataset.plan) as settings:
        with ExitStack() as stack:
            env = environment.env(settings, 1) | _POD_ENV
            pods = [
                stack.enter_context(running(APP, env, folder / f"pod-{number}.log"))
                for number in range(count)
            ]
            edge = stack.enter_context(_edge(pods, certificate, folder, routing))
            return _measure(environment, pods, edge, requests)


@contextmanager
def _edge(
    pods: Sequence[ServerProcess],
    certificate: EdgeCertificate,
    folder: Path,
    routing: Mapping[str, str],
) -> Iterator[EdgeProxy]:
    unlimited = {"EDGE_ADDRESS_REQUESTS": _MANY, "EDGE_ADDRESS_CONNECTIONS": _MANY}
    addresses = [f"127.0.0.1:{pod.port}" for pod in pods]
    plain = {"EDGE_CERTIFICATE": "", **unlimited, **routing}
    with haproxy(addresses, certificate, folder, **plain) as edge:
        yield edge


def _measure(
    environment: Environment,
    pods: Sequence[ServerProcess],
    edge: EdgeProxy,
    requests: Sequence[bytes],
) -> BatchRun:
    groups = [MeasuredGroup(f"pod-{n}", pod.group.pid) for n, pod in enumerate(pods)]
    cpu = CpuMeter([*groups, *environment.groups])
    before: list[BatchCounters] = []

    def start() -> None:
        before.extend(pod.batches() for pod in pods)
        cpu.start()

    measured = len(requests) - _WARMUP
    result = load.run(
        load.LoadPlan(
            port=edge.http_port,
            connections=_CONNECTIONS,
            requests=list(requests[_WARMUP:]),
            count=measured,
            warmup=list(requests[:_WARMUP]),
        ),
        start,
        cpu.stop,
    )
    batches = [pod.batches().since(then) for pod, then in zip(pods, before, strict=True)]
    commands = [one.commands for one in batches]
    used = cpu.cpu_us()
    return BatchRun(
        mean_batch=sum(commands) / sum(one.batches for one in batches),
        largest_share=max(commands) / sum(commands),
        pods_us=sum(used[group.name] for group in groups) / measured,
        postgres_us=used["postgres"] / measured,
        holds_per_s=result.rps,
        p99_ms=result.p99_ms,
        failed=measured - result.statuses.get("201", 0),
    )


def _holds(dataset: Dataset) -> list[bytes]:
    """Return a hold of each seat by a buyer of its own, one schedule after the other in turn."""
    seats = [
        (schedule.schedule_id, schedule.seat_ids[at])
        for at in range(dataset.plan.seats)
        for schedule in dataset.schedules
    ]
    return [
        http_requests.hold(schedule_id, token, f"hold-{at}", [seat_id])
        for at, ((schedule_id, seat_id), token) in enumerate(
            zip(seats, dataset.tokens, strict=False)
        )
    ]


DRILL = Drill(
    name="edge_batches",
    title="sizes of batches and CPU of a hold, with and without routing by schedule",
    minutes=7,
    play=play,
    programs=("haproxy", "openssl"),
)
