"""The scenarios whose measurements are the points of the curves."""

import time
from collections.abc import Sequence
from functools import partial

import msgspec

from bench.client import load
from bench.environment.environment import DatasetPlan
from bench.scenarios import holds, http_requests, streams, waiting_room
from bench.scenarios.scenario import LARGE, BenchScenario, RequestSet, ScenarioContext, Sizes

CONNECTIONS = 64
HOLDS_PER_S = 200.0
# A client polls at most this often: a third of the grace of a call (`waiting_room/rules.py`).
POLL_EVERY_S = 20.0
_ADMITTED_TIMEOUT_S = 20.0
_PAUSE_S = 0.2
_SEATS = 20_000


def batches(connections: int) -> BenchScenario:
    """Holds from so many connections: the batches are about half as large."""
    return BenchScenario(f"batch_{connections}", holds.accepted, connections=connections)


def workers(count: int, connections: int) -> BenchScenario:
    """Holds by so many workers, from so many connections in all."""
    name = f"workers_{count}_{connections}"
    return BenchScenario(name, holds.accepted, workers=count, connections=connections)


def seats(count: int) -> BenchScenario:
    """Holds in a schedule of so many seats."""
    return BenchScenario(f"seats_{count}", holds.accepted, seats=count)


def watchers(count: int) -> BenchScenario:
    """Holds at a steady rate while so many clients read the event stream of the seats."""
    return BenchScenario(
        f"watchers_{count}",
        streams.steady_holds,
        seats=LARGE,
        env=streams.ENV,
        has_stream_readers=bool(count),
        stream_readers=count,
    )


def people_waiting(count: int, most: int, sizes: Sizes) -> BenchScenario:
    """Holds with passes at a steady rate while `count` people wait and poll; `most` have accounts."""
    buyers = _buyers(sizes)
    return BenchScenario(
        f"waiting_{count}",
        partial(_holds_and_polls, count),
        frozenset({"200", "201"}),
        env=waiting_room.ENV,
        has_waiting_room=True,
        inside_max=buyers,
        dataset=lambda _: DatasetPlan(_SEATS, 1, buyers + most, balance_minor=0),
    )


class _QueuePosition(msgspec.Struct):
    queue_pass: str = ""


def _buyers(sizes: Sizes) -> int:
    return sizes.warmup + int(HOLDS_PER_S * sizes.open_s)


def _holds_and_polls(people: int, context: ScenarioContext) -> RequestSet:
    """Admit the buyers, let the people join, and spread their polls between the holds."""
    schedule, tokens, warmup = context.first_schedule, context.dataset.tokens, context.sizes.warmup
    buyers = tokens[: _buyers(context.sizes)]
    passes = _passes(context, waiting_room.join(context, buyers))
    holds_ = [
        http_requests.hold(schedule.schedule_id, token, f"hold-{at}", [seat_id], queue_pass)
        for at, (token, seat_id, queue_pass) in enumerate(
            zip(buyers, schedule.seat_ids, passes, strict=False)
        )
    ]
    polls: list[bytes] = []
    if people:
        waiting = tokens[len(buyers) : len(buyers) + people]
        polls = _polls(context, waiting_room.join(context, waiting))
    measured = spread(holds_[warmup:], polls, people / POLL_EVERY_S / HOLDS_PER_S)
    rate_per_s = HOLDS_PER_S + people / POLL_EVERY_S
    return RequestSet(measured, holds_[:warmup], len(measured), rate_per_s)


def spread(holds_: Sequence[bytes], polls: Sequence[bytes], polls_per_hold: float) -> list[bytes]:
    """Return the holds with so many polls after each, on average; polls repeat when they run out."""
    mixed: list[bytes] = []
    sent = 0
    for at, one in enumerate(holds_, start=1):
        due = int(at * polls_per_hold)
        mixed += [one, *(polls[number % len(polls)] for number in range(sent, due))]
        sent = due
    return mixed


def _polls(context: ScenarioContext, tickets: Sequence[str]) -> list[bytes]:
    schedule_id = context.first_schedule.schedule_id
    return [http_requests.queue_position(schedule_id, ticket) for ticket in tickets]


def _passes(context: ScenarioContext, tickets: Sequence[str]) -> list[str]:
    """Poll until each ticket has its pass; raise `LoadFailed` after 20 s."""
    polls = _polls(context, tickets)
    until = time.monotonic() + _ADMITTED_TIMEOUT_S
    while time.monotonic() < until:
        bodies = load.send_all(context.server.port, polls, repeats=True)
        passes = [msgspec.json.decode(body, type=_QueuePosition).queue_pass for body in bodies]
        if all(passes):
            return passes
        time.sleep(_PAUSE_S)
    raise load.LoadFailed("the waiting room did not admit the buyers")
