"""PostgreSQL with foreign locks, failing transactions and no free connections."""

import asyncio
import time
from random import Random

import asyncpg

from faults.cluster.cluster import Cluster, Topology
from faults.interference.external_clients import SQL, ConnectionHog, external_connection
from faults.scenario import AnyScenario, Observations
from faults.scenarios.postgres.server import BACK_WITHIN_S, Proof, Strike, note_largest, scenario
from faults.workload.calls import ApiCall
from faults.workload.load import LoadGenerator
from faults.workload.plan import WorkloadProfile

_LOCKED_MIN_S, _LOCKED_MAX_S = 1.0, 4.0
_DEADLOCKED_MAX_S = 15.0
_TAKEN_S = 3.0
# A request is refused after waiting a second for a connection, so it happens within the shortest.
_BUSY_MIN_S, _BUSY_MAX_S = 2.0, 4.0
_POOL_MAX = 4
_ASKERS = 60

DEADLOCKS = Proof("deadlocks_count", "40P01")
SERIALIZATION_FAILURES = Proof("serialization_failures_count", "40001")
STATEMENT_TIMEOUTS = Proof("statement_timeouts_count", "57014")
LOCK_TIMEOUTS = Proof("lock_timeouts_count", "55P03")


async def hold_locks(
    cluster: Cluster, load: LoadGenerator, random: Random, seen: Observations
) -> float:
    """Hold the locks of all seats, of half of the wallets, and of the events, in turn."""
    people = [one.user_id for one in load.fixtures.people[::2]]
    kinds = (
        ("lock_seats", (load.fixtures.schedule_id,)),
        ("lock_wallets", (people,)),
        ("lock_outbox", ()),
    )
    statement, arguments = kinds[seen.trials % len(kinds)]
    log_bytes = cluster.postgres.log_bytes()
    async with external_connection(cluster.settings.database.database_url) as one:
        async with one.transaction():
            await one.fetch(SQL[statement], *arguments)
            locked_s = time.monotonic()
            await load.sell_for(random.uniform(_LOCKED_MIN_S, _LOCKED_MAX_S))
            unlocked_s = time.monotonic()
        if statement == "lock_seats":
            _check_nothing_was_held(load, seen, locked_s, unlocked_s)
        else:
            LOCK_TIMEOUTS.check(cluster, seen, log_bytes)
        return unlocked_s


def _check_nothing_was_held(
    load: LoadGenerator, seen: Observations, locked_s: float, unlocked_s: float
) -> None:
    held = sum(one.begin_s >= locked_s and one.end_s < unlocked_s for one in load.record.holds)
    if held:
        seen.broken.append(f"{held} holds of seats that a external_connection had locked")


async def exhaust_pools(
    cluster: Cluster, load: LoadGenerator, random: Random, seen: Observations
) -> float:
    """Make every pooled connection wait for a lock while more requests arrive."""
    before = len(load.record.attempts)
    async with (
        external_connection(cluster.settings.database.database_url) as one,
        external_connection(cluster.settings.database.database_url) as watcher,
    ):
        async with one.transaction():
            await one.execute(SQL["lock_reservations_whole"])
            askers = [
                asyncio.create_task(
                    load.call(ApiCall("mine", "GET", "/v1/me/reservations", person))
                )
                for person in random.sample(range(len(load.fixtures.people)), _ASKERS)
            ]
            waiting = await _most_waiting(watcher, load, random.uniform(_BUSY_MIN_S, _BUSY_MAX_S))
        unlocked_s = time.monotonic()
    await asyncio.gather(*askers)
    _note_exhaustion(cluster, load, seen, waiting, before)
    return unlocked_s


async def _most_waiting(
    watcher: "asyncpg.Connection[asyncpg.Record]", load: LoadGenerator, seconds: float
) -> int:
    """Return the maximum number of sessions that waited for a lock in that time."""
    until_s, most = time.monotonic() + seconds, 0
    while time.monotonic() < until_s:
        await load.sell_for(0.05)
        [scenario] = await watcher.fetch(SQL["sessions_waiting"])
        most = max(most, scenario["sessions"])
    return most


def _note_exhaustion(
    cluster: Cluster, load: LoadGenerator, seen: Observations, waiting: int, before: int
) -> None:
    refused = sum(one.status == 503 for one in load.record.attempts[before:])
    note_largest(seen, "connections_waiting_count", waiting)
    seen.counts["refused_503_count"] += refused
    if waiting < (wanted := len(cluster.api) * _POOL_MAX):
        seen.broken.append(f"only {waiting} of {wanted} connections waited")
    if not refused:
        seen.broken.append("no request was refused for lack of a connection")


async def make_deadlocks(
    cluster: Cluster, load: LoadGenerator, random: Random, _seen: Observations
) -> float:
    """Lock against the product's order, with the product as the victim of the deadlock."""
    people = [one.user_id for one in load.fixtures.people]
    async with external_connection(cluster.settings.database.database_url) as one:
        await _set_server(one, "detect_deadlocks_soon")
        try:
            await one.execute(SQL["report_deadlocks_late"])
            log_bytes = cluster.postgres.log_bytes()
            begin_s = time.monotonic()
            until_s = begin_s + random.uniform(_LOCKED_MIN_S, _LOCKED_MAX_S)
            latest_s = begin_s + _DEADLOCKED_MAX_S
            while time.monotonic() < until_s or (
                time.monotonic() < latest_s and not DEADLOCKS.count(cluster, log_bytes)
            ):
                async with one.transaction():
                    await one.fetch(SQL["lock_wallets"], people)
                    await asyncio.sleep(0.05)
                    await one.fetch(SQL["lock_reservations"], load.fixtures.schedule_id)
        finally:
            await _set_server(one, "reset_deadlock_timeout")
    return time.monotonic()


async def _set_server(one: "asyncpg.Connection[asyncpg.Record]", name: str) -> None:
    await one.execute(SQL[name])
    await one.fetch(SQL["reload"])


def tripping(name: str) -> Strike:
    """Return a fault that makes statements fail by a trigger, and removes it again."""

    async def strike(
        cluster: Cluster, load: LoadGenerator, random: Random, _seen: Observations
    ) -> float:
        async with external_connection(cluster.settings.database.database_url) as one:
            try:
                await one.execute(SQL[name])
                await load.sell_for(random.uniform(_LOCKED_MIN_S, _LOCKED_MAX_S))
            finally:
                await one.execute(SQL["stop_failing"])
        return time.monotonic()

    return strike


async def take_connections(
    cluster: Cluster, load: LoadGenerator, _random: Random, seen: Observations
) -> float:
    """Take every connection, the product's too, and give them back."""
    hog = ConnectionHog(cluster.settings.database.database_url)
    try:
        left = await hog.take_all(within_s=BACK_WITHIN_S)
        note_largest(seen, "sessions_left_to_the_shop_count", left)
        if left:
            seen.broken.append(f"the product kept {left} sessions")
        await load.sell_for(_TAKEN_S)
    finally:
        await hog.let_go()
    return time.monotonic()


SCENARIOS: tuple[AnyScenario, ...] = (
    scenario(
        "pg_locks_held",
        "a foreign session locks all seats, half of the wallets, and the events, in turn, for 1 "
        "to 4 s",
        "locked seats are refused as taken or with 503; other locks end in the lock timeout and "
        "503 with Retry-After; all else goes on",
        hold_locks,
        trials=9,
        trial_s=4.0,
        round_trials=9,
    ),
    scenario(
        "pg_deadlock",
        "a foreign session locks against the product's order, and the product is the victim of "
        "the deadlock",
        "retried, or 503 with Retry-After",
        make_deadlocks,
        proof=DEADLOCKS,
        profile=WorkloadProfile(visits_per_s=40.0, pays=0.8, releases=0.1),
        trials=5,
        trial_s=4.5,
        round_trials=5,
    ),
    scenario(
        "pg_serialization_failure",
        "every third batch fails with serialization_failure at its last statement",
        "retried, or 503 with Retry-After",
        tripping("fail_every_third_batch"),
        proof=SERIALIZATION_FAILURES,
        trials=5,
        trial_s=4.0,
        round_trials=5,
    ),
    scenario(
        "pg_statement_timeout",
        "every tenth batch hangs until the statement timeout of 500 ms",
        "retried, or 503 with Retry-After",
        tripping("stall_every_tenth_batch"),
        proof=STATEMENT_TIMEOUTS,
        trials=5,
        trial_s=4.0,
        round_trials=5,
        topology=Topology(settings={"statement_timeout_ms": 500, "lock_timeout_ms": 300}),
    ),
    scenario(
        "pg_connections_taken",
        "a foreign session takes every connection of the server, the product's too",
        "503 with Retry-After",
        take_connections,
        trials=5,
        trial_s=8.0,
    ),
    scenario(
        "pg_pool_exhausted",
        "a foreign session locks all reservations for 2 to 4 s, while every pooled connection "
        "waits",
        "requests without a connection within a second get 503 with Retry-After; after the lock "
        "the sale goes on",
        exhaust_pools,
        trials=5,
        trial_s=5.0,
        # Only the API processes have sessions, so that all can be counted.
        topology=Topology(
            sweepers=0,
            relays=0,
            settings={
                "db_pool_max": _POOL_MAX,
                "db_acquire_timeout_ms": 1_000,
                "lock_timeout_ms": 2_000,
            },
        ),
    ),
)
