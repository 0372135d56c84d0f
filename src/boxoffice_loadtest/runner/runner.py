"""Plays scenarios one after the other and puts together what came of each."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from boxoffice.errors import BoxofficeError
from boxoffice.settings import Settings
from boxoffice_loadtest.analysis import aggregation, comparison
from boxoffice_loadtest.analysis.comparison import Stored
from boxoffice_loadtest.measurement import api_client, api_reader, database_reader, processes
from boxoffice_loadtest.measurement.client_log import Record, merged, percentile
from boxoffice_loadtest.measurement.database_reader import ScheduleTerms
from boxoffice_loadtest.measurement.log_reader import Tail
from boxoffice_loadtest.measurement.sampler import Sampler
from boxoffice_loadtest.model import OTHERS, Finding, Scenario, Step, Window
from boxoffice_loadtest.runner import k6, plan
from boxoffice_loadtest.runner.plan import Play
from boxoffice_loadtest.runner.target import Installation

# The first moments of a scenario belong to connections and caches.
_LEAD_S = 0.5
# By the API's clock, which has whole seconds, one scenario must not look like part of the next.
_CLOCK_STEP_S = 2.1
# A sample is late by up to its interval.
_SAMPLE_LAG_S = 1.1

Show = Callable[[str, float, float, str], None]
# Given the stairs climbed so far, the visits per second of the next one, or None at the end.
Rates = Callable[[list[Step]], float | None]


@dataclass
class Clock:
    """The run's own clock, and the time of day when it began."""

    began: float = field(default_factory=time.monotonic)
    epoch_s: float = field(default_factory=time.time)

    def now_s(self) -> float:
        """Return the seconds since the run began."""
        return time.monotonic() - self.began


@dataclass
class Played:
    """What one k6 left behind, and when it ran."""

    name: str
    record: Record
    summary: k6.Summary
    started_s: float
    ended_s: float
    stopped: str | None


@dataclass
class Conductor:
    """Plays on one installation; `windows` collects load and CPU of everything that was played."""

    one: Installation
    binary: Path
    folder: Path
    clock: Clock
    run_id: str
    rate: float
    show: Show
    asked_to_stop: Callable[[], str | None]
    window_s: float
    generator: list[int] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    scenarios: list[Scenario] = field(default_factory=list)
    stopped: str | None = None

    def pids(self) -> dict[str, list[int]]:
        """Return the topmost process of each component."""
        return {**self.one.pids(), "generator": list(self.generator)}

    def rest(self, seconds: float, sampler: Sampler) -> None:
        """Let nobody come for a while, and keep what the processes use by themselves."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.stopped is None:
            time.sleep(0.05)
            self.stopped = self.asked_to_stop()
        self.windows += aggregation.windows(
            [], sampler.samples, self.clock.epoch_s, min(2.0, seconds)
        )

    def play(self, play: Play, sampler: Sampler) -> None:
        """Play one scenario and keep what came of it, also where it was stopped."""
        terms = self.one.stage(play.seats, play.has_room)
        since = self._mark()
        counted = api_client.batches(self.one.base_url)
        job = self._job(play.name, play.name, play.name, terms, play.seconds)
        played = self._run(job)
        self._settle()
        self._keep_windows([played], sampler)
        self._keep(play.name, [played], terms, since, [], counted, play.seats)

    def climb(
        self, name: str, rates: Rates, seconds: float, seats: int, visitors: int, sampler: Sampler
    ) -> Scenario:
        """Climb a staircase, one k6 for each stair; `rates` tells the next one.

        At most `visitors` are under way at once.
        """
        terms = self.one.stage(seats, False)
        since = self._mark()
        counted = api_client.batches(self.one.base_url)
        played: list[Played] = []
        steps: list[Step] = []
        offset = 0
        while not self.stopped and (rate := rates(steps)) is not None:
            job = self._job(
                aggregation.STAIRCASE, name, f"{name}-{len(played) + 1}", terms, seconds
            )
            job.env.update(RATES=f"{rate:.0f}", OFFSET=str(offset), RATE="1", VUS=str(visitors))
            played.append(self._run(job))
            offset += played[-1].record.visits
            self._settle()
            steps.append(self._step(round(rate), seconds, played[-1], sampler))
        self._keep_windows(played, sampler)
        return self._keep(name, played, terms, since, steps, counted, seats)

    def _mark(self) -> datetime | None:
        """Return where this scenario begins by the installation's clock, where only that will tell."""
        if self.one.settings is not None:
            return None
        time.sleep(_CLOCK_STEP_S)
        return api_client.clock(self.one.base_url)

    def _job(
        self, script: str, group: str, name: str, terms: ScheduleTerms, seconds: float
    ) -> k6.Job:
        env = {
            "BASE_URL": self.one.base_url,
            "CONCERT_ID": str(terms.concert_id),
            "SCHEDULE_ID": str(terms.schedule_id),
            "TOKENS": str(self.one.people.file.absolute()),
            "RUN_ID": f"{self.run_id}-{group}-{name}",
            "SCENARIO": script,
            "SEED": str(1 + len(self.scenarios)),
            "RATE": f"{self.rate:g}",
            "DURATION_S": f"{seconds:g}",
        }
        return k6.Job(script, name, env, self.folder, seconds)

    def _run(self, job: k6.Job) -> Played:
        tail = Tail(job.record)
        shown_at = 0.0

        def tick(_: int, passed_s: float) -> str | None:
            nonlocal shown_at
            if passed_s - shown_at >= 0.5:
                shown_at = passed_s
                tail.look()
                counts = f"{len(tail.record.answers):,} answers, {tail.failures:,} failures"
                self.show(job.name, min(passed_s, job.seconds), job.seconds, counts)
            if tail.is_target_gone:
                return "the target does not answer any more"
            return self.asked_to_stop() or self.one.trouble()

        started_s = self.clock.now_s()
        ended = k6.run(self.binary, job, tick, self.generator.append)
        self.generator.clear()
        tail.close()
        self.stopped = self.stopped or ended.stopped
        record = tail.record
        if record.started_ms is not None:
            started_s = record.started_ms / 1000 - self.clock.epoch_s
        last_ms = max((answer.ended_ms for answer in record.answers), default=0.0)
        ended_s = max(started_s, last_ms / 1000 - self.clock.epoch_s)
        return Played(job.name, record, ended.summary, started_s, ended_s, ended.stopped)

    def _settle(self) -> None:
        """Wait until the sampler has seen the end."""
        until = time.monotonic() + _SAMPLE_LAG_S
        while time.monotonic() < until and not self.asked_to_stop():
            time.sleep(0.05)

    def _keep_windows(self, played: Sequence[Played], sampler: Sampler) -> None:
        for one in played:
            inside = aggregation.within(sampler.samples, one.started_s + _LEAD_S, one.ended_s)
            self.windows += aggregation.windows(
                one.record.answers, inside, self.clock.epoch_s, self.window_s
            )

    def _step(self, rate: float, seconds: float, played: Played, sampler: Sampler) -> Step:
        """Describe a stair by what happened while people arrived, without its first moments."""
        to_s = played.started_s + seconds
        until_ms = (self.clock.epoch_s + to_s) * 1000
        kept_s = plan.kept_s(seconds)
        since_ms = until_ms - 1000 * kept_s
        answers = [one for one in played.record.answers if since_ms < one.ended_ms <= until_ms]
        begun = [one for one in played.record.began_ms if since_ms < one <= until_ms]
        inside = aggregation.within(sampler.samples, to_s - kept_s, to_s)
        busy = [one.busy for one in inside if one.busy is not None]
        return Step(
            offered_per_s=rate,
            started_per_s=len(begun) / kept_s,
            answers_per_s=len(answers) / kept_s,
            p95_ms=percentile(sorted(one.took_ms for one in answers), 95),
            failures=sum(one.is_failure for one in played.record.answers),
            dropped=played.summary.dropped,
            seconds=kept_s,
            cores={
                **aggregation.mean_cores(inside),
                OTHERS: aggregation.others(inside, processes.cores()),
            },
            busy=sum(busy) / len(busy) if busy else None,
            counts=aggregation.counts_of(answers),
            transactions=aggregation.transactions(inside)
            / max(1e-9, sum(s.seconds for s in inside)),
            wakeups=sum(s.wakeups for s in inside) / max(1, len(inside)),
        )

    def _keep(
        self, name: str, played: Sequence[Played], terms: ScheduleTerms, since: datetime | None,
        steps: list[Step], counted: dict[str, float], seats: int,
    ) -> Scenario:  # fmt: skip
        record = merged(one.record for one in played)
        stopped = any(one.stopped for one in played)
        findings = self._compare(name, record, terms, since, interrupted=stopped)
        now = api_client.batches(self.one.base_url) if not stopped else {}
        total = terms.seats or seats
        made = Scenario(
            name=name,
            started_s=round(played[0].started_s, 2),
            seconds=round(played[-1].ended_s - played[0].started_s, 2),
            planned=record.planned,
            visits=record.visits,
            dropped=sum(one.summary.dropped for one in played),
            routes=aggregation.routes(record.answers),
            series=aggregation.series(record),
            seats_total=total,
            seats_taken=len(record.seats_taken),
            sold_out_s=aggregation.sold_out_s(record, total),
            acknowledged={
                "holds": len(record.holds),
                "payments": len({one.payment_id for one in record.payments}),
                "releases": len(record.releases),
            },
            thresholds={k: v for one in played for k, v in one.summary.thresholds.items()},
            integrity_failures=sum(one.summary.integrity_failures for one in played),
            reported_requests=sum(one.summary.requests for one in played),
            findings=findings,
            steps=steps,
            batches={key: now[key] - counted.get(key, 0.0) for key in now},
            seats_bytes=sum(record.lookup_bytes) / max(1, len(record.lookup_bytes)),
        )
        self.scenarios.append(made)
        return made

    def _compare(
        self, name: str, record: Record, terms: ScheduleTerms, since: datetime | None,
        *, interrupted: bool,
    ) -> list[Finding]:  # fmt: skip
        self.show(name, 1, 1, "comparing the client's record with the database")
        try:
            stored = self._stored(name, record, terms, since)
        except (BoxofficeError, OSError) as error:
            self.stopped = self.stopped or f"the records could not be compared: {error}"
            return []
        if not stored.is_whole:
            self.stopped = self.stopped or "not every person's reservations could be read"
            return []
        return comparison.compare(record, stored, self.one.people.user_ids, interrupted=interrupted)

    def _stored(
        self, name: str, record: Record, terms: ScheduleTerms, since: datetime | None
    ) -> Stored:
        if self.one.settings is not None:
            return asyncio.run(_read(self.one.settings, terms, f"{self.run_id}-{name}-"))
        if since is None:
            raise BoxofficeError("there is nothing to compare with")
        persons = self.one.people.persons
        return api_reader.stored(self.one.base_url, persons, terms, record, since)


async def _read(settings: Settings, terms: ScheduleTerms, prefix: str) -> Stored:
    async with database_reader.reading(settings) as reader:
        return await reader.stored(terms.schedule_id, prefix, terms.hold_ttl_s)
