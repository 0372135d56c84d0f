"""A whole load test: play, look, compare, conclude, and tell."""

import asyncio
import os
import platform
import secrets
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import msgspec
from rich.console import Console

from boxoffice.audit import audit
from boxoffice.errors import BoxofficeError
from boxoffice.settings import Settings
from boxoffice_loadtest.analysis import aggregation, capacity, sizing, thresholds
from boxoffice_loadtest.errors import TargetUnfit
from boxoffice_loadtest.measurement import memory, processes
from boxoffice_loadtest.measurement.sampler import Sampler
from boxoffice_loadtest.model import (
    AuditCheck,
    Estimate,
    Inference,
    MemoryProbe,
    Prediction,
    Refusal,
    Run,
    Sample,
    Scenario,
    Window,
)
from boxoffice_loadtest.runner import cpu_limit, k6, plan, target, validation
from boxoffice_loadtest.runner.plan import Options
from boxoffice_loadtest.runner.progress import Progress
from boxoffice_loadtest.runner.runner import Clock, Conductor
from boxoffice_loadtest.runner.target import Embedded, Installation

_REST_S, _QUICK_REST_S = 4.0, 1.0
# PostgreSQL tells of its commits with up to a second's delay, so longer windows fit better.
_WINDOW_S, _QUICK_WINDOW_S = 3.0, 2.0
_CONNECTIONS, _QUICK_CONNECTIONS = (0, 200, 400, 600, 800), (0, 100, 200)
_HOT_SCHEDULES, _QUICK_HOT_SCHEDULES = 5, 3
_HOT_SEATS = 2_000


@dataclass
class Stop:
    """Remembers that somebody asked to stop: the first time politely, the second time at once."""

    asked: int = 0

    def reason(self) -> str | None:
        """Say so, if somebody did."""
        return "interrupted" if self.asked else None

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.asked += 1
        if self.asked > 1:
            raise KeyboardInterrupt

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hear SIGINT and SIGTERM until the block is left."""
        former = {
            number: signal.signal(number, self._on_signal)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)


@dataclass
class _Gathered:
    """What has been measured so far; it becomes the report, however the run ends."""

    clock: Clock
    run_id: str
    environment: dict[str, str]
    samples: list[Sample] = field(default_factory=list)
    scenarios: list[Scenario] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    inference: Inference = field(default_factory=Inference)
    memory: MemoryProbe | None = None
    audit: list[AuditCheck] | None = None
    prediction: Prediction | None = None
    refusals: list[Refusal] = field(default_factory=list)
    not_sampled: list[str] = field(default_factory=list)
    target: str = "embedded"
    stopped: str | None = None
    api_processes: int = 1
    held_to: float | None = None

    def take(self, conductor: Conductor, sampler: Sampler) -> None:
        """Take what came of some scenarios, also where they were stopped."""
        self.scenarios += conductor.scenarios
        self.windows += conductor.windows
        self.samples += sampler.samples
        self.stopped = self.stopped or conductor.stopped


def run(options: Options, settings: Settings | None, console: Console) -> Run:
    """Carry out a load test and return everything about it.

    Raises `LoadtestError` where it cannot begin. Once it has begun it returns, also when it was
    stopped: `Run.stopped` says why.
    """
    binary = k6.find()
    gathered = _Gathered(Clock(), f"lt{secrets.token_hex(4)}", about(k6.version(binary)))
    raw = options.out / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    progress = Progress(console)
    session = _Session(options, binary, raw, Stop(), progress, gathered)
    with session.stop.listening(), progress:
        try:
            if options.url:
                session.test_running(settings)
            else:
                session.test_embedded()
        except KeyboardInterrupt:
            gathered.stopped = "interrupted"
        except BoxofficeError as error:
            if not gathered.scenarios:
                raise
            gathered.stopped = str(error)
    return finish(options, gathered)


@dataclass
class _Session:
    """What the parts of one load test share."""

    options: Options
    binary: Path
    raw: Path
    stop: Stop
    progress: Progress
    gathered: _Gathered

    def test_running(self, settings: Settings | None) -> None:
        """Test an installation that runs already."""
        asked = self.options
        if asked.tokens is None or asked.schedule_id is None:
            raise TargetUnfit(
                "--url needs --tokens FILE and --schedule ID: "
                "`boxoffice seed --tokens FILE` against the same database prints and writes them"
            )
        one = target.running(asked.url, asked.tokens, asked.schedule_id, settings)
        self.gathered.target = one.base_url
        self._play_all(one)
        if one.settings is not None:
            self.gathered.audit = _audit(one.settings, self.progress)

    def test_embedded(self) -> None:
        """Test an installation of our own, from its start to its end."""
        data_dir = self.options.data_dir or self.raw / "servers"
        console, say = self.progress.console, self.progress.say
        with target.embedded(self.raw, data_dir, self.options.people, console, say) as shop:
            self.gathered.environment["workers"] = str(self.options.workers)
            with shop.serving(self.options.workers) as (one, _):
                self._play_all(one)
            if self.options.is_checked and self.gathered.stopped is None:
                self._check(shop)
            self.gathered.audit = _audit(shop.settings, self.progress)

    def _play_all(self, one: Installation) -> None:
        gathered, is_quick = self.gathered, self.options.is_quick
        gathered.environment |= one.environment
        gathered.not_sampled = one.not_sampled
        gathered.api_processes = max(1, len(one.pids().get("api", [])))
        conductor = self._conductor(one)
        with Sampler(one.settings, conductor.pids, gathered.clock.began) as sampler:
            # What the processes do by themselves is part of what is fitted.
            conductor.rest(_QUICK_REST_S if is_quick else _REST_S, sampler)
            try:
                if one.is_embedded and conductor.stopped is None:
                    self.progress.say("measuring memory")
                    gathered.memory = _memory(one, is_quick=is_quick)
                for name in self.options.chosen:
                    conductor.stopped = conductor.stopped or self.stop.reason()
                    if conductor.stopped is None:
                        self._play(conductor, name, sampler)
            finally:
                gathered.take(conductor, sampler)
        gathered.inference = _conclude(conductor, gathered)

    def _conductor(self, one: Installation) -> Conductor:
        return Conductor(
            one=one,
            binary=self.binary,
            folder=self.raw,
            clock=self.gathered.clock,
            run_id=self.gathered.run_id,
            rate=self.options.rate,
            show=self.progress.show,
            asked_to_stop=self.stop.reason,
            window_s=_QUICK_WINDOW_S if self.options.is_quick else _WINDOW_S,
        )

    def _play(self, conductor: Conductor, name: str, sampler: Sampler) -> None:
        if name != aggregation.STAIRCASE:
            conductor.play(plan.play_of(name, self.options), sampler)
            return
        stairs = plan.staircase(self.options)
        share = plan.share_in_staircase(processes.cores(), self.gathered.api_processes)
        with ExitStack() as stack:
            if conductor.one.is_embedded and share < 1 and cpu_limit.is_possible():
                stack.enter_context(cpu_limit.held(conductor.one.pids()["api"], share))
                self.gathered.held_to = share
            self._climb(conductor, name, stairs, sampler)

    def _climb(
        self, conductor: Conductor, name: str, stairs: plan.Staircase, sampler: Sampler
    ) -> None:
        visitors = plan.VISITORS_PER_PROCESS * self.gathered.api_processes
        conductor.climb(
            name,
            aggregation.climbing(stairs),
            stairs.seconds,
            plan.STAIRCASE_SEATS,
            visitors,
            sampler,
        )

    def _check(self, shop: Embedded) -> None:
        """Start one process, hold it, and put the forecast to the test."""
        gathered, share = self.gathered, self.options.share
        with shop.serving(1) as (one, api), cpu_limit.held(api.pids(), share) as held:
            steps = [step for one in gathered.scenarios for step in one.steps]
            foretold = validation.foretell(
                gathered.inference,
                gathered.windows,
                steps,
                held.share,
                gathered.api_processes,
            )
            found = self._put_to_the_test(one, held, foretold)
        if isinstance(found, Refusal):
            gathered.refusals.append(found)
        else:
            before = capacity.disturbance(steps, processes.cores())
            gathered.prediction = msgspec.structs.replace(
                found, disturbance=max(before, found.disturbance)
            )

    def _put_to_the_test(
        self, one: Installation, held: cpu_limit.Held, foretold: Estimate | Refusal
    ) -> Prediction | Refusal:
        if isinstance(foretold, Refusal):
            return foretold
        told = f"{foretold.value:,.0f} /s of {held.share:g} cores"
        self.progress.say(f"checking the forecast: {told}")
        conductor = self._conductor(one)
        per_visit = _answers_per_visit(self.gathered.scenarios)
        with Sampler(one.settings, conductor.pids, self.gathered.clock.began) as sampler:
            try:
                return validation.check(
                    conductor, sampler, held, foretold, per_visit, processes.cores()
                )
            finally:
                self.gathered.take(conductor, sampler)


def _memory(one: Installation, *, is_quick: bool) -> MemoryProbe | None:
    connections = _QUICK_CONNECTIONS if is_quick else _CONNECTIONS
    schedules = _QUICK_HOT_SCHEDULES if is_quick else _HOT_SCHEDULES
    return memory.probe(one, connections, schedules, _HOT_SEATS)


def _conclude(conductor: Conductor, gathered: _Gathered) -> Inference:
    steps = [step for one in gathered.scenarios for step in one.steps]
    counted = [thresholds.judged(one) for one in gathered.scenarios]
    failures = (sum(one for one, _ in counted), sum(two for _, two in counted))
    return capacity.infer(
        steps,
        conductor.windows,
        processes.cores(),
        gathered.api_processes,
        failures,
        gathered.held_to,
    )


def _answers_per_visit(scenarios: Sequence[Scenario]) -> float:
    steps = [one for one in scenarios if one.name == aggregation.STAIRCASE]
    visits = sum(one.visits for one in steps)
    return sum(one.answers for one in steps) / visits if visits else 1.0


def _audit(settings: Settings, progress: Progress) -> list[AuditCheck] | None:
    progress.say("auditing the database")
    try:
        report = asyncio.run(audit(settings))
    except BoxofficeError:
        return None
    return [AuditCheck(name=one.name, violations=one.violations) for one in report.checks]


def about(generator: str) -> dict[str, str]:
    """Return what is known of this machine."""
    return {
        "machine": f"{processes.cores()} × {processes.processor()}, {processes.memory_gib():.0f} GiB",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "generator": generator,
        "cores": str(processes.cores()),
        "load": " ".join(f"{one:.2f}" for one in os.getloadavg()),
    }


def finish(options: Options, gathered: _Gathered) -> Run:
    """Draw the last conclusions and put the run together."""
    run = Run(
        run_id=gathered.run_id,
        started_at=datetime.fromtimestamp(gathered.clock.epoch_s, UTC).isoformat(
            timespec="seconds"
        ),
        command=options.command,
        seconds=round(gathered.clock.now_s(), 1),
        stopped=gathered.stopped,
        target=gathered.target,
        is_quick=options.is_quick,
        environment=gathered.environment,
        not_sampled=gathered.not_sampled,
        scenarios=gathered.scenarios,
        samples=gathered.samples,
        audit=gathered.audit,
        memory=gathered.memory,
        inference=gathered.inference,
        prediction=gathered.prediction,
        refusals=gathered.refusals,
        verdicts=thresholds.verdicts(
            gathered.scenarios,
            gathered.audit,
            gathered.inference,
            gathered.prediction,
            options.target_per_s,
            is_whole=gathered.stopped is None,
        ),
    )
    return sizing.sized(run, options.peak_per_s, options.sale, gathered.api_processes)
