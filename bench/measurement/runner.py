"""Runs the scenarios round by round, so that a slow minute of the machine affects all of them."""

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.client import load
from bench.environment.batch_counters import BatchCounters
from bench.environment.cpu import CpuMeter
from bench.environment.environment import Dataset, DatasetPlan, Environment
from bench.environment.processes import APP, ServerProcess, running
from bench.environment.relay import relaying, wait_until_delivered
from bench.environment.simulated_provider import simulated_provider
from bench.measurement import audits
from bench.measurement.sample import RunSample
from bench.measurement.stream_load import NO_STREAMS, StreamLoad, open_streams
from bench.scenarios.catalogue import BASELINE
from bench.scenarios.scenario import HUGE, BenchScenario, RequestSet, ScenarioContext, Sizes
from boxoffice.settings import Settings


@dataclass(frozen=True)
class RunProgress:
    """The next step of a benchmark, for the progress bar."""

    text: str
    done: int
    total: int


@dataclass
class _CurrentRun:
    """One run between the start of its servers and its sample."""

    scenario: BenchScenario
    settings: Settings
    server: ServerProcess
    requests: RequestSet
    meter: CpuMeter
    streams: StreamLoad
    events: int = 0
    batches: BatchCounters = field(default_factory=BatchCounters)

    def before(self) -> None:
        """Read the counters right before the measured requests; earlier events are delivered."""
        if self.scenario.relay:
            wait_until_delivered(self.settings)
        if self.scenario.server == APP:
            self.batches = self.server.batches()
        self.events = self.streams.events()
        self.meter.start()

    def after(self) -> None:
        """Read the counters right after the measured requests."""
        if self.scenario.relay:
            wait_until_delivered(self.settings)
        self.meter.stop()
        self.events = self.streams.events() - self.events
        if self.scenario.server == APP:
            self.batches = self.server.batches().since(self.batches)

    def sample(self, number: int, sent: load.LoadResult) -> RunSample:
        """Return the figures of this run."""
        count = self.requests.count
        audit, sold_twice = asyncio.run(audits.check(self.settings, self.scenario))
        return RunSample(
            round=number,
            cpu_us={name: us / count for name, us in self.meter.cpu_us().items()},
            client_cpu_us=sent.cpu_s * 1e6 / count,
            rps=sent.rps,
            p50_ms=sent.p50_ms,
            p95_ms=sent.p95_ms,
            p99_ms=sent.p99_ms,
            memory_mib={**self.meter.peaks_mib(), "client": sent.memory_mib},
            statuses=sent.statuses,
            codes=sent.codes,
            audit=audit,
            unexpected=_unexpected(self.scenario, sent) + self.streams.closed,
            memory_all_mib=self.server.group.resident_mib(),
            sold_twice=sold_twice,
            batch_mean=self.batches.mean,
            batch_sizes=self.batches.sizes,
            streams=self.streams.streams,
            events=self.events,
            stream_kib=self.streams.stream_kib,
            retried=sent.retried,
            connections=sent.connections,
        )


class BenchRunner:
    """Measures scenarios in an environment."""

    def __init__(
        self,
        environment: Environment,
        sizes: Sizes,
        folder: Path,
        connections: int | None,
        show: Callable[[RunProgress], None],
    ) -> None:
        self._environment = environment
        self._sizes = sizes
        self._folder = folder
        self._connections = connections
        self._show = show
        self._datasets: dict[DatasetPlan, Dataset] = {}

    def run(self, scenarios: Sequence[BenchScenario], runs: int) -> dict[str, list[RunSample]]:
        """Return the samples of each scenario; the baseline has two per round."""
        samples: dict[str, list[RunSample]] = {scenario.name: [] for scenario in scenarios}
        order = list(_order(scenarios, runs))
        plans = {scenario.plan(self._sizes) for scenario in scenarios} - self._datasets.keys()
        total = len(order) + len(plans)
        for done, plan in enumerate(sorted(plans, key=lambda plan: plan.seats)):
            text = f"seeding {plan.schedules} × {plan.seats:,} seats"
            self._show(RunProgress(text, done, total))
            self._datasets[plan] = self._environment.seed_dataset(plan)
        for done, (number, scenario) in enumerate(order, start=len(plans)):
            text = f"round {number} of {runs}: {scenario.name}"
            self._show(RunProgress(text, done, total))
            samples[scenario.name].append(self.measure(scenario, number))
        self._show(RunProgress("done", total, total))
        return samples

    def measure(self, scenario: BenchScenario, number: int) -> RunSample:
        """Measure a scenario once, on a database and a server of its own."""
        plan = scenario.plan(self._sizes)
        with self._environment.fresh_database(plan) as settings, ExitStack() as stack:
            if scenario.has_waiting_room:
                asyncio.run(self._environment.add_waiting_rooms(settings, scenario.inside_max))
            if scenario.has_offers:
                schedule_ids = [one.schedule_id for one in self._datasets[plan].schedules]
                asyncio.run(self._environment.add_offers(settings, schedule_ids))
            env = {**self._environment.env(settings, scenario.workers), **scenario.env}
            provider_port = 0
            if scenario.has_provider:
                folder = self._folder / f"{scenario.name}-{number}"
                provider = stack.enter_context(simulated_provider(folder))
                env, provider_port = {**env, **provider.env}, provider.control_port
            log = self._folder / f"{scenario.name}.log"
            server = stack.enter_context(running(scenario.server, env, log))
            groups = [server.group, *self._environment.groups]
            if scenario.relay:
                relay_log = self._folder / "relay.log"
                groups.append(stack.enter_context(relaying(settings, env, relay_log)))
            context = ScenarioContext(self._sizes, self._datasets[plan], server, provider_port)
            requests = scenario.build(context)
            streams = NO_STREAMS
            if scenario.has_stream_readers:
                count = scenario.stream_readers or self._sizes.stream_readers
                streams = stack.enter_context(open_streams(context, count))
            meter = CpuMeter(groups)
            current = _CurrentRun(scenario, settings, server, requests, meter, streams)
            sent = load.run(self._plan(scenario, server, requests), current.before, current.after)
            sample = current.sample(number, sent)
            if not requests.at_once:
                return sample
            schedule_id = context.first_schedule.schedule_id
            held = asyncio.run(self._environment.count_holds(settings, schedule_id))
            return replace(sample, unexpected=sample.unexpected + unrecorded(sent, held))

    def _plan(
        self, scenario: BenchScenario, server: ServerProcess, requests: RequestSet
    ) -> load.LoadPlan:
        return load.LoadPlan(
            port=server.port,
            connections=self._connections or scenario.connections,
            requests=list(requests.requests),
            count=requests.count,
            warmup=list(requests.warmup),
            rate_per_s=requests.rate_per_s,
            at_once=requests.at_once,
        )


def _order(scenarios: Sequence[BenchScenario], runs: int) -> Iterator[tuple[int, BenchScenario]]:
    """Yield (round, scenario): every other round backwards, the baseline at both ends of each."""
    baseline = [scenario for scenario in scenarios if scenario.name == BASELINE]
    others = [scenario for scenario in scenarios if scenario.name != BASELINE]
    for number in range(1, runs + 1):
        turn = others if number % 2 else others[::-1]
        for scenario in [*baseline, *turn, *baseline]:
            yield number, scenario


def _unexpected(scenario: BenchScenario, sent: load.LoadResult) -> int:
    """Count the answers that the scenario does not expect."""
    wrong = sum(number for status, number in sent.statuses.items() if status not in scenario.expect)
    return wrong + sum(number for code, number in sent.codes.items() if code not in scenario.codes)


def unrecorded(sent: load.LoadResult, held: int) -> int:
    """Count the holds that were acknowledged but are not in the database, or are there without it."""
    return abs(sent.statuses.get("201", 0) - held)


def chosen(
    scenarios: Sequence[BenchScenario], names: Sequence[str], *, huge: bool
) -> list[BenchScenario]:
    """Return the scenarios of these names and the baseline; without names, all of them."""
    if names:
        return [scenario for scenario in scenarios if scenario.name in {*names, BASELINE}]
    return [scenario for scenario in scenarios if huge or scenario.seats != HUGE]


def with_workers(rows: Sequence[str], known: Sequence[str]) -> list[str]:
    """Return each row, followed by those of the `known` scenarios that are it with more workers."""
    found = []
    for row in rows:
        variant = re.compile(re.escape(row) + r"_\d+_workers")
        found += [row, *(name for name in known if variant.fullmatch(name))]
    return found
