"""Faults of the product's processes: API, sweeper and relay."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from random import Random
from uuid import UUID

import psutil

from boxoffice.platform.postgres.sql_files import read
from boxoffice.platform.valkey import Script
from faults.checks.database import audit_now, left_undone
from faults.cluster.cluster import Api, Cluster, Process, ProcessFailed, Topology
from faults.cluster.proxy import Moment, Proxy, Trap
from faults.interference.in_flight import record_kill, require_a_hit, wait_for_request
from faults.scenario import AnyScenario, Component, Observations, Play, Scenario
from faults.workload.load import LoadGenerator
from faults.workload.plan import WorkloadProfile

RECOVERY_MAX_S = 2.0
_SPRUNG_WITHIN_S = 30.0
_DONE_WITHIN_S = 30.0
_HOLD_TTL_S = 3

# The statements of each kind of batch, in any version of their function.
_STATEMENTS = {
    "hold": b"reservations_hold_v",
    "pay": b"payments_pay_v",
    "release": b"reservations_release_v",
    "top_up": b"payments_charge_v",
}
_CLAIM = Script("claim", read("boxoffice.reservations", "lua/claim.lua"))


async def kill_at_random(
    cluster: Cluster, load: LoadGenerator, random: Random, trials: int
) -> Observations:
    """Kill one API process at a time, at random moments, while the other one sells."""
    return await _kill(cluster, load, random, trials, lambda: [random.choice(cluster.api)])


async def kill_all(
    cluster: Cluster, load: LoadGenerator, random: Random, trials: int
) -> Observations:
    """Kill all API processes at once; sales stop until the supervisor has restarted them."""
    return await _kill(cluster, load, random, trials, lambda: cluster.api)


async def _kill(
    cluster: Cluster,
    load: LoadGenerator,
    random: Random,
    trials: int,
    choose: Callable[[], Sequence[Process]],
) -> Observations:
    seen = Observations()
    for _ in range(trials):
        await load.sell_for(random.uniform(0.2, 1.0))
        victims = choose()
        affected = [victim.name for victim in victims]
        await wait_for_request(load, random, affected)
        with load.fault("kill", grace_s=RECOVERY_MAX_S, affected=affected):
            at_s = time.monotonic()
            for victim in victims:
                victim.kill()
            seen.recoveries_s.append(await load.next_sale(at_s))
            await cluster.wait_until_ready()
        _note_most(seen, "restart_max_s", time.monotonic() - at_s)
        seen.trials += 1
        record_kill(seen, load, at_s, affected)
        seen.broken += await audit_now(cluster.settings)
    require_a_hit(seen)
    return seen


def killing_at(moment: Moment, kinds: Sequence[str]) -> Play:
    """Return a scenario that kills a process at one moment of its exchange with PostgreSQL."""

    async def run(
        cluster: Cluster, load: LoadGenerator, random: Random, trials: int
    ) -> Observations:
        seen = Observations()
        for number in range(trials):
            victim = random.choice(cluster.api)
            statement = _STATEMENTS[kinds[number % len(kinds)]]
            await _kill_when(
                cluster, load, seen, victim, victim.proxies.postgres, statement, moment
            )
        return seen

    return run


async def kill_with_a_claim(
    cluster: Cluster, load: LoadGenerator, random: Random, trials: int
) -> Observations:
    """Kill a process that has claimed seats in Valkey, before it asks PostgreSQL for them."""
    seen = Observations()
    for _ in range(trials):
        victim = random.choice(cluster.api)
        claimed = victim.proxies.valkey.set_trap(Trap(_CLAIM.digest.encode(), Moment.SEEN))
        if not await _is_sprung(claimed):
            seen.broken.append(f"{victim.name} claimed no seat in {_SPRUNG_WITHIN_S:.0f} s")
            return seen
        await _kill_when(
            cluster,
            load,
            seen,
            victim,
            victim.proxies.postgres,
            _STATEMENTS["hold"],
            Moment.ASKED,
        )
    return seen


async def kill_before_the_notice(
    cluster: Cluster, load: LoadGenerator, random: Random, trials: int
) -> Observations:
    """Kill a process after its commit, before it publishes the seat changes."""
    seen = Observations()
    # A seat change carries the id of its schedule; heartbeats do not.
    schedule = UUID(load.fixtures.schedule_id).bytes
    for _ in range(trials):
        victim = random.choice(cluster.api)
        await _kill_when(cluster, load, seen, victim, victim.proxies.valkey, schedule, Moment.ASKED)
    return seen


async def _kill_when(
    cluster: Cluster,
    load: LoadGenerator,
    seen: Observations,
    victim: Api,
    line: Proxy,
    text: bytes,
    moment: Moment,
) -> None:
    killed_s = []

    def kill() -> None:
        killed_s.append(time.monotonic())
        victim.kill()

    trap = line.set_trap(Trap(text, moment, kill))
    if not await _is_sprung(trap):
        line.drop_traps()
        seen.broken.append(f"{victim.name} did not ask for {text!r}")
        return
    with load.fault("kill", grace_s=RECOVERY_MAX_S, since_s=killed_s[0], affected=[victim.name]):
        seen.recoveries_s.append(await load.next_sale(killed_s[0]))
        await cluster.wait_until_ready()
    seen.trials += 1
    seen.kills += 1
    seen.broken += await audit_now(cluster.settings)


async def _is_sprung(trap: Trap) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_SPRUNG_WITHIN_S):
            await trap.sprung.wait()
    return trap.sprung.is_set()


async def pause_past_the_hold(
    cluster: Cluster, load: LoadGenerator, random: Random, trials: int
) -> Observations:
    """Pause a process for longer than its holds live, then resume it with stale state."""
    seen = Observations()
    for _ in range(trials):
        await load.sell_for(random.uniform(0.2, 1.0))
        victim = random.choice(cluster.api)
        affected = [victim.name]
        with load.fault("pause", grace_s=RECOVERY_MAX_S, affected=affected, is_stopped=True):
            at_s = time.monotonic()
            victim.pause()
            try:
                seen.recoveries_s.append(await load.next_sale(at_s))
                await load.sell_for(load.fixtures.hold_ttl_s + random.uniform(0.5, 2.0))
            finally:
                victim.resume()
            await cluster.wait_until_ready()
        seen.trials += 1
        seen.broken += await audit_now(cluster.settings)
    return seen


async def kill_a_worker_or_all(
    cluster: Cluster, load: LoadGenerator, random: Random, trials: int
) -> Observations:
    """Kill one worker of a group that shares a port, or the parent of the group."""
    seen = Observations()
    for number in range(trials):
        await load.sell_for(random.uniform(0.2, 1.0))
        (group,) = cluster.api
        workers = psutil.Process(group.pid).children()
        await wait_for_request(load, random, {group.name})
        with load.fault("kill", grace_s=RECOVERY_MAX_S):
            at_s = time.monotonic()
            if number % 2 or not workers:
                gone = [group.pid, *(worker.pid for worker in workers)]
                group.kill()
            else:
                worker = random.choice(workers)
                gone = [worker.pid]
                worker.kill()
            await _until_all_workers_are_back(cluster, group, gone)
            await load.next_sale(time.monotonic())
            # Workers without their parent sell on for a moment, so the gap comes later.
            seen.recoveries_s.append(load.record.longest_gap_s(at_s))
        _note_most(seen, "restart_max_s", time.monotonic() - at_s)
        seen.trials += 1
        record_kill(seen, load, at_s, {group.name})
        seen.broken += await audit_now(cluster.settings)
    require_a_hit(seen)
    return seen


async def _until_all_workers_are_back(cluster: Cluster, group: Api, gone: Sequence[int]) -> None:
    """Wait until `gone` is replaced; a process just killed still counts as there."""
    deadline_s = time.monotonic() + _DONE_WITHIN_S
    while time.monotonic() < deadline_s:
        with contextlib.suppress(psutil.Error):
            workers = psutil.Process(group.pid).children()
            if len(workers) == 2 and not any(_runs(pid) for pid in gone):
                await cluster.wait_until_ready()
                return
        await asyncio.sleep(0.02)
    raise ProcessFailed(f"the workers of {group.name} did not restart: {group.log_tail()}")


def _runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


async def kill_roles(
    cluster: Cluster, load: LoadGenerator, random: Random, trials: int
) -> Observations:
    """Kill a sweeper or a relay; no buyer notices, and no work is left in the end."""
    seen = Observations()
    for _ in range(trials):
        await load.sell_for(random.uniform(0.5, 1.5))
        victim = random.choice([*cluster.sweepers, *cluster.relays])
        restarts = victim.restarts
        at_s = time.monotonic()
        victim.kill()
        seen.recoveries_s.append(await load.next_sale(at_s))
        await _until_started_again(victim, restarts)
        seen.trials += 1
        seen.kills += 1
        seen.broken += await audit_now(cluster.settings)
    await _until_done(cluster, seen)
    return seen


async def _until_started_again(victim: Process, restarts: int) -> None:
    deadline_s = time.monotonic() + _DONE_WITHIN_S
    while victim.restarts == restarts or not victim.is_running:
        if time.monotonic() > deadline_s:
            raise ProcessFailed(f"{victim.name} was not started again: {victim.log_tail()}")
        await asyncio.sleep(0.02)


async def _until_done(cluster: Cluster, seen: Observations) -> None:
    at_s = time.monotonic()
    while (left := await left_undone(cluster.settings))["holds"] + left["events"] > _AT_ANY_TIME:
        if time.monotonic() > at_s + _DONE_WITHIN_S:
            seen.broken.append(f"left undone: {left}")
            break
        await asyncio.sleep(0.1)
    seen.figures["done_again_after_s"] = time.monotonic() - at_s


# During a sale some events and lapsed holds are always pending.
_AT_ANY_TIME = 60


def _note_most(seen: Observations, name: str, figure: float) -> None:
    seen.figures[name] = max(figure, seen.figures.get(name, 0.0))


_PROXIED = Topology(is_proxied=True)
_ONE_EFFECT = "a retry under the same key has exactly one effect"
# So many requests that nearly every kill hits one.
_DENSE = WorkloadProfile(visits_per_s=40.0)
_MANY_SEATS, _MANY_PEOPLE = 9_000, 600
_BUSY = WorkloadProfile(pays=0.5, releases=0.35, top_ups=0.4)

SCENARIOS: tuple[AnyScenario, ...] = (
    Scenario(
        name="api_sigkill",
        component=Component.API,
        does="SIGKILL of one of two API processes during requests; the supervisor restarts it",
        expects=f"the other one sells on; {_ONE_EFFECT}",
        run=kill_at_random,
        trials=80,
        quick_trials=2,
        trial_s=2.3,
        round_trials=20,
        profile=_DENSE,
        seats=_MANY_SEATS,
        people=_MANY_PEOPLE,
        recovery_p99_max_s=RECOVERY_MAX_S,
    ),
    Scenario(
        name="api_sigkill_both",
        component=Component.API,
        does="SIGKILL of both API processes at once, during requests",
        expects=f"the supervisor restarts them; {_ONE_EFFECT}",
        run=kill_all,
        trials=10,
        trial_s=3.5,
        profile=_DENSE,
        seats=_MANY_SEATS,
        people=_MANY_PEOPLE,
        recovery_p99_max_s=RECOVERY_MAX_S,
    ),
    Scenario(
        name="api_sigkill_group",
        component=Component.API,
        does="SIGKILL of one of two workers that share a port, and of their parent, in turn, "
        "during requests",
        expects=f"the parent, or the supervisor, restarts them; {_ONE_EFFECT}",
        run=kill_a_worker_or_all,
        trials=10,
        quick_trials=2,
        trial_s=3.0,
        topology=Topology(api=1, settings={"workers": 2}),
        profile=_DENSE,
        seats=_MANY_SEATS,
        people=_MANY_PEOPLE,
        recovery_p99_max_s=RECOVERY_MAX_S,
    ),
    Scenario(
        name="api_kill_before_commit",
        component=Component.API,
        does="SIGKILL as a process sends the statement of a batch; PostgreSQL never receives it",
        expects=_ONE_EFFECT,
        run=killing_at(Moment.ASKED, ("hold", "pay", "release", "top_up")),
        trials=16,
        quick_trials=1,
        trial_s=2.8,
        topology=_PROXIED,
        profile=_BUSY,
        recovery_p99_max_s=RECOVERY_MAX_S,
    ),
    Scenario(
        name="api_kill_after_commit",
        component=Component.API,
        does="SIGKILL after PostgreSQL has committed a batch, before the process gets the response",
        expects=_ONE_EFFECT,
        run=killing_at(Moment.ANSWERED, ("hold", "pay", "release", "top_up")),
        trials=16,
        quick_trials=2,
        trial_s=2.8,
        topology=_PROXIED,
        profile=_BUSY,
        recovery_p99_max_s=RECOVERY_MAX_S,
    ),
    Scenario(
        name="api_kill_with_a_claim",
        component=Component.API,
        does="SIGKILL between the seat lock in Valkey and the commit, with the lock always on",
        expects=f"the claim expires soon; {_ONE_EFFECT}",
        run=kill_with_a_claim,
        trials=16,
        trial_s=2.8,
        topology=Topology(is_proxied=True, settings={"seat_lock": "always"}),
        people=1_500,
        recovery_p99_max_s=RECOVERY_MAX_S,
    ),
    Scenario(
        name="api_kill_before_seat_change",
        component=Component.API,
        does="SIGKILL after the commit, before the process publishes the seat changes",
        expects=f"the other processes find the change themselves; {_ONE_EFFECT}",
        run=kill_before_the_notice,
        trials=16,
        trial_s=2.8,
        topology=_PROXIED,
        recovery_p99_max_s=RECOVERY_MAX_S,
    ),
    Scenario(
        name="api_sigstop",
        component=Component.API,
        does="SIGSTOP of an API process for longer than a hold lives, then SIGCONT",
        expects="the other one sells on; stale state does no harm, except for a late hold whose "
        "buyer was refused elsewhere, and it lapses",
        run=pause_past_the_hold,
        trials=6,
        trial_s=6.0,
        hold_ttl_s=_HOLD_TTL_S,
        profile=WorkloadProfile(patience_s=2.0),
        excuses_late_holds=True,
        recovery_p99_max_s=RECOVERY_MAX_S,
    ),
    Scenario(
        name="roles_sigkill",
        component=Component.API,
        does="SIGKILL of a sweeper or a relay at a random moment",
        expects="no request fails; lapsed holds are closed and events delivered in the end",
        run=kill_roles,
        trials=40,
        quick_trials=2,
        trial_s=2.0,
        recovery_p99_max_s=RECOVERY_MAX_S,
    ),
)
