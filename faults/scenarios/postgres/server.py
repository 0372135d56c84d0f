"""Kills, stops and cut connections of PostgreSQL, the source of truth."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass
from random import Random
from typing import Any

import asyncpg
import psutil

from faults.checks.database import audit_now
from faults.cluster.cluster import Cluster, Topology, send
from faults.cluster.proxy import Moment, Trap
from faults.interference.external_clients import (
    SQL,
    accepts_connections,
    external_connection,
    wait_for,
)
from faults.interference.in_flight import record_kill, require_a_hit, wait_for_request
from faults.scenario import AnyScenario, Component, Observations, Play, Scenario
from faults.workload.load import LoadGenerator
from faults.workload.plan import WorkloadProfile

RECOVERY_MAX_S = 5.0
_SPRUNG_WITHIN_S = 20.0
BACK_WITHIN_S = 60.0
# The client gives a statement up after 6 s (BOXOFFICE_STATEMENT_TIMEOUT_MS and one second).
_STOPPED_MIN_S, _STOPPED_MAX_S = 1.0, 9.0
# The product gives a request up after 12 s (BOXOFFICE_REQUEST_TIMEOUT_MS).
_LATE_MAX_S = 13.0
_WRITTEN_WITHIN_S = 2.0
_DECISIONS = (
    b"reservations_hold_v",
    b"payments_pay_v",
    b"reservations_release_v",
    b"payments_charge",
)

# Injects one fault and returns the monotonic second from which recovery counts.
Strike = Callable[[Cluster, LoadGenerator, Random, Observations], Awaitable[float]]


@dataclass(frozen=True)
class Proof:
    """The SQLSTATE that PostgreSQL must have logged in a trial, and the name of its count.

    Codes: https://www.postgresql.org/docs/18/errcodes-appendix.html
    """

    figure: str
    sqlstate: str

    def count(self, cluster: Cluster, log_bytes: int) -> int:
        """Return the count since that position of the log."""
        return cluster.postgres.errors_since(log_bytes, self.sqlstate)

    def check(self, cluster: Cluster, seen: Observations, log_bytes: int) -> None:
        """Add the count since that position of the log; zero fails the scenario."""
        count = self.count(cluster, log_bytes)
        seen.counts[self.figure] += count
        if not count:
            seen.broken.append(f"a trial made no error {self.sqlstate}")


def striking(
    strike: Strike, *, excuses: bool = True, kills: bool = False, proof: Proof | None = None
) -> Play:
    """Return the function of a scenario: a fault, the next sale, the audit, repeatedly.

    `excuses`: clients may notice the fault. `kills`: it is a SIGKILL. `proof`: what shows in every
    trial that the fault happened.
    """

    async def run(
        cluster: Cluster, load: LoadGenerator, random: Random, trials: int
    ) -> Observations:
        seen = Observations()
        for _ in range(trials):
            await load.sell_for(random.uniform(0.3, 1.0))
            excused = load.fault("PostgreSQL", grace_s=RECOVERY_MAX_S)
            log_bytes = cluster.postgres.log_bytes()
            with excused if excuses else nullcontext():
                at_s = await strike(cluster, load, random, seen)
                await wait_for(lambda: _answers(cluster), BACK_WITHIN_S, "PostgreSQL is not back")
                back_s = time.monotonic()
                # A sale by processes that outlive the first one for a moment is no recovery.
                seen.recoveries_s.append(back_s - at_s + await load.next_sale(back_s))
            seen.trials += 1
            if kills:
                record_kill(seen, load, at_s, _names(cluster))
            if proof is not None:
                proof.check(cluster, seen, log_bytes)
            seen.broken += await audit_now(cluster.settings)
        require_a_hit(seen)
        return seen

    return run


async def _answers(cluster: Cluster) -> bool:
    return await accepts_connections(cluster.settings.database.database_url)


async def _sessions(cluster: Cluster) -> list[int]:
    """Return the backends of the product."""
    async with external_connection(cluster.settings.database.database_url) as one:
        return [scenario["pid"] for scenario in await one.fetch(SQL["sessions_of_product"])]


# -- Kills and stops -----------------------------------------------------------------------------


def _names(cluster: Cluster) -> set[str]:
    return {one.name for one in cluster.api}


async def kill_postmaster(
    cluster: Cluster, load: LoadGenerator, random: Random, _seen: Observations
) -> float:
    """Kill the postmaster; its children notice, and the supervisor restarts it."""
    await wait_for_request(load, random, _names(cluster))
    at_s = time.monotonic()
    cluster.postgres.kill()
    return at_s


async def kill_one(
    cluster: Cluster, load: LoadGenerator, random: Random, _seen: Observations
) -> float:
    """Kill one backend of the product; the server then ends all others and recovers."""
    sessions = await _sessions(cluster)
    await wait_for_request(load, random, _names(cluster))
    at_s = time.monotonic()
    send([random.choice(sessions)], signal.SIGKILL)
    await wait_for(lambda: _have_ended(sessions), BACK_WITHIN_S, "the server did not recover")
    return at_s


async def _have_ended(pids: list[int]) -> bool:
    return not any(psutil.pid_exists(pid) for pid in pids)


async def kill_all(
    cluster: Cluster, load: LoadGenerator, random: Random, _seen: Observations
) -> float:
    """Kill every process of the server, the postmaster first."""
    victims = cluster.postgres.pids()
    await wait_for_request(load, random, _names(cluster))
    at_s = time.monotonic()
    send(victims, signal.SIGKILL)
    return at_s


async def stop_all(
    cluster: Cluster, load: LoadGenerator, random: Random, _seen: Observations
) -> float:
    """Pause every process of the server, at times for longer than any timeout."""
    cluster.postgres.pause()
    await load.sell_for(random.uniform(_STOPPED_MIN_S, _STOPPED_MAX_S))
    cluster.postgres.resume()
    return time.monotonic()


async def stop_one(
    cluster: Cluster, load: LoadGenerator, random: Random, trials: int
) -> Observations:
    """Pause one backend; recovery is the first sale while it is paused."""
    seen = Observations()
    for _ in range(trials):
        await load.sell_for(random.uniform(0.3, 1.0))
        seen.recoveries_s.append(await _stop_one(cluster, load, random, seen))
        seen.trials += 1
        seen.broken += await audit_now(cluster.settings)
    return seen


async def _stop_one(
    cluster: Cluster, load: LoadGenerator, random: Random, seen: Observations
) -> float:
    victims = [random.choice(await _sessions(cluster))]
    stopped_s = random.uniform(_STOPPED_MIN_S, _STOPPED_MAX_S)
    at_s = time.monotonic()
    send(victims, signal.SIGSTOP)
    try:
        first_s = await load.next_sale(at_s, within_s=stopped_s)
        stands_still = first_s >= stopped_s and not await _writes_for_a_stranger(cluster)
        await load.sell_for(max(0.0, stopped_s - first_s))
    finally:
        send(victims, signal.SIGCONT)
    if stands_still:
        return await _recover_from_a_standstill(load, seen, at_s)
    if first_s >= stopped_s:
        seen.broken.append("nothing was sold, and PostgreSQL wrote for a external_connection")
    return first_s


async def _recover_from_a_standstill(load: LoadGenerator, seen: Observations, at_s: float) -> float:
    """Wait for the next sale after a time without any commit, which is PostgreSQL's."""
    back_s = time.monotonic()
    seen.counts["standstills_count"] += 1
    with load.fault("PostgreSQL", grace_s=RECOVERY_MAX_S, since_s=at_s):
        return await load.next_sale(back_s)


async def _writes_for_a_stranger(cluster: Cluster) -> bool:
    """Say whether a foreign session can commit."""
    try:
        async with asyncio.timeout(_WRITTEN_WITHIN_S):
            one = await asyncpg.connect(cluster.settings.database.database_url)
            try:
                await one.fetch(SQL["commit_a_message"])
            finally:
                # A graceful close would wait for the server.
                one.terminate()
    except TimeoutError:
        return False
    return True


# -- Proxies ---------------------------------------------------------------------------------------


def cutting(moment: Moment) -> Strike:
    """Return a fault that cuts a connection at one moment of a decision, unnoticed by clients."""

    async def strike(
        cluster: Cluster, _load: LoadGenerator, random: Random, seen: Observations
    ) -> float:
        line = random.choice(cluster.api).proxies.postgres
        trap = line.set_trap(Trap(random.choice(_DECISIONS), moment))
        try:
            async with asyncio.timeout(_SPRUNG_WITHIN_S):
                await trap.sprung.wait()
        except TimeoutError:
            seen.broken.append("no statement to cut")
        finally:
            line.drop_traps()
        return time.monotonic()

    return strike


def note_largest(seen: Observations, name: str, figure: float) -> None:
    """Keep the largest value of several trials."""
    seen.figures[name] = max(figure, seen.figures.get(name, 0.0))


# -- The table -----------------------------------------------------------------------------------


def scenario(
    name: str,
    does: str,
    expects: str,
    strike: Strike,
    *,
    excuses: bool = True,
    kills: bool = False,
    proof: Proof | None = None,
    **more: Any,
) -> Scenario:
    """Return a scenario with a fault of PostgreSQL; `more` are fields of `Scenario`."""
    return Scenario(
        name=name,
        component=Component.POSTGRES,
        does=does,
        expects=expects,
        run=striking(strike, excuses=excuses, kills=kills, proof=proof),
        recovery_p99_max_s=RECOVERY_MAX_S,
        **more,
    )


_ONE_EFFECT = "503 with Retry-After until it is back; one effect under each key"
_UNNOTICED = "no client notices: the outcome is looked up"
_PROXIED = Topology(is_proxied=True)
# So many requests that nearly every kill hits one.
_CROWD: dict[str, Any] = {
    "profile": WorkloadProfile(visits_per_s=40.0),
    "seats": 9_000,
    "people": 600,
}

SCENARIOS: tuple[AnyScenario, ...] = (
    scenario(
        "pg_postmaster_sigkill",
        "SIGKILL of the postmaster; the supervisor restarts it",
        _ONE_EFFECT,
        kill_postmaster,
        kills=True,
        trials=30,
        trial_s=2.0,
        round_trials=15,
        **_CROWD,
    ),
    scenario(
        "pg_backend_sigkill",
        "SIGKILL of one backend; PostgreSQL ends all others and recovers",
        _ONE_EFFECT,
        kill_one,
        kills=True,
        trials=30,
        trial_s=2.0,
        round_trials=15,
        **_CROWD,
    ),
    scenario(
        "pg_all_sigkill",
        "SIGKILL of every process of PostgreSQL; the supervisor restarts it",
        _ONE_EFFECT,
        kill_all,
        kills=True,
        trials=8,
        trial_s=2.5,
        round_trials=8,
        **_CROWD,
    ),
    scenario(
        "pg_sigstop",
        "SIGSTOP of every process of PostgreSQL for 1 to 9 s, then SIGCONT",
        "503 with Retry-After while it is paused; nothing in flight is lost or done twice",
        stop_all,
        trials=6,
        trial_s=7.0,
        round_trials=6,
    ),
    Scenario(
        name="pg_backend_sigstop",
        component=Component.POSTGRES,
        does="SIGSTOP of one backend for 1 to 9 s, then SIGCONT",
        expects="the sale goes on; its own statements are answered late, and nothing fails. If it "
        "holds a lock of the write-ahead log, no session can write: 503 with Retry-After "
        "until it is resumed",
        run=stop_one,
        profile=WorkloadProfile(patience_s=_LATE_MAX_S),
        trials=6,
        trial_s=7.0,
        round_trials=6,
        recovery_p99_max_s=RECOVERY_MAX_S,
    ),
    scenario(
        "pg_answer_cut",
        "the connection is cut after the commit, before the response",
        _UNNOTICED,
        cutting(Moment.ANSWERED),
        trials=30,
        trial_s=1.2,
        topology=_PROXIED,
        excuses=False,
    ),
    scenario(
        "pg_statement_cut",
        "the connection is cut in the middle of a statement",
        _UNNOTICED,
        cutting(Moment.HALF_ASKED),
        trials=20,
        trial_s=1.2,
        topology=_PROXIED,
        excuses=False,
    ),
    scenario(
        "pg_begun_cut",
        "the connection is cut when PostgreSQL has the statement",
        _UNNOTICED,
        cutting(Moment.DELIVERED),
        trials=30,
        trial_s=1.2,
        topology=_PROXIED,
        excuses=False,
    ),
)
