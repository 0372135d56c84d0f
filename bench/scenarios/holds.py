"""Holds and payments: accepted, refused, best available, and the same on the baselines."""

import random

import msgspec

from bench.client import load
from bench.scenarios import http_requests
from bench.scenarios.scenario import SEED, SMALL, RequestSet, ScenarioContext, split

_BASELINE_FACTOR = 10
REFUSED_FACTOR = 3
_PAIR = 2
# A row has 25 seats: one of each stays alone, and the last pairs of a schedule are not measured.
_PAIRS_PER_SCHEDULE = 450


class _HeldReservation(msgspec.Struct):
    reservation_id: str


def baseline(context: ScenarioContext) -> RequestSet:
    """The requests of `accepted`, repeated: the bare server keeps no state."""
    request_set = accepted(context)
    return RequestSet(
        request_set.requests, request_set.warmup, _BASELINE_FACTOR * request_set.count
    )


def accepted(context: ScenarioContext) -> RequestSet:
    """A different user holds each seat."""
    sizes = context.sizes
    seats = context.free_seats()
    if context.dataset.plan.seats != SMALL:
        random.Random(SEED).shuffle(seats)  # noqa: S311 — a load, not a secret
    requests = [
        http_requests.hold(schedule_id, token, f"hold-{at}", seat_ids)
        for at, ((schedule_id, seat_ids), token) in enumerate(
            zip(seats, context.buyers, strict=False)
        )
    ]
    return split(requests[: sizes.warmup + sizes.holds], sizes, sizes.holds)


def with_offers(context: ScenarioContext) -> RequestSet:
    """The same as `accepted`, each with a price type and a code, against a quota."""
    sizes = context.sizes
    requests = [
        http_requests.hold_with_offers(schedule_id, token, f"hold-{at}", seat_ids)
        for at, ((schedule_id, seat_ids), token) in enumerate(
            zip(context.free_seats(), context.buyers, strict=False)
        )
    ]
    return split(requests[: sizes.warmup + sizes.holds], sizes, sizes.holds)


def accepted_by_baseline(context: ScenarioContext) -> RequestSet:
    """The same as `accepted` with a third of the requests, because each takes longer."""
    request_set = accepted(context)
    count = max(1, context.sizes.holds // 3)
    return RequestSet(request_set.requests, request_set.warmup, count)


def refused(context: ScenarioContext) -> RequestSet:
    """A thousand users request seats that others hold."""
    context.fill()
    schedule, others = context.first_schedule, context.others
    count = REFUSED_FACTOR * context.sizes.holds
    requests = [
        http_requests.hold(
            schedule.schedule_id,
            others[at % len(others)],
            f"refused-{at}",
            [schedule.seat_ids[at * 7 % len(schedule.seat_ids)]],
        )
        for at in range(context.sizes.warmup + count)
    ]
    return split(requests, context.sizes, count)


def sold_out(context: ScenarioContext) -> RequestSet:
    """A thousand users request the best two seats of a schedule that has none."""
    context.fill()
    schedule_id, others = context.first_schedule.schedule_id, context.others
    count = REFUSED_FACTOR * context.sizes.holds
    requests = [
        http_requests.hold_best(schedule_id, others[at % len(others)], f"out-{at}", _PAIR)
        for at in range(context.sizes.warmup + count)
    ]
    return split(requests, context.sizes, count)


def best_available(context: ScenarioContext) -> RequestSet:
    """A different user each time requests the best two adjacent seats."""
    sizes = context.sizes
    count = sizes.holds // _PAIR
    schedule_ids = [
        schedule.schedule_id
        for schedule in context.dataset.schedules[1:]
        for _ in range(_PAIRS_PER_SCHEDULE)
    ]
    requests = [
        http_requests.hold_best(schedule_id, token, f"best-{at}", _PAIR)
        for at, (schedule_id, token) in enumerate(zip(schedule_ids, context.buyers, strict=False))
    ]
    return RequestSet(requests[:count], requests[-(sizes.warmup // _PAIR) :], count)


def payments(context: ScenarioContext, count: int) -> list[bytes]:
    """Hold `count` seats through the shop, one user each, and return the payments for them."""
    wanted = list(zip(context.free_seats(), context.buyers, strict=False))[:count]
    holds = [
        http_requests.hold(schedule_id, token, f"hold-{at}", seat_ids)
        for at, ((schedule_id, seat_ids), token) in enumerate(wanted)
    ]
    bodies = load.send_all(context.server.port, holds)
    return [
        http_requests.pay(token, msgspec.json.decode(body, type=_HeldReservation).reservation_id)
        for (_, token), body in zip(wanted, bodies, strict=True)
    ]


class _OpenedIntent(msgspec.Struct):
    intent_id: str
    amount: int


class _AuthorizedPayment(msgspec.Struct):
    payment_key: str


def _intents(context: ScenarioContext, count: int) -> tuple[list[str], list[bytes]]:
    """Hold `count` seats; return the tokens of the buyers and the requests for their intents."""
    wanted = list(zip(context.free_seats(), context.buyers, strict=False))[:count]
    holds = [
        http_requests.hold(schedule_id, token, f"hold-{at}", seat_ids)
        for at, ((schedule_id, seat_ids), token) in enumerate(wanted)
    ]
    held = load.send_all(context.server.port, holds)
    tokens = [token for _, token in wanted]
    return tokens, [
        http_requests.open_intent(
            token, msgspec.json.decode(body, type=_HeldReservation).reservation_id
        )
        for token, body in zip(tokens, held, strict=True)
    ]


def open_intents(context: ScenarioContext) -> RequestSet:
    """Each user makes a payment intent for the hold made in the preparation."""
    count = context.sizes.holds // 2
    _, requests = _intents(context, context.sizes.warmup + count)
    return split(requests, context.sizes, count)


def confirm_intents(context: ScenarioContext) -> RequestSet:
    """Each user confirms an intent whose payment the simulated provider has authorized."""
    count = context.sizes.holds // 2
    tokens, requests = _intents(context, context.sizes.warmup + count)
    bodies = load.send_all(context.server.port, requests)
    opened = [msgspec.json.decode(body, type=_OpenedIntent) for body in bodies]
    authorized = load.send_all(
        context.provider_port,
        [http_requests.authorize(one.intent_id, one.amount) for one in opened],
    )
    keys = [msgspec.json.decode(body, type=_AuthorizedPayment).payment_key for body in authorized]
    confirmations = [
        http_requests.confirm_intent(token, one.intent_id, key, one.amount)
        for token, one, key in zip(tokens, opened, keys, strict=True)
    ]
    return split(confirmations, context.sizes, count)


def pay(context: ScenarioContext) -> RequestSet:
    """Each user pays the hold made in the preparation."""
    count = context.sizes.holds // 2
    return split(payments(context, context.sizes.warmup + count), context.sizes, count)
