"""A whole load test: play, look, compare, conclude, and tell."""

import asyncio
import os
import platform
import secrets
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from rich.console import Console

from boxoffice.audit import audit
from boxoffice.errors import BoxofficeError
from boxoffice.loadtest import (
    capacity,
    installation,
    k6,
    memory,
    plan,
    prediction,
    processes,
    quota,
    rules,
    sizing,
)
from boxoffice.loadtest.conductor import Clock, Conductor, Rates
from boxoffice.loadtest.errors import TargetUnfit
from boxoffice.loadtest.installation import Embedded, Installation
from boxoffice.loadtest.model import (
    AuditCheck,
    Inference,
    MemoryProbe,
    Prediction,
    Refusal,
    Run,
    Sample,
    Scenario,
)
from boxoffice.loadtest.plan import Options
from boxoffice.loadtest.progress import Progress
from boxoffice.loadtest.sampler import Sampler
from boxoffice.settings import Settings

_REST_S, _QUICK_REST_S = 4.0, 1.0
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
    samples: list[Sample] = field(default_factory=list)
    scenarios: list[Scenario] = field(default_factory=list)
    inference: Inference = field(default_factory=Inference)
    memory: MemoryProbe | None = None
    audit: list[AuditCheck] | None = None
    prediction: Prediction | None = None
    refusals: list[Refusal] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    not_sampled: list[str] = field(default_factory=list)
    target: str = "embedded"
    stopped: str | None = None
    api_processes: int = 1
    max_connections: float | None = None


def run(options: Options, settings: Settings | None, console: Console) -> Run:
    """Carry out a load test and return everything about it.

    Raises `LoadtestError` where it cannot begin. Once it has begun it returns, also when it was
    stopped: `Run.stopped` says why.
    """
    binary = k6.find()
    generator = k6.version(binary)
    raw = options.out / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    stop = Stop()
    gathered = _Gathered(Clock(), f"lt{secrets.token_hex(4)}")
    gathered.environment = about(generator)
    progress = Progress(console)
    with stop.listening(), progress:
        try:
            if options.url:
                _running(options, settings, binary, raw, gathered, stop, progress)
            else:
                _embedded(options, binary, raw, gathered, stop, progress)
        except KeyboardInterrupt:
            gathered.stopped = "interrupted"
        except BoxofficeError as error:
            if not gathered.scenarios:
                raise
            gathered.stopped = str(error)
    return finish(options, gathered)


def _running(
    options: Options, settings: Settings | None, binary: Path, raw: Path, gathered: _Gathered,
    stop: Stop, progress: Progress,
) -> None:  # fmt: skip
    if options.tokens is None or options.schedule_id is None:
        raise TargetUnfit(
            "--url needs --tokens FILE and --schedule ID: "
            "`boxoffice seed --tokens FILE` against the same database prints and writes them"
        )
    one = installation.running(options.url, options.tokens, options.schedule_id, settings)
    gathered.target = one.base_url
    _play_all(options, one, binary, raw, gathered, stop, progress)


def _embedded(
    options: Options, binary: Path, raw: Path, gathered: _Gathered, stop: Stop, progress: Progress
) -> None:
    data_dir = options.data_dir or raw / "servers"
    made = installation.embedded(raw, data_dir, options.people, progress.console, progress.say)
    with made as shop:
        gathered.environment |= {"workers": str(options.workers)}
        with shop.serving(options.workers) as (one, _):
            _play_all(options, one, binary, raw, gathered, stop, progress)
        if options.is_checked and gathered.stopped is None:
            _check(options, shop, binary, raw, gathered, stop, progress)
        if gathered.stopped is None or gathered.scenarios:
            gathered.audit = _audit(shop.settings, progress)


def _play_all(
    options: Options, one: Installation, binary: Path, raw: Path, gathered: _Gathered, stop: Stop,
    progress: Progress,
) -> None:  # fmt: skip
    gathered.environment |= one.environment
    gathered.not_sampled = one.not_sampled
    gathered.api_processes = max(1, len(one.pids().get("api", [])))
    conductor = _conductor(options, one, binary, raw, gathered, stop, progress)
    with Sampler(one.settings, conductor.pids, gathered.clock.began) as sampler:
        # What the processes do by themselves is part of what is fitted.
        _rest(conductor, sampler, _QUICK_REST_S if options.is_quick else _REST_S)
        try:
            if one.is_embedded:
                progress.say("measuring memory")
                gathered.memory = _memory(options, one)
            for name in options.chosen:
                if conductor.stopped is None:
                    _play(options, conductor, name, sampler)
        finally:
            gathered.scenarios += conductor.scenarios
            gathered.stopped = gathered.stopped or conductor.stopped
            gathered.samples += sampler.samples
    _conclude(conductor, gathered)
    if not one.is_embedded and one.settings is not None:
        gathered.audit = _audit(one.settings, progress)


def _conductor(
    options: Options, one: Installation, binary: Path, raw: Path, gathered: _Gathered, stop: Stop,
    progress: Progress,
) -> Conductor:  # fmt: skip
    return Conductor(
        one=one,
        binary=binary,
        folder=raw,
        clock=gathered.clock,
        run_id=gathered.run_id,
        rate=options.rate,
        show=progress.show,
        asked_to_stop=stop.reason,
    )


def _rest(conductor: Conductor, sampler: Sampler, seconds: float) -> None:
    time.sleep(seconds)
    conductor.windows += rules.windows(
        [], sampler.samples, conductor.clock.epoch_s, min(2.0, seconds)
    )


def _play(options: Options, conductor: Conductor, name: str, sampler: Sampler) -> None:
    if name != rules.STAIRCASE:
        conductor.play(plan.play_of(name, options), sampler)
        return
    stairs = plan.staircase(options)
    rates: Rates = lambda steps: plan.next_rate(  # noqa: E731
        stairs, [(step.offered_per_s, rules.holds(step)) for step in steps]
    )
    conductor.climb(name, rates, stairs.seconds, plan.STAIRCASE_SEATS, sampler)


def _memory(options: Options, one: Installation) -> MemoryProbe | None:
    connections = _QUICK_CONNECTIONS if options.is_quick else _CONNECTIONS
    schedules = _QUICK_HOT_SCHEDULES if options.is_quick else _HOT_SCHEDULES
    return memory.probe(one, connections, schedules, _HOT_SEATS)


def _conclude(conductor: Conductor, gathered: _Gathered) -> None:
    steps = [step for one in gathered.scenarios for step in one.steps]
    counted = [rules.judged(one) for one in gathered.scenarios]
    failures = (sum(one for one, _ in counted), sum(two for _, two in counted))
    gathered.inference = capacity.infer(
        steps, conductor.windows, processes.cores(), gathered.api_processes, failures
    )


def _check(
    options: Options, shop: Embedded, binary: Path, raw: Path, gathered: _Gathered, stop: Stop,
    progress: Progress,
) -> None:  # fmt: skip
    with shop.serving(1) as (one, api), quota.held(api.pids(), options.share) as held:
        foretold = prediction.foretell(gathered.inference, held.share, gathered.api_processes)
        if isinstance(foretold, Refusal):
            gathered.refusals.append(foretold)
            return
        progress.say(f"checking the forecast: {foretold.value:,.0f} /s of {held.share:g} cores")
        conductor = _conductor(options, one, binary, raw, gathered, stop, progress)
        with Sampler(one.settings, conductor.pids, gathered.clock.began) as sampler:
            found = prediction.check(
                conductor, sampler, held, foretold, _answers_per_visit(gathered), processes.cores()
            )
        gathered.samples += sampler.samples
        gathered.scenarios += conductor.scenarios
        gathered.stopped = conductor.stopped
        if isinstance(found, Refusal):
            gathered.refusals.append(found)
        else:
            gathered.prediction = found


def _answers_per_visit(gathered: _Gathered) -> float:
    steps = [one for one in gathered.scenarios if one.name == rules.STAIRCASE]
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
        verdicts=rules.verdicts(
            gathered.scenarios,
            gathered.audit,
            gathered.inference,
            gathered.prediction,
            options.target_per_s,
            is_whole=gathered.stopped is None,
        ),
    )
    return sizing.sized(run, options.peak_per_s, options.sale, gathered.api_processes)
