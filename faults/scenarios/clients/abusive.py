"""Abusive HTTP clients beside buyers."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from uuid import UUID

import aiohttp
import msgspec
import psutil

from bench.scenarios import http_requests
from boxoffice_loadtest.measurement.database_reader import open_reader
from faults.checks.record import HeldSeats, percentile
from faults.cluster import subprocesses
from faults.cluster.cluster import Cluster, Topology
from faults.interference.abusive_clients import CLOSED, CUT, OVER, AbusePlan, AbuseResult
from faults.report.targets import MEMORY_GROWTH_MAX_MB, SLOWER_MAX
from faults.scenario import AnyScenario, Component, Observations, Scenario
from faults.workload.balancer import new_session
from faults.workload.calls import ApiCall
from faults.workload.fixtures import Fixtures
from faults.workload.load import LoadGenerator
from faults.workload.plan import WorkloadProfile

_MB = 1_000_000
# A scheduler turn on a busy core; differences below are not resolved.
_RESOLUTION_S = 0.005
_WARM_S = 2.0
_CALM_S = 4.0
_ABUSE_S = 8.0
# The last client starts after 2 s, so a deadline of 3 s passes well before the end.
_PATIENCE_S = 5.5
_SETTLED_AFTER_S = 0.5
_LOOK_EVERY_S = 0.2
_REPLAYS = 100
_END_WITHIN_S = 30.0
# Shorter than the defaults, so that every deadline passes several times in a trial.
_DEADLINES = {
    "header_timeout_ms": 3_000,
    "body_timeout_ms": 3_000,
    "write_timeout_ms": 3_000,
    "log_requests": "false",
}


# Enough requests for a p99, and enough seats to the end.
_BRISK = WorkloadProfile(visits_per_s=80.0, pays=0.3, releases=0.5, looks=0.0)


@dataclass(frozen=True)
class Abuse:
    """One kind of abusive clients, their number, and the responses that every trial must have.

    `at_least`: minimum count by response; responses neither there nor in `also` are wrong. A turn
    that the end of the trial cuts short (at most one per client) has none. `holds`: reservations
    under their one key.
    """

    kind: str
    clients: int
    at_least: Mapping[str, int]
    also: tuple[str, ...] = ()
    holds: int = 0

    def wrong(self, result: AbuseResult) -> list[str]:
        """Return what is wrong with the responses of a trial."""
        rare = {
            what: least
            for what, least in self.at_least.items()
            if result.answers.get(what, 0) < least
        }
        odd = set(result.answers) - {*self.at_least, *self.also, OVER}
        found = [f"fewer abusive clients than {rare}: {result.answers}"] if rare else []
        return found + ([f"abusive clients were answered {result.answers}"] if odd else [])


async def _run_clients(plan: AbusePlan) -> AbuseResult:
    """Run abusive clients in a process of their own, so that their work delays no buyer."""
    within_s = plan.seconds + _END_WITHIN_S
    result = await subprocesses.ask(
        "faults.interference.abusive_clients", msgspec.msgpack.encode(plan), within_s=within_s
    )
    return msgspec.msgpack.decode(result, type=AbuseResult)


async def _peak_bytes(pid: int, until: "asyncio.Task[AbuseResult]") -> int:
    """Return the peak resident memory of a process until the task ends."""
    peak = 0
    while not until.done():
        peak = max(peak, psutil.Process(pid).memory_info().rss)
        await asyncio.sleep(_LOOK_EVERY_S)
    return peak


async def _take_maps(url: str, until_s: float) -> None:
    """Read the current seat map repeatedly: memory needed for that is no growth."""
    async with new_session() as session:
        while time.monotonic() < until_s:
            async with session.get(url, headers={"Accept-Encoding": "identity"}) as answer:
                await answer.read()
            await asyncio.sleep(_LOOK_EVERY_S)


@dataclass
class _Times:
    """Latencies of the buyers in all trials, and what the abusive clients were answered."""

    calm_s: list[float] = field(default_factory=list)
    beside_s: list[float] = field(default_factory=list)
    results: list[AbuseResult] = field(default_factory=list)
    growth_mb: float = 0.0

    @property
    def times(self) -> float:
        """The p99 beside abusive clients, relative to the calm; one below 5 ms counts as 5 ms."""
        return _p99_s(self.beside_s) / max(_p99_s(self.calm_s), _RESOLUTION_S)


def _p99_s(times_s: Sequence[float]) -> float:
    return percentile(sorted(times_s), 99) if times_s else 0.0


def _took_s(load: LoadGenerator, begin_s: float, end_s: float) -> list[float]:
    """Return the durations of the requests that began in that time."""
    return [
        one.end_s - one.begin_s for one in load.record.attempts if begin_s <= one.begin_s < end_s
    ]


async def _stay_calm(load: LoadGenerator, seen: _Times) -> None:
    """Let buyers buy without abusive clients, after a pause."""
    await asyncio.sleep(_SETTLED_AFTER_S)
    begin_s = time.monotonic()
    await asyncio.sleep(_CALM_S)
    seen.calm_s += _took_s(load, begin_s, time.monotonic())


async def _suffer(load: LoadGenerator, pid: int, plan: AbusePlan, seen: _Times) -> int:
    """Run one trial and return the peak memory of the worker, in bytes."""
    playing = asyncio.create_task(_run_clients(plan))
    try:
        peak_bytes = await _peak_bytes(pid, playing)
        result = await playing
    finally:
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
    # From the first abusive client on, without the start of their process.
    seen.beside_s += _took_s(load, result.begin_s, result.end_s)
    seen.results.append(result)
    return peak_bytes


async def _between(cluster: Cluster, load: LoadGenerator, plan: AbusePlan, trials: int) -> _Times:
    """Run the trials: buyers beside abusive clients, with calm before, between and after."""
    seen, pid = _Times(), cluster.api[0].pid
    await _take_maps(f"{cluster.api[0].url}{plan.path}", time.monotonic() + _WARM_S)
    before_bytes = psutil.Process(pid).memory_info().rss
    for _ in range(trials):
        await _stay_calm(load, seen)
        peak_bytes = await _suffer(load, pid, plan, seen)
        seen.growth_mb = max(seen.growth_mb, (peak_bytes - before_bytes) / _MB)
    await _stay_calm(load, seen)
    return seen


def _observed(abuse: Abuse, played: _Times) -> Observations:
    seen = Observations(trials=len(played.results))
    seen.figures = {
        "memory_growth_mb": played.growth_mb,
        "p99_calm_ms": _p99_s(played.calm_s) * 1000,
        "p99_beside_ms": _p99_s(played.beside_s) * 1000,
        "p99_times": played.times,
        "requests_beside_count": len(played.beside_s),
        "turns_count": sum(one.turns for one in played.results),
    }
    if played.growth_mb > MEMORY_GROWTH_MAX_MB:
        seen.broken.append(f"a worker grew by {played.growth_mb:.0f} MB")
    if played.times > SLOWER_MAX:
        seen.broken.append(
            f"the p99 of buyers is {played.times:.1f} times what it was without them"
        )
    answers: Counter[str] = Counter()
    for result in played.results:
        answers.update(result.answers)
        seen.broken += abuse.wrong(result)
    seen.figures |= {f"answers_{what}_count": float(count) for what, count in answers.items()}
    return seen


def _scenario(abuse: Abuse, does: str, expects: str) -> Scenario:
    """Return the scenario of one kind of abusive clients."""

    async def run(
        cluster: Cluster, load: LoadGenerator, random: Random, trials: int
    ) -> Observations:
        # A separate sale, whose holds are not in the record.
        beside = await cluster.create_fixtures(seats=100, people=1, hold_ttl_s=3_600)
        plan = _plan(abuse, cluster, load, beside, random)
        seen = _observed(abuse, await _between(cluster, load, plan, trials))
        held = await _count_holds(cluster, beside)
        seen.figures["held_count"] = float(held)
        if held != abuse.holds:
            seen.broken.append(f"one key has {held} holds instead of {abuse.holds}")
        return seen

    return Scenario(
        name=f"clients_{abuse.kind}",
        component=Component.CLIENTS,
        does=does,
        expects=f"{expects}; a worker grows by 50 MB at most, the others' p99 at most doubles",
        run=run,
        trials=3,
        trial_s=_CALM_S + _ABUSE_S + 4,
        topology=Topology(api=1, settings=_DEADLINES),
        profile=_BRISK,
    )


def _plan(
    abuse: Abuse, cluster: Cluster, load: LoadGenerator, beside: Fixtures, random: Random
) -> AbusePlan:
    token = beside.people[0].access_token
    return AbusePlan(
        kind=abuse.kind,
        port=cluster.api[0].port,
        clients=abuse.clients,
        seconds=_ABUSE_S,
        patience_s=_PATIENCE_S,
        seed=random.randrange(2**31),
        path=f"/v1/schedules/{load.fixtures.schedule_id}/seats",
        # Any seat, so that a second hold under the same key would succeed and show.
        hold=http_requests.hold_best(beside.schedule_id, token, "hang-up", 1),
    )


async def _count_holds(cluster: Cluster, fixtures: Fixtures) -> int:
    """Return the number of reservations of a sale."""
    async with open_reader(cluster.settings) as reader:
        return len((await reader.state(UUID(fixtures.schedule_id), "", fixtures.hold_ttl_s)).holds)


async def replay(
    cluster: Cluster, load: LoadGenerator, random: Random, trials: int
) -> Observations:
    """Send one hold a hundred times at once to both processes, under one key."""
    seen = Observations()
    async with new_session() as session:
        for trial in range(trials):
            person = random.randrange(len(load.fixtures.people))
            # From the other end than the buyers.
            call = load.hold_call(person, load.fixtures.seat_ids[-1 - trial :][:1])
            begin_s = time.monotonic()
            answers = await asyncio.gather(
                *(
                    _answer_in_bytes(session, cluster.api[turn % len(cluster.api)].url, load, call)
                    for turn in range(_REPLAYS)
                )
            )
            seen.trials += 1
            seen.broken += _take_replays(load, call, answers, begin_s)
    seen.figures["replays_count"] = float(_REPLAYS)
    return seen


async def _answer_in_bytes(
    session: aiohttp.ClientSession, url: str, load: LoadGenerator, call: ApiCall
) -> tuple[int, bytes]:
    """Repeat while the first request is in flight; return the status and the raw body."""
    headers = load.fixtures.people[call.person].headers(call.key)
    until_s = time.monotonic() + _END_WITHIN_S
    while True:
        async with session.post(url + call.path, json=call.body, headers=headers) as answer:
            status, body = answer.status, await answer.read()
        if b"idempotency_in_flight" not in body or time.monotonic() > until_s:
            return status, body
        await asyncio.sleep(_LOOK_EVERY_S)


def _take_replays(
    load: LoadGenerator, call: ApiCall, answers: Sequence[tuple[int, bytes]], begin_s: float
) -> list[str]:
    """Record the one hold; return what is wrong unless all bodies are equal."""
    kinds = Counter(status for status, _ in answers)
    bodies = {body for _, body in answers}
    if set(kinds) != {201} or len(bodies) != 1:
        return [f"{_REPLAYS} replays were answered {dict(kinds)} with {len(bodies)} bodies"]
    body = msgspec.json.decode(bodies.pop())
    load.record.holds.append(
        HeldSeats(
            body["reservation_id"],
            call.person,
            call.seats,
            body["amount"],
            call.key,
            begin_s,
            time.monotonic(),
        )
    )
    return []


ABUSES: tuple[tuple[Abuse, str, str], ...] = (
    (
        Abuse("slow_heads", 300, {"408": 300}),
        "300 connections that send a byte of a header every half second",
        "each gets 408 at its deadline",
    ),
    (
        Abuse("slow_bodies", 300, {"408": 300}),
        "300 connections that send a byte of a body every half second",
        "each gets 408 at its deadline",
    ),
    (
        Abuse("storm", 150, {"200": 600}),
        "150 clients with a new connection for every request, some 300 connections a second",
        "all get a response",
    ),
    (
        Abuse(
            "hang_ups",
            40,
            {"in_the_head": 40, "in_the_body": 40, "before_the_answer": 40},
            also=("after_201", "after_409"),
            holds=1,
        ),
        "40 clients that reset their connection in the header, in the body or before the response",
        "no other request fails, and their one key has one hold",
    ),
    (
        Abuse(
            "giant_bodies",
            10,
            {"413_declared": 10, "413_chunked": 10},
            also=tuple(f"{end}_{how}" for end in (CUT, CLOSED) for how in ("declared", "chunked")),
        ),
        "10 clients that send bodies of a gigabyte at 1 Gbit/s, declared or in chunks, until refused",
        "413, and the connection is closed",
    ),
    (
        Abuse("deep_json", 20, {"400": 20}),
        "20 clients that send JSON nested 12,000 levels deep",
        "400",
    ),
    (
        Abuse("never_read", 200, {CUT: 200}),
        "200 connections that request seat maps and never read a response",
        "each is closed when its response is not read in time",
    ),
)

SCENARIOS: tuple[AnyScenario, ...] = (
    *(_scenario(*one) for one in ABUSES),
    Scenario(
        name="clients_replays",
        component=Component.CLIENTS,
        does="one hold sent a hundred times at once to both processes, under one key",
        expects="all responses have the same bytes, and there is one hold",
        run=replay,
        trials=20,
        quick_trials=2,
        trial_s=0.5,
        hold_ttl_s=60,
    ),
)
