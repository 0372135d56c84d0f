"""Lookups, and the mix of lookups, holds and payments that a sale sends."""

import random

from bench.scenarios import http_requests
from bench.scenarios.holds import payments
from bench.scenarios.scenario import SEED, RequestSet, ScenarioContext, repeat, split

OPEN_RATE_PER_S = 88.0
_LOOKUPS, _PAYMENTS_PERCENT, _REFUSED = 0.50, 5, 0.88


def _seats_path(schedule_id: str) -> str:
    return f"/v1/schedules/{schedule_id}/seats"


def seats_read(context: ScenarioContext) -> RequestSet:
    """The whole seat map, compressed."""
    path = _seats_path(context.first_schedule.schedule_id)
    return repeat([http_requests.get(path, context.others[0])], context.sizes)


def seats_304(context: ScenarioContext) -> RequestSet:
    """The seat map with a current ETag."""
    path = _seats_path(context.first_schedule.schedule_id)
    etag = context.server.get(path, {"Accept-Encoding": "gzip"})[1]["etag"]
    return repeat([http_requests.get(path, context.others[0], etag=etag)], context.sizes)


def concerts_read(context: ScenarioContext) -> RequestSet:
    """The list of concerts."""
    return repeat([http_requests.get("/v1/concerts", context.others[0])], context.sizes)


def mixed(context: ScenarioContext) -> RequestSet:
    """Half lookups, 45 % holds of which 88 % are refused, 5 % payments."""
    return _mixed(context, context.sizes.holds, None)


def open_88(context: ScenarioContext) -> RequestSet:
    """The same mix in an open model, 88 arrivals a second."""
    count = max(10, int(OPEN_RATE_PER_S * context.sizes.open_s))
    return _mixed(context, count, OPEN_RATE_PER_S)


def _mixed(context: ScenarioContext, count: int, rate_per_s: float | None) -> RequestSet:
    context.fill()
    warmup = context.sizes.warmup
    requests = _Mix(context, warmup + count).requests()
    return RequestSet(requests[warmup:], requests[:warmup], count, rate_per_s)


class _Mix:
    """Draws the requests of the mix from one seeded random generator."""

    def __init__(self, context: ScenarioContext, total: int) -> None:
        self._context = context
        self._total = total
        self._random = random.Random(SEED)  # noqa: S311 — a load, not a secret
        self._payments = payments(context, total * _PAYMENTS_PERCENT // 100 + 1)
        self._lookups = _lookups(context)
        paid = len(self._payments)
        self._buyers = iter(zip(context.free_seats()[paid:], context.buyers[paid:], strict=False))

    def requests(self) -> list[bytes]:
        """Return the requests in the order of sending."""
        return [self._draw(at) for at in range(self._total)]

    def _draw(self, at: int) -> bytes:
        drawn = self._random.random()
        if drawn < _LOOKUPS:
            return self._random.choice(self._lookups)
        if drawn < _LOOKUPS + _PAYMENTS_PERCENT / 100 and self._payments:
            return self._payments.pop()
        if self._random.random() < _REFUSED:
            return self._refused(at)
        (schedule_id, seat_ids), token = next(self._buyers)
        return http_requests.hold(schedule_id, token, f"mix-{at}", seat_ids)

    def _refused(self, at: int) -> bytes:
        token = self._random.choice(self._context.others)
        schedule = self._context.first_schedule
        seat_id = self._random.choice(schedule.seat_ids)
        return http_requests.hold(schedule.schedule_id, token, f"mix-{at}", [seat_id])


def _lookups(context: ScenarioContext) -> list[bytes]:
    """Two of the concert list, one of a concert's schedules, two of a seat map that changes."""
    selling = context.dataset.schedules[1]
    seats = _seats_path(selling.schedule_id)
    schedules = f"/v1/concerts/{selling.concert_id}/schedules"
    paths = ["/v1/concerts", "/v1/concerts", schedules, seats, seats]
    return [http_requests.get(path, context.others[0]) for path in paths]


def hot_map(context: ScenarioContext) -> RequestSet:
    """A large seat map while it sells: three lookups to each hold."""
    schedule = context.first_schedule
    lookup = http_requests.get(_seats_path(schedule.schedule_id), context.others[0])
    count = max(8, context.sizes.holds // 6)
    total = context.sizes.warmup + count
    requests = []
    for at, (seat_id, token) in enumerate(
        zip(schedule.seat_ids[:total], context.buyers, strict=False)
    ):
        hold = http_requests.hold(schedule.schedule_id, token, f"hot-{at}", [seat_id])
        requests.append(lookup if at % 4 else hold)
    return split(requests, context.sizes, count)
