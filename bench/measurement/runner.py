"""Runs the rows round by round, so that whatever drifts in the machine drifts for all of them."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

from bench.client import load
from bench.client.stream_readers import Crowd, watching
from bench.environment.environment import Hall, HallPlan, Stage
from bench.environment.processes import APP, USUAL, Batches, Server, running
from bench.environment.relay import relaying, wait_until_delivered
from bench.measurement.cpu import Meter
from bench.scenarios.shop import HUGE, Row, Scene, Sizes, Work
from boxoffice.audit import audit
from boxoffice.platform.postgres import sql_files
from boxoffice.settings import Settings

CLEAN = "clean"
FLOOR_ROW = "floor"
_USUAL_SQL = sql_files.load("bench.baselines.lock_per_request")


@dataclass(frozen=True)
class Sample:
    """One run of one row: CPU in microseconds per request, memory of the largest process per group.

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
class Step:
    """What is about to be done, for those who wait."""

    text: str
    done: int
    total: int


@dataclass
class Audience:
    """Who watches a row, and the memory of each stream; `left` counts those that do not any more."""

    streams: int
    stream_kib: float
    crowd: Crowd | None
    left: int = 0

    def events(self) -> int:
        """Return how many events they have seen together."""
        if self.crowd is None:
            return 0
        seen = self.crowd.count()
        self.left = self.streams - seen.open
        return seen.events


@contextmanager
def _audience(scene: Scene) -> Iterator[Audience]:
    """Have people watch the first schedule of a scene."""
    count, group = scene.sizes.watchers, scene.server.group
    path = f"/v1/schedules/{scene.full.schedule_id}/seats/events"
    # The map is read and the cache filled before, so that their memory is not the streams'.
    with watching(scene.server.port, path, 1):
        before_mib = group.held_mib()
    with watching(scene.server.port, path, count) as crowd:
        stream_kib = (group.held_mib() - before_mib) * 1024 / count
        yield Audience(count, stream_kib, crowd)


class Runner:
    """Measures rows on a stage."""

    def __init__(
        self,
        stage: Stage,
        sizes: Sizes,
        folder: Path,
        connections: int,
        say: Callable[[Step], None],
    ) -> None:
        self._stage = stage
        self._sizes = sizes
        self._folder = folder
        self._connections = connections
        self._say = say
        self._halls: dict[HallPlan, Hall] = {}

    def run(self, rows: Sequence[Row], runs: int) -> dict[str, list[Sample]]:
        """Return the samples of each row; the floor has one more per round, at its end."""
        samples: dict[str, list[Sample]] = {row.name: [] for row in rows}
        order = list(_order(rows, runs))
        plans = {self._sizes.hall(row.seats) for row in rows}
        total = len(order) + len(plans)
        for done, plan in enumerate(sorted(plans, key=lambda plan: plan.seats)):
            self._say(Step(f"sowing {plan.schedules} × {plan.seats:,} seats", done, total))
            self._halls[plan] = self._stage.sow(plan)
        for done, (number, row) in enumerate(order, start=len(plans)):
            self._say(Step(f"round {number} of {runs}: {row.name}", done, total))
            samples[row.name].append(self.measure(row, number))
        self._say(Step("done", total, total))
        return samples

    def measure(self, row: Row, number: int) -> Sample:
        """Measure a row once, on a database and a server of its own."""
        plan = self._sizes.hall(row.seats)
        with self._stage.fresh(plan) as settings:
            env = {**self._stage.env(settings, row.workers), **row.env}
            if row.has_room:
                asyncio.run(self._stage.open_rooms(settings))
            log = self._folder / f"{row.name}.log"
            with running(row.server, env, log) as server, ExitStack() as beside:
                groups = [server.group, *self._stage.groups]
                if row.relay:
                    relay_log = self._folder / "relay.log"
                    groups.append(beside.enter_context(relaying(settings, env, relay_log)))
                scene = Scene(self._sizes, self._halls[plan], server)
                work = row.build(scene)
                audience = Audience(0, 0.0, None)
                if row.is_watched:
                    audience = beside.enter_context(_audience(scene))
                meter = Meter(groups)
                return self._measure(row, number, server, work, settings, meter, audience)

    def _measure(
        self,
        row: Row,
        number: int,
        server: Server,
        work: Work,
        settings: Settings,
        meter: Meter,
        audience: "Audience",
    ) -> Sample:
        batches: list[Batches] = []
        seen: list[int] = []

        def before() -> None:
            if row.server == APP:
                batches.append(server.batches())
            seen.append(audience.events())
            meter.start()

        def after() -> None:
            if row.relay:
                wait_until_delivered(settings)
            meter.stop()
            seen.append(audience.events())
            if row.server == APP:
                batches.append(server.batches())

        sent = load.run(self._plan(server, work), before, after)
        in_batches = batches[1].since(batches[0]) if batches else Batches(0, 0, {})
        audit, sold_twice = asyncio.run(_audit(settings, row))
        return Sample(
            round=number,
            cpu_us={name: us / work.count for name, us in meter.cpu_us().items()},
            client_cpu_us=sent.cpu_s * 1e6 / work.count,
            rps=sent.rps,
            p50_ms=sent.p50_ms,
            p95_ms=sent.p95_ms,
            p99_ms=sent.p99_ms,
            memory_mib={**meter.peaks_mib(), "client": sent.memory_mib},
            statuses=sent.statuses,
            codes=sent.codes,
            audit=audit,
            unexpected=_unexpected(row, sent) + audience.left,
            memory_all_mib=server.group.held_mib(),
            sold_twice=sold_twice,
            batch_mean=in_batches.mean,
            batch_sizes=in_batches.sizes,
            streams=audience.streams,
            events=seen[1] - seen[0],
            stream_kib=audience.stream_kib,
        )

    def _plan(self, server: Server, work: Work) -> load.Plan:
        return load.Plan(
            port=server.port,
            connections=self._connections,
            requests=list(work.requests),
            count=work.count,
            warmup=list(work.warmup),
            rate_per_s=work.rate_per_s,
        )


def _order(rows: Sequence[Row], runs: int) -> Iterator[tuple[int, Row]]:
    """Yield (round, row): every other round backwards, and the floor at both ends of each."""
    floor = [row for row in rows if row.name == FLOOR_ROW]
    others = [row for row in rows if row.name != FLOOR_ROW]
    for number in range(1, runs + 1):
        turn = others if number % 2 else others[::-1]
        for row in [*floor, *turn, *floor]:
            yield number, row


def _unexpected(row: Row, sent: load.Load) -> int:
    """Count the answers that the row is not about."""
    wrong = sum(number for status, number in sent.statuses.items() if status not in row.expect)
    return wrong + sum(number for code, number in sent.codes.items() if code not in row.codes)


async def _audit(settings: Settings, row: Row) -> tuple[str, int]:
    """Return `clean` or the names of the broken invariants, and how many seats were sold twice."""
    report = await audit(settings)
    broken = [check.name for check in report.broken]
    violations, sold_twice = await _usual_audit(settings) if row.server == USUAL else (0, 0)
    if violations and not row.may_oversell:
        broken.append("usual")
    verdict = CLEAN if report.ok and not broken else "broken: " + ", ".join(broken)
    return verdict, sold_twice


async def _usual_audit(settings: Settings) -> tuple[int, int]:
    connection = await asyncpg.connect(settings.database.database_url)
    try:
        violations = await connection.fetchval(_USUAL_SQL["check"])
        return int(violations), int(await connection.fetchval(_USUAL_SQL["sold_twice"]))
    finally:
        await connection.close()


def wanted(rows: Sequence[Row], names: Sequence[str], *, huge: bool) -> list[Row]:
    """Return the rows of these names, all of them where none is named; the floor is always there."""
    if names:
        return [row for row in rows if row.name in names or row.name == FLOOR_ROW]
    return [row for row in rows if huge or row.seats != HUGE]
