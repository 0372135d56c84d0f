"""The scenarios of the benchmark: who sends what to whom, and what must have happened before."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from bench.client import load
from bench.environment.environment import Dataset, DatasetPlan, SeededSchedule
from bench.environment.processes import APP, BASELINE, LOCK_PER_REQUEST, Server
from bench.scenarios import http_requests

_WARMUP_SHARE = 10
_WARMUP_MIN = 400
# Rows that cost little get more requests, so that they are measured for about as long as the others.
_CHEAP_FACTOR = 4
_BASELINE_FACTOR = 10
REFUSED = 3
SEED = 88
SEED_RATE_PER_S = 88.0
# Seats that are sold each second while people watch, and for how long.
_WATCHED_RATE_PER_S = 200.0
_WATCHED_S = 10.0
SMALL, LARGE, HUGE = 1_000, 60_000, 1_000_000
_CROWD = 1_000
_LINE_WITHIN_S = 20.0
_PAIR = 2
# Of scenarios of 25 seats: one of each scenario stays alone, and what is left near the end is not measured.
_PAIRS_PER_SCHEDULE = 450


@dataclass(frozen=True)
class Sizes:
    """How much of everything: `holds` is the number of requests of a scenario of accepted holds."""

    holds: int
    open_s: float
    huge: bool
    stream_readers: int = 5_000

    @property
    def warmup(self) -> int:
        """Requests that are sent first and not measured: plans and caches come to their lock_per_request state."""
        return max(min(_WARMUP_MIN, self.holds), self.holds // _WARMUP_SHARE)

    @property
    def people(self) -> int:
        """Somebody else for every accepted hold, its warm-up included, and a crowd that fills halls."""
        return self.holds + self.warmup + 2 * _CROWD

    def dataset(self, seats: int) -> DatasetPlan:
        """Return the dataset of a scenario: schedules of `seats` seats for all holds, two of them apart."""
        wanted = self.holds + self.warmup
        return DatasetPlan(seats, 2 + -(-wanted // seats) if seats == SMALL else 1, self.people)


@dataclass(frozen=True)
class RequestSet:
    """What the client is to send: `count` requests, repeating from the front."""

    requests: Sequence[bytes]
    warmup: Sequence[bytes]
    count: int
    rate_per_s: float | None = None


@dataclass(frozen=True)
class ScenarioContext:
    """What a scenario finds: its dataset, its server, and how much it is to do."""

    sizes: Sizes
    dataset: Dataset
    server: Server

    @property
    def crowd(self) -> list[str]:
        """Tokens of people who fill halls, and never ask again."""
        return self.dataset.tokens[:_CROWD]

    @property
    def others(self) -> list[str]:
        """Tokens of people who ask for seats that the crowd has."""
        return self.dataset.tokens[_CROWD : 2 * _CROWD]

    @property
    def buyers(self) -> list[str]:
        """Tokens of people who have not asked for anything yet."""
        return self.dataset.tokens[2 * _CROWD :]

    @property
    def full(self) -> SeededSchedule:
        """The schedule that is filled before the measurement where a scenario wants a full one."""
        return self.dataset.schedules[0]

    def free_seats(self, per_request: int = 1) -> list[tuple[str, list[str]]]:
        """Return seats of the other schedules in groups, schedule after schedule as they sell out."""
        schedules = self.dataset.schedules[1:] or self.dataset.schedules
        return [
            (schedule.schedule_id, schedule.seat_ids[at : at + per_request])
            for schedule in schedules
            for at in range(0, len(schedule.seat_ids), per_request)
        ]

    def fill(self) -> None:
        """Have the crowd hold every seat of the full schedule, through the shop itself."""
        load.send_all(
            self.server.port,
            [
                http_requests.hold(
                    self.full.schedule_id, self.crowd[at % _CROWD], f"fill-{at}", [seat_id]
                )
                for at, seat_id in enumerate(self.full.seat_ids)
            ],
        )


@dataclass(frozen=True)
class BenchScenario:
    """One scenario: `build` prepares through the server and returns what to measure.

    `env` is what its server gets beside addresses and workers. Where a scenario `may_oversell`, seats that
    were sold twice are its result and no failure. With `relay` it ends when all events are delivered.
    Where it `has_stream_readers`, many follow the seats of the first schedule meanwhile; where it `has_waiting_room`
    every schedule has a waiting room.
    """

    name: str
    build: Callable[[ScenarioContext], RequestSet]
    expect: frozenset[str] = frozenset({"201"})
    codes: frozenset[str] = frozenset()
    server: tuple[str, ...] = APP
    seats: int = SMALL
    workers: int = 1
    env: Mapping[str, str] = field(default_factory=dict)
    may_oversell: bool = False
    relay: bool = False
    has_stream_readers: bool = False
    has_waiting_room: bool = False
    about: str = ""


class _Held(msgspec.Struct):
    reservation_id: str


def _split(requests: list[bytes], sizes: Sizes, count: int) -> RequestSet:
    """Take the warm-up from the front, so that what is measured was never asked before."""
    warmup = sizes.warmup
    return RequestSet(requests[warmup : warmup + count], requests[:warmup], count)


def _repeat(request: bytes, sizes: Sizes) -> RequestSet:
    return RequestSet([request], [request] * sizes.warmup, _CHEAP_FACTOR * sizes.holds)


def baseline(context: ScenarioContext) -> RequestSet:
    """The requests of `accepted`, again and again: nothing behind the baseline remembers them."""
    request_set = accepted(context)
    return RequestSet(
        request_set.requests, request_set.warmup, _BASELINE_FACTOR * request_set.count
    )


def accepted(context: ScenarioContext) -> RequestSet:
    """Somebody else for every seat."""
    sizes = context.sizes
    seats = context.free_seats()
    if context.dataset.plan.seats != SMALL:
        random.Random(SEED).shuffle(seats)  # noqa: S311 — a load, not a secret
    wanted = zip(seats, context.buyers, strict=False)
    requests = [
        http_requests.hold(schedule_id, token, f"hold-{at}", seat_ids)
        for at, ((schedule_id, seat_ids), token) in enumerate(wanted)
    ]
    return _split(requests[: sizes.warmup + sizes.holds], sizes, sizes.holds)


def lock_per_request_accepted(context: ScenarioContext) -> RequestSet:
    """The same as `accepted`, less often, because it takes longer."""
    request_set = accepted(context)
    return RequestSet(request_set.requests, request_set.warmup, max(1, context.sizes.holds // 3))


def refused(context: ScenarioContext) -> RequestSet:
    """A thousand people ask again and again for seats that others hold."""
    context.fill()
    seats = context.full.seat_ids
    count = REFUSED * context.sizes.holds
    others = context.others
    requests = [
        http_requests.hold(
            context.full.schedule_id,
            others[at % len(others)],
            f"refused-{at}",
            [seats[at * 7 % len(seats)]],
        )
        for at in range(context.sizes.warmup + count)
    ]
    return _split(requests, context.sizes, count)


def sold_out(context: ScenarioContext) -> RequestSet:
    """A thousand people ask again and again for the best two of no seats."""
    context.fill()
    others = context.others
    count = REFUSED * context.sizes.holds
    requests = [
        http_requests.hold_best(
            context.full.schedule_id, others[at % len(others)], f"out-{at}", _PAIR
        )
        for at in range(context.sizes.warmup + count)
    ]
    return _split(requests, context.sizes, count)


def best_available(context: ScenarioContext) -> RequestSet:
    """Somebody else every time asks for the best two adjacent seats, while there are some."""
    sizes = context.sizes
    count = sizes.holds // _PAIR
    wishes = [
        schedule.schedule_id
        for schedule in context.dataset.schedules[1:]
        for _ in range(_PAIRS_PER_SCHEDULE)
    ]
    requests = [
        http_requests.hold_best(schedule_id, token, f"best-{at}", _PAIR)
        for at, (schedule_id, token) in enumerate(zip(wishes, context.buyers, strict=False))
    ]
    return RequestSet(requests[:count], requests[-(sizes.warmup // _PAIR) :], count)


def _paid_later(context: ScenarioContext, count: int) -> list[bytes]:
    """Hold `count` seats through the shop, one person each, and return the payments for them."""
    wanted = list(zip(context.free_seats(), context.buyers, strict=False))[:count]
    holds = [
        http_requests.hold(schedule_id, token, f"hold-{at}", seat_ids)
        for at, ((schedule_id, seat_ids), token) in enumerate(wanted)
    ]
    bodies = load.send_all(context.server.port, holds)
    return [
        http_requests.pay(token, msgspec.json.decode(body, type=_Held).reservation_id)
        for (_, token), body in zip(wanted, bodies, strict=True)
    ]


def pay(context: ScenarioContext) -> RequestSet:
    """Everybody pays the hold that they made a moment before."""
    count = context.sizes.holds // 2
    return _split(_paid_later(context, context.sizes.warmup + count), context.sizes, count)


def seats_read(context: ScenarioContext) -> RequestSet:
    """The full map, compressed as browsers ask for it."""
    path = f"/v1/schedules/{context.full.schedule_id}/seats"
    return _repeat(http_requests.get(path, context.others[0]), context.sizes)


def seats_304(context: ScenarioContext) -> RequestSet:
    """The map for those who have it already."""
    path = f"/v1/schedules/{context.full.schedule_id}/seats"
    etag = context.server.get(path, {"Accept-Encoding": "gzip"})[1]["etag"]
    request = http_requests.get(path, context.others[0], etag=etag)
    return _repeat(request, context.sizes)


def concerts_read(context: ScenarioContext) -> RequestSet:
    """The list of concerts."""
    return _repeat(http_requests.get("/v1/concerts", context.others[0]), context.sizes)


def mixed(context: ScenarioContext) -> RequestSet:
    """The seed's mix: half lookups, 45 % holds of which 88 % are refused, 5 % payments."""
    return _mixed(context, context.sizes.holds, None)


def open_88(context: ScenarioContext) -> RequestSet:
    """The seed's mix at the seed's rate; people come whether or not others have their answers."""
    return _mixed(context, max(10, int(SEED_RATE_PER_S * context.sizes.open_s)), SEED_RATE_PER_S)


def _mixed(context: ScenarioContext, count: int, rate_per_s: float | None) -> RequestSet:
    context.fill()
    total = context.sizes.warmup + count
    payments = _paid_later(context, total * 5 // 100 + 1)
    free = context.free_seats()[len(payments) :]
    buyers = context.buyers[len(payments) :]
    taken, others = context.full.seat_ids, context.others
    chance = random.Random(SEED)  # noqa: S311 — a load, not a secret
    lookups = _lookups(context)
    requests = []
    accepted_so_far = 0
    for at in range(total):
        draw = chance.random()
        if draw < 0.50:
            requests.append(chance.choice(lookups))
        elif draw < 0.55 and payments:
            requests.append(payments.pop())
        elif chance.random() < 0.88:
            token, seat = chance.choice(others), chance.choice(taken)
            requests.append(
                http_requests.hold(context.full.schedule_id, token, f"mix-{at}", [seat])
            )
        else:
            schedule_id, seat_ids = free[accepted_so_far]
            token = buyers[accepted_so_far]
            accepted_so_far += 1
            requests.append(http_requests.hold(schedule_id, token, f"mix-{at}", seat_ids))
    warmup = context.sizes.warmup
    return RequestSet(requests[warmup:], requests[:warmup], count, rate_per_s)


def _lookups(context: ScenarioContext) -> list[bytes]:
    """Two of the list of concerts, one of a concert's schedules, two of a seat map that is selling."""
    selling = context.dataset.schedules[1]
    token = context.others[0]
    seats = f"/v1/schedules/{selling.schedule_id}/seats"
    schedules = f"/v1/concerts/{selling.concert_id}/schedules"
    paths = ["/v1/concerts", "/v1/concerts", schedules, seats, seats]
    return [http_requests.get(path, token) for path in paths]


def hot_map(context: ScenarioContext) -> RequestSet:
    """A large map that many look at while it sells: three lookups to each hold."""
    schedule = context.full
    path = f"/v1/schedules/{schedule.schedule_id}/seats"
    look = http_requests.get(path, context.others[0])
    count = max(8, context.sizes.holds // 6)
    total = context.sizes.warmup + count
    people = zip(schedule.seat_ids[:total], context.buyers, strict=False)
    requests = []
    for at, (seat_id, token) in enumerate(people):
        hold = http_requests.hold(schedule.schedule_id, token, f"hot-{at}", [seat_id])
        requests.append(look if at % 4 else hold)
    return _split(requests, context.sizes, count)


def watched(context: ScenarioContext) -> RequestSet:
    """Seats of one large schedule, one by one, at a steady rate."""
    request_set = accepted(context)
    count = max(1, int(_WATCHED_RATE_PER_S * min(context.sizes.open_s, _WATCHED_S)))
    return RequestSet(
        request_set.requests,
        request_set.warmup,
        min(count, len(request_set.requests)),
        _WATCHED_RATE_PER_S,
    )


# One machine has one address.
_MANY_STREAMS = {
    "BOXOFFICE_STREAMS_PER_CLIENT_MAX": "1000000",
    "BOXOFFICE_STREAMS_PER_ADDRESS_MAX": "1000000",
}


class _Joined(msgspec.Struct):
    queue_ticket: str


def _joined(context: ScenarioContext, tokens: Sequence[str]) -> list[str]:
    """Have people join, once the line is there, and return their tickets."""
    schedule_id = context.full.schedule_id
    until = time.monotonic() + _LINE_WITHIN_S
    while True:
        try:
            load.send_all(context.server.port, [http_requests.join(schedule_id, tokens[0])])
            break
        except load.LoadFailed:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
    bodies = load.send_all(
        context.server.port, [http_requests.join(schedule_id, token) for token in tokens]
    )
    return [msgspec.json.decode(body, type=_Joined).queue_ticket for body in bodies]


def queue_poll(context: ScenarioContext) -> RequestSet:
    """A thousand people ask for their places in the line again and again."""
    schedule_id = context.full.schedule_id
    requests = [
        http_requests.queue_position(schedule_id, ticket)
        for ticket in _joined(context, context.others)
    ]
    sizes = context.sizes
    warmup = [requests[at % len(requests)] for at in range(sizes.warmup)]
    return RequestSet(requests, warmup, _CHEAP_FACTOR * sizes.holds)


def queue_join(context: ScenarioContext) -> RequestSet:
    """Somebody else joins every time."""
    sizes = context.sizes
    _joined(context, context.others[:1])
    requests = [http_requests.join(context.full.schedule_id, token) for token in context.buyers]
    return _split(requests[: sizes.warmup + sizes.holds], sizes, sizes.holds)


_QUEUE_ENV = {"BOXOFFICE_QUEUE_ADDRESS_REQUESTS_PER_S_MAX": "1000000"}
SEATS_TAKEN = frozenset({"seat_taken"})

SCENARIOS: tuple[BenchScenario, ...] = (
    BenchScenario(
        "baseline", baseline, server=BASELINE, about="bare ASGI reply, the same JSON in and out"
    ),
    BenchScenario(
        "lock_per_request",
        lock_per_request_accepted,
        server=LOCK_PER_REQUEST,
        about="Redis lock, SELECT … FOR UPDATE, commit each",
    ),
    BenchScenario("hold_accepted", accepted, about="one seat each, 1,000 seats a schedule"),
    BenchScenario(
        "hold_refused", refused, frozenset({"409"}), SEATS_TAKEN, about="seats that others hold"
    ),
    BenchScenario(
        "hold_sold_out", sold_out, frozenset({"409"}), frozenset({"sold_out"}), about="no seat left"
    ),
    BenchScenario("hold_best_available", best_available, about="the best two adjacent seats"),
    BenchScenario("pay", pay, about="from the wallet"),
    BenchScenario("seats_read", seats_read, frozenset({"200"}), about="1,000 seats, gzip"),
    BenchScenario("seats_304", seats_304, frozenset({"304"}), about="the same, unchanged"),
    BenchScenario("concerts_read", concerts_read, frozenset({"200"}), about="the list of concerts"),
    BenchScenario(
        "mixed", mixed, frozenset({"200", "201", "409"}), SEATS_TAKEN, about="the seed's mix"
    ),
    BenchScenario(
        "open_88", open_88, frozenset({"200", "201", "409"}), SEATS_TAKEN, about="88 a second"
    ),
    BenchScenario("hold_accepted_2_workers", accepted, workers=2, about="as hold_accepted"),
    BenchScenario(
        "hold_refused_2_workers",
        refused,
        frozenset({"409"}),
        SEATS_TAKEN,
        workers=2,
        about="as hold_refused",
    ),
    BenchScenario(
        "hold_accepted_relayed", accepted, relay=True, about="until every event is delivered"
    ),
    BenchScenario(
        "queue_poll",
        queue_poll,
        frozenset({"200"}),
        env=_QUEUE_ENV,
        has_waiting_room=True,
        about="one's place, by a ticket that is known",
    ),
    BenchScenario(
        "queue_poll_cold",
        queue_poll,
        frozenset({"200"}),
        env={**_QUEUE_ENV, "BOXOFFICE_QUEUE_TICKETS_CACHED_MAX": "1"},
        has_waiting_room=True,
        about="the same, each ticket seen for the first time",
    ),
    BenchScenario(
        "queue_join", queue_join, env=_QUEUE_ENV, has_waiting_room=True, about="a place in the line"
    ),
    BenchScenario("hold_60000_seats", accepted, seats=LARGE, about="one schedule of 60,000"),
    BenchScenario(
        "hot_map_60000",
        hot_map,
        frozenset({"200", "201"}),
        seats=LARGE,
        about="map reads and holds",
    ),
    BenchScenario(
        "seat_events_no_readers", watched, seats=LARGE, about="200 holds a second, nobody watches"
    ),
    BenchScenario(
        "seat_events",
        watched,
        seats=LARGE,
        env=_MANY_STREAMS,
        has_stream_readers=True,
        about="the same, and thousands watch",
    ),
    BenchScenario("hold_1000000_seats", accepted, seats=HUGE, about="one schedule of 1,000,000"),
)
