"""One load test: run, measure, compare, and conclude."""

import asyncio
import os
import platform
import secrets
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from rich.console import Console

from boxoffice.audit import audit
from boxoffice.errors import BoxofficeError
from boxoffice.settings import Settings
from boxoffice_loadtest.analysis import capacity, sizing, thresholds
from boxoffice_loadtest.analysis.prediction import predict
from boxoffice_loadtest.analysis.steps import step_rates
from boxoffice_loadtest.errors import TargetUnfit
from boxoffice_loadtest.measurement import memory, processes
from boxoffice_loadtest.model import (
    STEPS,
    AuditCheck,
    CapacityAnalysis,
    Estimate,
    Inconclusive,
    LoadTestRun,
    LoadWindow,
    MemoryProbe,
    Prediction,
    ResourceSample,
    ScenarioResult,
    StepResult,
)
from boxoffice_loadtest.runner import k6, plan
from boxoffice_loadtest.runner.cpu_limit import CpuLimit, is_quota_available, limited
from boxoffice_loadtest.runner.embedded_target import EmbeddedTarget, embedded_target
from boxoffice_loadtest.runner.plan import Options
from boxoffice_loadtest.runner.progress import ProgressLine
from boxoffice_loadtest.runner.runner import RunClock, ScenarioRunner
from boxoffice_loadtest.runner.running_target import running_target
from boxoffice_loadtest.runner.target import LoadTarget
from boxoffice_loadtest.runner.validation import validate
from boxoffice_loadtest.stop_request import INTERRUPTED, StopRequest

_IDLE_S, _QUICK_IDLE_S = 4.0, 1.0
# PostgreSQL reports commits with up to a second's delay, so longer windows fit better.
_WINDOW_S, _QUICK_WINDOW_S = 3.0, 2.0
_CONNECTIONS, _QUICK_CONNECTIONS = (0, 200, 400, 600, 800), (0, 100, 200)
_CACHED_SCHEDULES, _QUICK_CACHED_SCHEDULES = 5, 3
_SEATS_PER_SCHEDULE = 2_000


@dataclass
class _Collected:
    """What has been measured so far; it becomes the report, even if the run is stopped."""

    clock: RunClock
    run_id: str
    environment: dict[str, str]
    samples: list[ResourceSample] = field(default_factory=list)
    scenarios: list[ScenarioResult] = field(default_factory=list)
    windows: list[LoadWindow] = field(default_factory=list)
    analysis: CapacityAnalysis = field(default_factory=CapacityAnalysis)
    memory: MemoryProbe | None = None
    audit: list[AuditCheck] | None = None
    prediction: Prediction | None = None
    inconclusive: list[Inconclusive] = field(default_factory=list)
    not_sampled: list[str] = field(default_factory=list)
    target: str = "embedded"
    stopped: str | None = None
    api_processes: int = 1
    cpu_limit_cores: float | None = None

    @property
    def steps(self) -> list[StepResult]:
        """The steps of all scenarios."""
        return [step for one in self.scenarios for step in one.steps]

    def add(self, runner: ScenarioRunner) -> None:
        """Add what a runner has measured."""
        self.scenarios += runner.scenarios
        self.windows += runner.windows
        self.samples += runner.sampler.samples
        self.stopped = self.stopped or runner.stopped


def run(options: Options, settings: Settings | None, console: Console) -> LoadTestRun:
    """Run a load test.

    Raises `LoadtestError` if it cannot start. Once it has started it returns a run, and
    `LoadTestRun.stopped` says why it was stopped.
    """
    binary = k6.find()
    environment = machine_environment(k6.version(binary))
    collected = _Collected(RunClock(), f"lt{secrets.token_hex(4)}", environment)
    raw = options.out / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    progress = ProgressLine(console)
    test = _LoadTest(options, binary, raw, StopRequest(), progress, collected)
    with test.stop_request.handling_signals(), progress:
        try:
            if options.url:
                test.test_running(settings)
            else:
                test.test_embedded()
        except KeyboardInterrupt:
            collected.stopped = INTERRUPTED
        except BoxofficeError as error:
            if not collected.scenarios:
                raise
            collected.stopped = str(error)
    return _conclude(options, collected)


@dataclass
class _LoadTest:
    """One load test in progress."""

    options: Options
    binary: Path
    raw: Path
    stop_request: StopRequest
    progress: ProgressLine
    collected: _Collected

    def test_running(self, settings: Settings | None) -> None:
        """Test a shop that runs already."""
        options = self.options
        if options.tokens is None or options.schedule_id is None:
            raise TargetUnfit(
                "--url needs --tokens FILE and --schedule ID: "
                "`boxoffice seed --tokens FILE` against the same database prints and writes them"
            )
        target = running_target(options.url, options.tokens, options.schedule_id, settings)
        self.collected.target = target.base_url
        self._run_all(target)
        if target.settings is not None:
            self.collected.audit = self._audit(target.settings)

    def test_embedded(self) -> None:
        """Test a shop of our own, from its start to its stop."""
        options, collected = self.options, self.collected
        data_dir = options.data_dir or self.raw / "servers"
        console, show = self.progress.console, self.progress.print
        with embedded_target(self.raw, data_dir, options.people, console, show) as shop:
            collected.environment["workers"] = str(options.workers)
            with shop.serving(options.workers) as (target, _):
                self._run_all(target)
            if options.is_validated and collected.stopped is None:
                self._validate(shop)
            collected.audit = self._audit(shop.settings)

    def _run_all(self, target: LoadTarget) -> None:
        collected, is_quick = self.collected, self.options.is_quick
        collected.environment |= target.environment
        collected.not_sampled = target.not_sampled
        collected.api_processes = max(1, len(target.pids().get("api", [])))
        runner = self._runner(target)
        with runner.sampler:
            runner.measure_idle(_QUICK_IDLE_S if is_quick else _IDLE_S)
            try:
                if target.is_embedded and runner.stopped is None:
                    self.progress.print("measuring memory")
                    collected.memory = _memory(target, is_quick=is_quick)
                for name in self.options.chosen:
                    runner.stopped = runner.stopped or self.stop_request.reason()
                    if runner.stopped is None:
                        self._run_scenario(runner, name)
            finally:
                collected.add(runner)
        collected.analysis = _analyze(collected)

    def _runner(self, target: LoadTarget) -> ScenarioRunner:
        return ScenarioRunner(
            target=target,
            binary=self.binary,
            folder=self.raw,
            clock=self.collected.clock,
            run_id=self.collected.run_id,
            rate=self.options.rate,
            show_progress=self.progress.update,
            stop_reason=self.stop_request.reason,
            window_s=_QUICK_WINDOW_S if self.options.is_quick else _WINDOW_S,
        )

    def _run_scenario(self, runner: ScenarioRunner, name: str) -> None:
        if name != STEPS:
            runner.run_scenario(plan.scenario_plan(name, self.options))
            return
        steps, processes_ = plan.step_plan(self.options), self.collected.api_processes
        cpu_share = plan.cpu_share_for_steps(processes.cores(), processes_)
        with ExitStack() as stack:
            if runner.target.is_embedded and cpu_share < 1 and is_quota_available():
                stack.enter_context(limited(runner.target.pids()["api"], cpu_share))
                self.collected.cpu_limit_cores = cpu_share
            vus = plan.VUS_PER_PROCESS * processes_
            runner.run_steps(name, step_rates(steps), steps.seconds, plan.STEPS_SEATS, vus)

    def _validate(self, shop: EmbeddedTarget) -> None:
        """Start one process with limited CPU and validate the prediction on it."""
        collected = self.collected
        before = capacity.other_load(collected.steps, processes.cores())
        with (
            shop.serving(1) as (target, api),
            limited(api.pids(), self.options.cpu_share) as limit,
        ):
            predicted = predict(
                collected.analysis,
                collected.windows,
                collected.steps,
                limit.cores,
                collected.api_processes,
            )
            found: Prediction | Inconclusive
            if isinstance(predicted, Inconclusive):
                found = predicted
            else:
                found = self._measure_limited(target, limit, predicted)
        if isinstance(found, Inconclusive):
            collected.inconclusive.append(found)
        else:
            other_load = max(before, found.other_load)
            collected.prediction = msgspec.structs.replace(found, other_load=other_load)

    def _measure_limited(
        self, target: LoadTarget, limit: CpuLimit, predicted: Estimate
    ) -> Prediction | Inconclusive:
        self.progress.print(
            f"validating the prediction: {predicted.value:,.0f} /s with {limit.cores:g} cores"
        )
        runner = self._runner(target)
        per_iteration = _answers_per_iteration(self.collected.scenarios)
        with runner.sampler:
            try:
                return validate(runner, limit, predicted, per_iteration)
            finally:
                self.collected.add(runner)

    def _audit(self, settings: Settings) -> list[AuditCheck] | None:
        self.progress.print("auditing the database")
        try:
            report = asyncio.run(audit(settings))
        except BoxofficeError:
            return None
        return [AuditCheck(name=one.name, violations=one.violations) for one in report.checks]


def _memory(target: LoadTarget, *, is_quick: bool) -> MemoryProbe | None:
    return memory.probe(
        target.base_url,
        target.pids().get("api", []),
        target.prepare_schedule,
        _QUICK_CONNECTIONS if is_quick else _CONNECTIONS,
        _QUICK_CACHED_SCHEDULES if is_quick else _CACHED_SCHEDULES,
        _SEATS_PER_SCHEDULE,
    )


def _analyze(collected: _Collected) -> CapacityAnalysis:
    return capacity.analyze(
        collected.steps,
        collected.windows,
        processes.cores(),
        collected.api_processes,
        thresholds.total_counted(collected.scenarios),
        collected.cpu_limit_cores,
    )


def _answers_per_iteration(scenarios: Sequence[ScenarioResult]) -> float:
    steps = [one for one in scenarios if one.name == STEPS]
    iterations = sum(one.iterations for one in steps)
    return sum(one.answers for one in steps) / iterations if iterations else 1.0


def machine_environment(generator: str) -> dict[str, str]:
    """Return the facts about this machine."""
    return {
        "machine": f"{processes.cores()} × {processes.processor()}, {processes.memory_gib():.0f} GiB",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "generator": generator,
        "cores": str(processes.cores()),
        "load": " ".join(f"{one:.2f}" for one in os.getloadavg()),
    }


def _conclude(options: Options, collected: _Collected) -> LoadTestRun:
    """Check the thresholds, size the deployment, and return the run."""
    started_at = datetime.fromtimestamp(collected.clock.epoch_s, UTC)
    run = LoadTestRun(
        run_id=collected.run_id,
        started_at=started_at.isoformat(timespec="seconds"),
        command=options.command,
        seconds=round(collected.clock.now_s(), 1),
        stopped=collected.stopped,
        target=collected.target,
        is_quick=options.is_quick,
        environment=collected.environment,
        not_sampled=collected.not_sampled,
        scenarios=collected.scenarios,
        samples=collected.samples,
        audit=collected.audit,
        memory=collected.memory,
        analysis=collected.analysis,
        prediction=collected.prediction,
        inconclusive=collected.inconclusive,
        thresholds=thresholds.check(
            collected.scenarios,
            collected.audit,
            collected.analysis,
            collected.prediction,
            options.target_per_s,
            is_whole=collected.stopped is None,
        ),
    )
    return sizing.sized(run, options.peak_per_s, options.sale, collected.api_processes)
