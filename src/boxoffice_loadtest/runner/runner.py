"""Runs scenarios one after the other, and compares each with the database."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from boxoffice.errors import BoxofficeError
from boxoffice.settings import Settings
from boxoffice_loadtest.analysis import comparison, windows
from boxoffice_loadtest.analysis.comparison import ServerState
from boxoffice_loadtest.measurement import api_client, api_reader, database_reader, processes
from boxoffice_loadtest.measurement.client_log import ClientLog, merged
from boxoffice_loadtest.measurement.database_reader import TargetSchedule
from boxoffice_loadtest.measurement.log_reader import LogReader
from boxoffice_loadtest.measurement.sampler import Sampler
from boxoffice_loadtest.model import (
    GENERATOR,
    STEPS,
    Finding,
    LoadWindow,
    ScenarioResult,
    StepResult,
)
from boxoffice_loadtest.runner import k6
from boxoffice_loadtest.runner.plan import ScenarioPlan
from boxoffice_loadtest.runner.results import K6Run, scenario_result, step_result
from boxoffice_loadtest.runner.target import LoadTarget

# The start of a scenario is left out of the fit: connections open, and caches are cold.
_LEAD_S = 0.5
# The API's clock has whole seconds; the pause keeps two scenarios apart.
_CLOCK_STEP_S = 2.1
# A sample is late by up to its interval.
_SAMPLE_LAG_S = 1.1
_SHOW_EVERY_S = 0.5
_POLL_S = 0.05
_IDLE_WINDOW_S = 2.0

# Takes scenario, seconds done, seconds in all, and counts.
ShowProgress = Callable[[str, float, float, str], None]
# Returns the iterations per second of the next step, or None at the end.
NextRate = Callable[[list[StepResult]], float | None]


@dataclass
class RunClock:
    """Seconds since the run began, and the time of day of its beginning."""

    began: float = field(default_factory=time.monotonic)
    epoch_s: float = field(default_factory=time.time)

    def now_s(self) -> float:
        """Return the seconds since the run began."""
        return time.monotonic() - self.began


@dataclass(frozen=True)
class _Start:
    """The schedule of a scenario, and the state of the target before it.

    `since` is the API's time, if only the API can be read.
    """

    terms: TargetSchedule
    since: datetime | None
    batch_counters: dict[str, float]


@dataclass
class ScenarioRunner:
    """Runs scenarios against one target; `windows` collects the load and CPU of all of them."""

    target: LoadTarget
    binary: Path
    folder: Path
    clock: RunClock
    run_id: str
    rate: float
    show_progress: ShowProgress
    stop_reason: Callable[[], str | None]
    window_s: float
    sampler: Sampler = field(init=False)
    generator: list[int] = field(default_factory=list)
    windows: list[LoadWindow] = field(default_factory=list)
    scenarios: list[ScenarioResult] = field(default_factory=list)
    stopped: str | None = None

    def __post_init__(self) -> None:
        self.sampler = Sampler(self.target.settings, self.pids, self.clock.began)

    def pids(self) -> dict[str, list[int]]:
        """Return the top processes of each component."""
        return {**self.target.pids(), GENERATOR: list(self.generator)}

    def measure_idle(self, seconds: float) -> None:
        """Wait without load, so that the fit knows the idle CPU."""
        self.stopped = self._wait(seconds)
        self.windows += windows.load_windows(
            [], self.sampler.samples, self.clock.epoch_s, min(_IDLE_WINDOW_S, seconds)
        )

    def run_scenario(self, plan: ScenarioPlan) -> None:
        """Run a scenario with a fixed load."""
        start = self._start(plan.seats, has_waiting_room=plan.has_waiting_room)
        run = self._run(self._job(plan.name, plan.name, plan.name, start.terms, plan.seconds))
        self._wait(_SAMPLE_LAG_S)
        self._finish(plan.name, [run], start, [])

    def run_steps(
        self, name: str, next_rate: NextRate, seconds: float, seats: int, vus: int
    ) -> ScenarioResult:
        """Run rising load, one k6 with at most `vus` virtual users for each step."""
        start = self._start(seats, has_waiting_room=False)
        runs: list[K6Run] = []
        steps: list[StepResult] = []
        while not self.stopped and (rate := next_rate(steps)) is not None:
            job = self._job(STEPS, name, f"{name}-{len(runs) + 1}", start.terms, seconds)
            offset = sum(run.log.iterations for run in runs)
            job.env.update(RATES=f"{rate:.0f}", OFFSET=str(offset), RATE="1", VUS=str(vus))
            runs.append(self._run(job))
            self._wait(_SAMPLE_LAG_S)
            steps.append(
                step_result(
                    round(rate), seconds, runs[-1], self.sampler.samples, self.clock.epoch_s,
                    processes.cores(),
                )
            )  # fmt: skip
        return self._finish(name, runs, start, steps)

    def _start(self, seats: int, *, has_waiting_room: bool) -> _Start:
        terms = self.target.prepare_schedule(seats, has_waiting_room)
        since = None
        if self.target.settings is None:
            time.sleep(_CLOCK_STEP_S)
            since = api_client.server_time(self.target.base_url)
        return _Start(terms, since, api_client.batch_counters(self.target.base_url))

    def _job(
        self, script: str, scenario: str, name: str, terms: TargetSchedule, seconds: float
    ) -> k6.K6Job:
        env = {
            "BASE_URL": self.target.base_url,
            "CONCERT_ID": str(terms.concert_id),
            "SCHEDULE_ID": str(terms.schedule_id),
            "TOKENS": str(self.target.users.file.absolute()),
            "RUN_ID": f"{self.run_id}-{scenario}-{name}",
            "SCENARIO": script,
            "SEED": str(1 + len(self.scenarios)),
            "RATE": f"{self.rate:g}",
            "DURATION_S": f"{seconds:g}",
        }
        return k6.K6Job(script, name, env, self.folder, seconds)

    def _run(self, job: k6.K6Job) -> K6Run:
        reader = LogReader(job.requests)
        shown_s = 0.0

        def on_poll(_: int, passed_s: float) -> str | None:
            nonlocal shown_s
            if passed_s - shown_s >= _SHOW_EVERY_S:
                shown_s = passed_s
                reader.read()
                counts = f"{len(reader.log.requests):,} answers, {reader.failures:,} failures"
                self.show_progress(job.name, min(passed_s, job.seconds), job.seconds, counts)
            if reader.is_target_dead:
                return "the target does not answer any more"
            return self.stop_reason() or self.target.failure()

        before_s = self.clock.now_s()
        ended = k6.run(self.binary, job, on_poll, self.generator.append)
        self.generator.clear()
        reader.close()
        self.stopped = self.stopped or ended.stopped
        return self._k6_run(reader.log, ended, before_s)

    def _k6_run(self, log: ClientLog, ended: k6.K6Result, before_s: float) -> K6Run:
        started_s = before_s
        if log.started_ms is not None:
            started_s = log.started_ms / 1000 - self.clock.epoch_s
        last_ms = max((request.ended_ms for request in log.requests), default=0.0)
        ended_s = max(started_s, last_ms / 1000 - self.clock.epoch_s)
        return K6Run(log, ended.summary, started_s, ended_s, ended.stopped)

    def _wait(self, seconds: float) -> str | None:
        """Wait until the sampler has seen the end; return a reason to stop at once."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if reason := self.stop_reason():
                return reason
            time.sleep(_POLL_S)
        return None

    def _finish(
        self, name: str, runs: Sequence[K6Run], start: _Start, steps: list[StepResult]
    ) -> ScenarioResult:
        """Collect the windows, compare with the database, and keep the result."""
        for run in runs:
            inside = windows.within(self.sampler.samples, run.started_s + _LEAD_S, run.ended_s)
            self.windows += windows.load_windows(
                run.log.requests, inside, self.clock.epoch_s, self.window_s
            )
        interrupted = any(run.stopped for run in runs)
        log = merged(run.log for run in runs)
        findings = self._compare(name, log, start, interrupted=interrupted)
        now = {} if interrupted else api_client.batch_counters(self.target.base_url)
        batches = {key: count - start.batch_counters.get(key, 0.0) for key, count in now.items()}
        result = scenario_result(name, runs, start.terms.seats, findings, steps, batches)
        self.scenarios.append(result)
        return result

    def _compare(
        self, name: str, log: ClientLog, start: _Start, *, interrupted: bool
    ) -> list[Finding]:
        self.show_progress(name, 1, 1, "comparing the client's log with the database")
        try:
            state = self._server_state(name, log, start)
        except (BoxofficeError, OSError) as error:
            self.stopped = self.stopped or f"the logs could not be compared: {error}"
            return []
        if not state.is_whole:
            self.stopped = self.stopped or "not every user's reservations could be read"
            return []
        user_ids = self.target.users.user_ids
        return comparison.compare(log, state, user_ids, interrupted=interrupted)

    def _server_state(self, name: str, log: ClientLog, start: _Start) -> ServerState:
        if self.target.settings is not None:
            prefix = f"{self.run_id}-{name}-"
            return asyncio.run(_read_database(self.target.settings, start.terms, prefix))
        if start.since is None:
            raise BoxofficeError("neither database nor API can be read")
        tokens = self.target.users.tokens
        return api_reader.read(self.target.base_url, tokens, start.terms, log, start.since)


async def _read_database(settings: Settings, terms: TargetSchedule, key_prefix: str) -> ServerState:
    async with database_reader.open_reader(settings) as reader:
        return await reader.state(terms.schedule_id, key_prefix, terms.hold_ttl_s)
