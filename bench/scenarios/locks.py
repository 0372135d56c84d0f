"""What each kind of lock costs: no lock, one lock per request, and the shop's.

Each kind has two scenarios. `…_uncontended`: each request wants another seat, as in `hold_accepted`.
`…_contended`: eight requests per seat, sent at about the same time, served by two processes.
"""

import random

from bench.environment.processes import APP, LOCK_PER_REQUEST
from bench.scenarios import http_requests
from bench.scenarios.holds import accepted, accepted_by_baseline
from bench.scenarios.scenario import (
    SEAT_TAKEN,
    SEED,
    BenchScenario,
    RequestSet,
    ScenarioContext,
)

REQUESTS_PER_SEAT = 8
_USERS = 4_000
# Of the requests of a scenario of accepted holds, so that a full run uses about a whole schedule.
_SEATS_SHARE = 6
# How far apart the seats of one moment lie: fewer seats than the client has connections.
_SPREAD_SEATS = 20


def contended(context: ScenarioContext) -> RequestSet:
    """All requests want the best seats; most find them taken."""
    rng = random.Random(SEED)  # noqa: S311 — a load, not a secret
    schedule = context.first_schedule
    seats = schedule.seat_ids[: max(1, context.sizes.holds // _SEATS_SHARE)]
    users = context.dataset.tokens[:_USERS]
    requests = []
    for at in range(REQUESTS_PER_SEAT * len(seats)):
        rank = at // REQUESTS_PER_SEAT + int(rng.expovariate(1 / _SPREAD_SEATS))
        seat_id, token = seats[rank % len(seats)], users[at % len(users)]
        requests.append(
            http_requests.hold(schedule.schedule_id, token, f"contended-{at}", [seat_id])
        )
    return RequestSet(requests, accepted(context).warmup, len(requests))


def _per_request(name: str, locks: str, about: str) -> tuple[BenchScenario, BenchScenario]:
    env, oversells = {"BENCH_LOCKS": locks}, locks == "none"
    uncontended = BenchScenario(
        f"{name}_uncontended",
        accepted_by_baseline,
        server=LOCK_PER_REQUEST,
        env=env,
        may_oversell=oversells,
        about=about,
    )
    return uncontended, _contended(name, LOCK_PER_REQUEST, env, about, may_oversell=oversells)


def _of_shop(
    name: str, seat_lock: str, seat_cache: str, about: str
) -> tuple[BenchScenario, BenchScenario]:
    env = {"BOXOFFICE_SEAT_LOCK": seat_lock, "BOXOFFICE_SEAT_CACHE": seat_cache}
    uncontended = BenchScenario(f"{name}_uncontended", accepted, env=env, about=about)
    return uncontended, _contended(name, APP, env, about)


def _contended(
    name: str,
    server: tuple[str, ...],
    env: dict[str, str],
    about: str,
    *,
    may_oversell: bool = False,
) -> BenchScenario:
    return BenchScenario(
        f"{name}_contended",
        contended,
        frozenset({"201", "409"}),
        SEAT_TAKEN,
        server=server,
        workers=2,
        env=env,
        may_oversell=may_oversell,
        about=about,
    )


SCENARIOS: tuple[BenchScenario, ...] = (
    *_per_request("lock_none", "none", "read, check, write: sells seats twice"),
    *_per_request("lock_postgres_per_request", "postgres", "SELECT … FOR UPDATE"),
    *_per_request("lock_valkey_per_request", "valkey", "SET NX per seat, compare and delete"),
    *_per_request("lock_both_per_request", "valkey,postgres", "both, as lock_per_request"),
    *_of_shop("lock_group_commit", "off", "false", "PostgreSQL alone, one batch at a time"),
    *_of_shop("lock_valkey_per_batch", "always", "false", "and one claim in Valkey per batch"),
    *_of_shop("lock_cache", "auto", "true", "and the seat cache: the defaults"),
)
