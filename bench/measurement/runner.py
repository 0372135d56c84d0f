"""Runs the scenarios round by round, so that whatever drifts in the machine drifts for all of them."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

from bench.client import load
from bench.client.stream_readers import StreamReaders, reading_streams
from bench.environment.environment import Dataset, DatasetPlan, Environment
from bench.environment.processes import APP, LOCK_PER_REQUEST, BatchCounters, Server, running
from bench.environment.relay import relaying, wait_until_delivered
from bench.measurement.cpu import CpuMeter
from bench.scenarios.shop import HUGE, BenchScenario, RequestSet, ScenarioContext, Sizes
from boxoffice.audit import audit
from boxoffice.platform.postgres import sql_files
from boxoffice.settings import Settings

CLEAN = "clean"
BASELINE_SCENARIO = "baseline"
_LOCK_PER_REQUEST_SQL = sql_files.load("bench.baselines.lock_per_request")


@dataclass(frozen=True)
class RunSample:
    """One run of one scenario: CPU in microseconds per request, memory of the largest process per group.

    `events` were delivered to all `streams` together, each of which took `stream_kib` of memory.
    """

    round: int
    cpu_us: dict[str, float]
    client_cpu_us: float
    rps: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    memory_mib: dict[str, float]
    statuses: dict[str, int]
    codes: dict[str, int]
    audit: str
    unexpected: int
    memory_all_mib: float = 0.0
    sold_twice: int = 0
    batch_mean: float = 0.0
    batch_sizes: dict[str, int] = field(default_factory=dict)
    streams: int = 0
    events: int = 0
    stream_kib: float = 0.0

    @property
    def total_us(self) -> float:
        """CPU of all servers together."""
        return sum(self.cpu_us.values())

    @property
    def us_per_success(self) -> float | None:
        """CPU of all servers for each answer 201; None without one."""
        made = self.statuses.get("201", 0)
        return self.total_us * sum(self.statuses.values()) / made if made else None


@dataclass(frozen=True)
class RunProgress:
    """What is about to be done, for those who wait."""

    text: str
    done: int
    total: int


@dataclass
class StreamLoad:
    """Who watches a scenario, and the memory of each stream; `left` counts those that do not any more."""

    streams: int
    stream_kib: float
    readers: StreamReaders | None
    left: int = 0

    def events(self) -> int:
        """Return how many events they have seen together."""
        if self.readers is None:
            return 0
        seen = self.readers.count()
        self.left = self.streams - seen.open
        return seen.events


@contextmanager
def _stream_load(context: ScenarioContext) -> Iterator[StreamLoad]:
    """Have people read_streams the first schedule of a context."""
    count, group = context.sizes.stream_readers, context.server.group
    path = f"/v1/schedules/{context.full.schedule_id}/seats/events"
    # The map is read and the cache filled before, so that their memory is not the streams'.
    with reading_streams(context.server.port, path, 1):
        before_mib = group.held_mib()
    with reading_streams(context.server.port, path, count) as readers:
        stream_kib = (group.held_mib() - before_mib) * 1024 / count
        yield StreamLoad(count, stream_kib, readers)


class BenchRunner:
    """Measures scenarios on a running_environment."""

    def __init__(
        self,
        running_environment: Environment,
        sizes: Sizes,
        folder: Path,
        connections: int,
        say: Callable[[RunProgress], None],
    ) -> None:
        self._environment = running_environment
        self._sizes = sizes
        self._folder = folder
        self._connections = connections
        self._say = say
        self._datasets: dict[DatasetPlan, Dataset] = {}

    def run(self, scenarios: Sequence[BenchScenario], runs: int) -> dict[str, list[RunSample]]:
        """Return the samples of each scenario; the baseline has one more per round, at its end."""
        samples: dict[str, list[RunSample]] = {scenario.name: [] for scenario in scenarios}
        order = list(_order(scenarios, runs))
        plans = {self._sizes.dataset(scenario.seats) for scenario in scenarios}
        total = len(order) + len(plans)
        for done, plan in enumerate(sorted(plans, key=lambda plan: plan.seats)):
            self._say(RunProgress(f"sowing {plan.schedules} × {plan.seats:,} seats", done, total))
            self._datasets[plan] = self._environment.seed_dataset(plan)
        for done, (number, scenario) in enumerate(order, start=len(plans)):
            self._say(RunProgress(f"round {number} of {runs}: {scenario.name}", done, total))
            samples[scenario.name].append(self.measure(scenario, number))
        self._say(RunProgress("done", total, total))
        return samples

    def measure(self, scenario: BenchScenario, number: int) -> RunSample:
        """Measure a scenario once, on a database and a server of its own."""
        plan = self._sizes.dataset(scenario.seats)
        with self._environment.fresh(plan) as settings:
            env = {**self._environment.env(settings, scenario.workers), **scenario.env}
            if scenario.has_waiting_room:
                asyncio.run(self._environment.add_waiting_rooms(settings))
            log = self._folder / f"{scenario.name}.log"
            with running(scenario.server, env, log) as server, ExitStack() as beside:
                groups = [server.group, *self._environment.groups]
                if scenario.relay:
                    relay_log = self._folder / "relay.log"
                    groups.append(beside.enter_context(relaying(settings, env, relay_log)))
                context = ScenarioContext(self._sizes, self._datasets[plan], server)
                request_set = scenario.build(context)
                stream_load = StreamLoad(0, 0.0, None)
                if scenario.has_stream_readers:
                    stream_load = beside.enter_context(_stream_load(context))
                meter = CpuMeter(groups)
                return self._measure(
                    scenario, number, server, request_set, settings, meter, stream_load
                )

    def _measure(
        self,
        scenario: BenchScenario,
        number: int,
        server: Server,
        request_set: RequestSet,
        settings: Settings,
        meter: CpuMeter,
        stream_load: "StreamLoad",
    ) -> RunSample:
        batches: list[BatchCounters] = []
        seen: list[int] = []

        def before() -> None:
            if scenario.server == APP:
                batches.append(server.batches())
            seen.append(stream_load.events())
            meter.start()

        def after() -> None:
            if scenario.relay:
                wait_until_delivered(settings)
            meter.stop()
            seen.append(stream_load.events())
            if scenario.server == APP:
                batches.append(server.batches())

        sent = load.run(self._plan(server, request_set), before, after)
        in_batches = batches[1].since(batches[0]) if batches else BatchCounters(0, 0, {})
        audit, sold_twice = asyncio.run(_audit(settings, scenario))
        return RunSample(
            round=number,
            cpu_us={name: us / request_set.count for name, us in meter.cpu_us().items()},
            client_cpu_us=sent.cpu_s * 1e6 / request_set.count,
            rps=sent.rps,
            p50_ms=sent.p50_ms,
            p95_ms=sent.p95_ms,
            p99_ms=sent.p99_ms,
            memory_mib={**meter.peaks_mib(), "client": sent.memory_mib},
            statuses=sent.statuses,
            codes=sent.codes,
            audit=audit,
            unexpected=_unexpected(scenario, sent) + stream_load.left,
            memory_all_mib=server.group.held_mib(),
            sold_twice=sold_twice,
            batch_mean=in_batches.mean,
            batch_sizes=in_batches.sizes,
            streams=stream_load.streams,
            events=seen[1] - seen[0],
            stream_kib=stream_load.stream_kib,
        )

    def _plan(self, server: Server, request_set: RequestSet) -> load.LoadPlan:
        return load.LoadPlan(
            port=server.port,
            connections=self._connections,
            requests=list(request_set.requests),
            count=request_set.count,
            warmup=list(request_set.warmup),
            rate_per_s=request_set.rate_per_s,
        )


def _order(scenarios: Sequence[BenchScenario], runs: int) -> Iterator[tuple[int, BenchScenario]]:
    """Yield (round, scenario): every other round backwards, and the baseline at both ends of each."""
    baseline = [scenario for scenario in scenarios if scenario.name == BASELINE_SCENARIO]
    others = [scenario for scenario in scenarios if scenario.name != BASELINE_SCENARIO]
    for number in range(1, runs + 1):
        turn = others if number % 2 else others[::-1]
        for scenario in [*baseline, *turn, *baseline]:
            yield number, scenario


def _unexpected(scenario: BenchScenario, sent: load.LoadResult) -> int:
    """Count the answers that the scenario is not about."""
    wrong = sum(number for status, number in sent.statuses.items() if status not in scenario.expect)
    return wrong + sum(number for code, number in sent.codes.items() if code not in scenario.codes)


async def _audit(settings: Settings, scenario: BenchScenario) -> tuple[str, int]:
    """Return `clean` or the names of the broken invariants, and how many seats were sold twice."""
    report = await audit(settings)
    broken = [check.name for check in report.broken]
    violations, sold_twice = (
        await _audit_lock_per_request(settings) if scenario.server == LOCK_PER_REQUEST else (0, 0)
    )
    if violations and not scenario.may_oversell:
        broken.append("lock_per_request")
    verdict = CLEAN if report.ok and not broken else "broken: " + ", ".join(broken)
    return verdict, sold_twice


async def _audit_lock_per_request(settings: Settings) -> tuple[int, int]:
    connection = await asyncpg.connect(settings.database_url)
    try:
        violations = await connection.fetchval(_LOCK_PER_REQUEST_SQL["check"])
        return int(violations), int(await connection.fetchval(_LOCK_PER_REQUEST_SQL["sold_twice"]))
    finally:
        await connection.close()


def wanted(
    scenarios: Sequence[BenchScenario], names: Sequence[str], *, huge: bool
) -> list[BenchScenario]:
    """Return the scenarios of these names, all of them where none is named; the baseline is always there."""
    if names:
        return [
            scenario
            for scenario in scenarios
            if scenario.name in names or scenario.name == BASELINE_SCENARIO
        ]
    return [scenario for scenario in scenarios if huge or scenario.seats != HUGE]
