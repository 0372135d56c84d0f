"""What each kind of lock costs: the same holds with none, with one per request, and with ours.

Each kind has two scenarios. `…_uncontended`: everybody wants another seat, as in `hold_accepted`. `…_contended`: all
want the same few seats at the same time, eight times as often as there are seats, and two processes
serve them.
"""

import random

from bench.environment.processes import APP, LOCK_PER_REQUEST
from bench.scenarios import http_requests
from bench.scenarios.shop import (
    SEATS_TAKEN,
    SEED,
    BenchScenario,
    RequestSet,
    ScenarioContext,
    accepted,
    lock_per_request_accepted,
)

REQUESTS_PER_SEAT = 8
_PEOPLE = 4_000
# Of the requests of a scenario of accepted holds, so that a full run is about a whole schedule.
_SEATS_SHARE = 6
# How far the wishes of one moment lie apart: fewer seats than the client has connections.
_SPREAD_SEATS = 20


def contended(context: ScenarioContext) -> RequestSet:
    """Everybody wants the best seats that may be left, and most come too late."""
    chance = random.Random(SEED)  # noqa: S311 — a load, not a secret
    seats = context.full.seat_ids[: max(1, context.sizes.holds // _SEATS_SHARE)]
    people = context.dataset.tokens[:_PEOPLE]
    requests = []
    for at in range(REQUESTS_PER_SEAT * len(seats)):
        rank = at // REQUESTS_PER_SEAT + int(chance.expovariate(1 / _SPREAD_SEATS))
        seat_id, token = seats[rank % len(seats)], people[at % len(people)]
        requests.append(
            http_requests.hold(context.full.schedule_id, token, f"contended-{at}", [seat_id])
        )
    return RequestSet(requests, accepted(context).warmup, len(requests))


def _per_request(name: str, locks: str, about: str) -> tuple[BenchScenario, BenchScenario]:
    env, oversells = {"BENCH_LOCKS": locks}, locks == "none"
    return (
        BenchScenario(
            f"{name}_uncontended",
            lock_per_request_accepted,
            server=LOCK_PER_REQUEST,
            env=env,
            may_oversell=oversells,
            about=about,
        ),
        _contended(name, LOCK_PER_REQUEST, env, about, may_oversell=oversells),
    )


def _ours(
    name: str, seat_lock: str, seat_cache: str, about: str
) -> tuple[BenchScenario, BenchScenario]:
    env = {"BOXOFFICE_SEAT_LOCK": seat_lock, "BOXOFFICE_SEAT_CACHE": seat_cache}
    return (
        BenchScenario(f"{name}_uncontended", accepted, env=env, about=about),
        _contended(name, APP, env, about),
    )


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
        SEATS_TAKEN,
        server=server,
        workers=2,
        env=env,
        may_oversell=may_oversell,
        about=about,
    )


SCENARIOS: tuple[BenchScenario, ...] = (
    *_per_request("lock_none", "none", "read, check, write: sells seats twice"),
    *_per_request("lock_postgres_per_request", "postgres", "SELECT … FOR UPDATE"),
    *_per_request("lock_valkey_per_request", "valkey", "SET NX for each seat, compare and delete"),
    *_per_request("lock_both_per_request", "valkey,postgres", "both: the lock_per_request design"),
    *_ours("lock_group_commit", "off", "false", "PostgreSQL alone, a batch at a time"),
    *_ours("lock_valkey_per_batch", "always", "false", "and one claim in Valkey per batch"),
    *_ours("lock_cache", "auto", "true", "and what the worker knows: the defaults"),
)
