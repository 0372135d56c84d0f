"""What each kind of lock costs: the same holds with none, with one per request, and with ours.

Each kind has two rows. `…_calm`: everybody wants another seat, as in `hold_accepted`. `…_rush`: all
want the same few seats at the same time, eight times as often as there are seats, and two processes
serve them.
"""

import random

from bench.environment.processes import APP, USUAL
from bench.scenarios import http_requests
from bench.scenarios.shop import SEATS_TAKEN, SEED, Row, Scene, Work, accepted, usual_accepted

ASKED = 8
_PEOPLE = 4_000
# Of the requests of a row of accepted holds, so that a full run is about a whole schedule.
_SEATS_SHARE = 6
# How far the wishes of one moment lie apart: fewer seats than the client has connections.
_SPREAD_SEATS = 20


def rush(scene: Scene) -> Work:
    """Everybody wants the best seats that may be left, and most come too late."""
    chance = random.Random(SEED)  # noqa: S311 — a load, not a secret
    seats = scene.full.seat_ids[: max(1, scene.sizes.holds // _SEATS_SHARE)]
    people = scene.hall.tokens[:_PEOPLE]
    requests = []
    for at in range(ASKED * len(seats)):
        rank = at // ASKED + int(chance.expovariate(1 / _SPREAD_SEATS))
        seat_id, token = seats[rank % len(seats)], people[at % len(people)]
        requests.append(http_requests.hold(scene.full.schedule_id, token, f"rush-{at}", [seat_id]))
    return Work(requests, accepted(scene).warmup, len(requests))


def _usual(name: str, locks: str, about: str) -> tuple[Row, Row]:
    env, oversells = {"USUAL_LOCKS": locks}, locks == "none"
    return (
        Row(
            f"{name}_calm",
            usual_accepted,
            server=USUAL,
            env=env,
            may_oversell=oversells,
            about=about,
        ),
        _rush(name, USUAL, env, about, may_oversell=oversells),
    )


def _ours(name: str, seat_lock: str, seat_cache: str, about: str) -> tuple[Row, Row]:
    env = {"BOXOFFICE_SEAT_LOCK": seat_lock, "BOXOFFICE_SEAT_CACHE": seat_cache}
    return (
        Row(f"{name}_calm", accepted, env=env, about=about),
        _rush(name, APP, env, about),
    )


def _rush(
    name: str,
    server: tuple[str, ...],
    env: dict[str, str],
    about: str,
    *,
    may_oversell: bool = False,
) -> Row:
    return Row(
        f"{name}_rush",
        rush,
        frozenset({"201", "409"}),
        SEATS_TAKEN,
        server=server,
        workers=2,
        env=env,
        may_oversell=may_oversell,
        about=about,
    )


ROWS: tuple[Row, ...] = (
    *_usual("lock_none", "none", "read, check, write: sells seats twice"),
    *_usual("lock_postgres_per_request", "postgres", "SELECT … FOR UPDATE"),
    *_usual("lock_valkey_per_request", "valkey", "SET NX for each seat, compare and delete"),
    *_usual("lock_both_per_request", "valkey,postgres", "both: the usual design"),
    *_ours("lock_group_commit", "off", "false", "PostgreSQL alone, a batch at a time"),
    *_ours("lock_valkey_per_batch", "always", "false", "and one claim in Valkey per batch"),
    *_ours("lock_cache", "auto", "true", "and what the worker knows: the defaults"),
)
