"""Faults of the worker that collects the commands of its neighbours (`serve --workers`)."""

import asyncio
import contextlib
import re
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random
from uuid import UUID

import aiohttp
import psutil

from boxoffice.batching.handover.workers import WorkerPlace
from faults.checks.database import audit_now
from faults.checks.record import CallEnding
from faults.cluster.cluster import Api, Cluster, ProcessFailed, Topology
from faults.interference.in_flight import record_kill, require_a_hit, wait_for_request
from faults.scenario import AnyScenario, Component, Observations, Play, Scenario
from faults.scenarios.api import RECOVERY_MAX_S
from faults.workload.load import LoadGenerator
from faults.workload.plan import WorkloadProfile

_WORKERS = 3
_BACK_WITHIN_S = 30.0
_HANDED_OVER_WITHIN_S = 10.0
_PAUSE_S = (1.5, 3.0)
_SLOW_S = (0.02, 1.3)
_HANDED_OVER = re.compile(r"^boxoffice_batch_handed_over_total (\S+)$", re.MULTILINE)


def _collector(group: Api, load: LoadGenerator) -> psutil.Process:
    """Return the worker that collects for the schedule on sale."""
    return _placed_collector(group, load)[0]


def _placed_collector(group: Api, load: LoadGenerator) -> tuple[psutil.Process, WorkerPlace]:
    schedule = UUID(load.fixtures.schedule_id)
    for worker in psutil.Process(group.pid).children():
        argv = worker.cmdline()
        if "--place" in argv:
            place = WorkerPlace.parse(argv[argv.index("--place") + 1])
            if schedule.int % place.count == place.number:
                return worker, place
    raise ProcessFailed(f"no worker of {group.name} collects: {group.log_tail()}")


async def _until_back(cluster: Cluster, group: Api, load: LoadGenerator, gone: int) -> None:
    """Wait until another process collects in the place of `gone`: until it listens."""
    deadline_s = time.monotonic() + _BACK_WITHIN_S
    while time.monotonic() < deadline_s:
        with contextlib.suppress(ProcessFailed, psutil.Error, OSError):
            worker, place = _placed_collector(group, load)
            if worker.pid != gone:
                _, writer = await asyncio.open_unix_connection(place.socket(place.number))
                writer.close()
                await cluster.wait_until_ready()
                return
        await asyncio.sleep(0.02)
    raise ProcessFailed(f"no worker of {group.name} collects again: {group.log_tail()}")


async def _handed_over(group: Api) -> int:
    """Return how many commands workers have handed over since their start."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{group.url}/metrics") as answer,
    ):
        found = _HANDED_OVER.search(await answer.text())
        return int(float(found[1])) if found else 0


@asynccontextmanager
async def _handing_over(group: Api, load: LoadGenerator, seen: Observations) -> AsyncIterator[None]:
    """Fail a scenario in which no command is handed over: it would show nothing.

    All of a few connections may be with the collector for a while, and counts are written late.
    """
    before = await _handed_over(group)
    yield
    deadline_s = time.monotonic() + _HANDED_OVER_WITHIN_S
    while (count := await _handed_over(group) - before) <= 0 and time.monotonic() < deadline_s:
        await load.sell_for(0.1)
    seen.counts["commands_handed_over_count"] += count
    if count <= 0:
        seen.broken.append("no command was handed over")


async def kill_collector(
    cluster: Cluster, load: LoadGenerator, random: Random, trials: int
) -> Observations:
    """Kill the collector while commands of its neighbours are in flight."""
    seen = Observations()
    (group,) = cluster.api
    async with _handing_over(group, load, seen):
        for _ in range(trials):
            await load.sell_for(random.uniform(0.2, 1.0))
            await wait_for_request(load, random, {group.name})
            with load.fault("kill", grace_s=RECOVERY_MAX_S):
                at_s = time.monotonic()
                victim = _collector(group, load)
                victim.kill()
                seen.recoveries_s.append(await load.next_sale(at_s))
                await _until_back(cluster, group, load, victim.pid)
            seen.trials += 1
            record_kill(seen, load, at_s, {group.name})
            seen.broken += await audit_now(cluster.settings)
    require_a_hit(seen)
    return seen


async def end_collector(
    cluster: Cluster, load: LoadGenerator, random: Random, trials: int
) -> Observations:
    """SIGTERM of the collector: it drains, and its parent starts it again.

    A request that meets the end of its kept connection is cut (RFC 9112, section 9.6), and repeated.
    All others are answered, those of the neighbours too.
    """
    seen = Observations()
    (group,) = cluster.api
    async with _handing_over(group, load, seen):
        for _ in range(trials):
            await load.sell_for(random.uniform(0.2, 1.0))
            await wait_for_request(load, random, {group.name})
            with load.fault("drain", grace_s=RECOVERY_MAX_S):
                at_s = time.monotonic()
                victim = _collector(group, load)
                victim.send_signal(signal.SIGTERM)
                seen.recoveries_s.append(await load.next_sale(at_s))
                await _until_back(cluster, group, load, victim.pid)
            seen.trials += 1
            seen.broken += await audit_now(cluster.settings)
    # The window excuses a 503 as well, and there is no reason for one.
    seen.broken += [f"{kind}: {count}" for kind, count in _not_cut(load).items()]
    return seen


def _not_cut(load: LoadGenerator) -> dict[str, int]:
    failures = load.record.failures()
    return {kind: failures[kind] for kind in failures if kind != CallEnding.CUT}


def pausing(pauses: Callable[[Random], list[float]]) -> Play:
    """Return a scenario that stops the collector for these times, one after the other."""

    async def run(
        cluster: Cluster, load: LoadGenerator, random: Random, trials: int
    ) -> Observations:
        seen = Observations()
        (group,) = cluster.api
        async with _handing_over(group, load, seen):
            for _ in range(trials):
                await load.sell_for(random.uniform(0.2, 1.0))
                await wait_for_request(load, random, {group.name})
                victim = _collector(group, load)
                with load.fault("pause", grace_s=RECOVERY_MAX_S, is_stopped=True):
                    at_s = time.monotonic()
                    for number, pause_s in enumerate(pauses(random)):
                        await _pause(victim, load, pause_s)
                        if not number:
                            seen.recoveries_s.append(await load.next_sale(at_s))
                    await cluster.wait_until_ready()
                seen.trials += 1
                seen.broken += await audit_now(cluster.settings)
        return seen

    return run


async def _pause(victim: psutil.Process, load: LoadGenerator, pause_s: float) -> None:
    victim.suspend()
    try:
        await load.sell_for(pause_s)
    finally:
        victim.resume()
    await load.sell_for(pause_s / 4)


def _one_pause(random: Random) -> list[float]:
    return [random.uniform(*_PAUSE_S)]


def _many_pauses(random: Random) -> list[float]:
    return [random.uniform(*_SLOW_S) for _ in range(5)]


_TOPOLOGY = Topology(api=1, settings={"workers": _WORKERS, "hand_over": True})
_DENSE = WorkloadProfile(visits_per_s=40.0)
# Requests that the stopped worker has read itself wait for it; their buyers ask again.
_IMPATIENT = WorkloadProfile(visits_per_s=40.0, patience_s=2.0)
_SEATS, _PEOPLE = 9_000, 600

SCENARIOS: tuple[AnyScenario, ...] = (
    Scenario(
        name="collector_sigkill",
        component=Component.API,
        does="SIGKILL of the worker of three that collects for the schedule on sale, during requests",
        expects="its neighbours look up what they had handed over, and decide alone; a retry under "
        "the same key has exactly one effect",
        run=kill_collector,
        trials=6,
        trial_s=3.0,
        topology=_TOPOLOGY,
        profile=_DENSE,
        seats=_SEATS,
        people=_PEOPLE,
        recovery_p99_max_s=RECOVERY_MAX_S,
    ),
    Scenario(
        name="collector_sigterm",
        component=Component.API,
        does="SIGTERM of the collector during requests; its parent starts it again",
        expects="it gives new commands back; no answer is a 5xx; a retry under the same key has "
        "exactly one effect",
        run=end_collector,
        trials=3,
        trial_s=4.0,
        topology=_TOPOLOGY,
        profile=_DENSE,
        seats=_SEATS,
        people=_PEOPLE,
        recovery_p99_max_s=RECOVERY_MAX_S,
    ),
    Scenario(
        name="collector_sigstop",
        component=Component.API,
        does="SIGSTOP of the collector for longer than the time for its answers, then SIGCONT",
        expects="its neighbours sell on alone; what it had not begun it never decides, except for a "
        "late hold of a request that it had read itself, and it lapses",
        run=pausing(_one_pause),
        trials=1,
        trial_s=6.0,
        topology=_TOPOLOGY,
        profile=_IMPATIENT,
        seats=_SEATS,
        people=_PEOPLE,
        excuses_late_holds=True,
        recovery_p99_max_s=RECOVERY_MAX_S,
    ),
    Scenario(
        name="collector_slow",
        component=Component.API,
        does="SIGSTOP and SIGCONT of the collector in turn, 20 ms to 1.3 s each",
        expects="commands go to and fro between it and its neighbours; each has one outcome",
        run=pausing(_many_pauses),
        trials=1,
        trial_s=8.0,
        topology=_TOPOLOGY,
        profile=_IMPATIENT,
        seats=_SEATS,
        people=_PEOPLE,
        excuses_late_holds=True,
        recovery_p99_max_s=RECOVERY_MAX_S,
    ),
)
