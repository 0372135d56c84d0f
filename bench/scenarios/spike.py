"""A spike: all buyers of a hall send their request at the same moment.

Hall, number of requests and sizes of groups are those of a load test that the open system
`tall15421542-lab/ticket-master` has published. There a request names an area and how many adjacent
seats, and the server chooses; here the client chooses the seats at random, so that requests conflict.
"""

import random

from bench.environment.environment import DatasetPlan
from bench.scenarios import http_requests
from bench.scenarios.scenario import SEED, RequestSet, ScenarioContext, Sizes

AREA_SEATS = 400
_ROW_SEATS = 20
_GROUP_MAX = 4
REQUESTS_PER_AREA = 2_500
# Each has one request in flight. One address may have as many by default, so no setting is changed.
CONNECTIONS = 1_000


def dataset(sizes: Sizes) -> DatasetPlan:
    """Return the hall twice, one for the warm-up, and one user per request, all without money."""
    return DatasetPlan(
        seats=AREA_SEATS * sizes.areas,
        schedules=2,
        users=sizes.warmup + REQUESTS_PER_AREA * sizes.areas,
        row_seats=_ROW_SEATS,
        section_rows=AREA_SEATS // _ROW_SEATS,
        balance_minor=0,
    )


def wanted_group(chance: random.Random, seats: int) -> range:
    """Return the places of one to four adjacent seats of a row, anywhere in a hall of `seats`."""
    size = chance.randint(1, _GROUP_MAX)
    row = chance.randrange(seats // _ROW_SEATS)
    first = row * _ROW_SEATS + chance.randrange(_ROW_SEATS - size + 1)
    return range(first, first + size)


def requests_at_once(context: ScenarioContext) -> RequestSet:
    """Each user requests a group of seats, all at the start."""
    chance = random.Random(SEED)  # noqa: S311 — a load, not a secret
    warmup = context.sizes.warmup
    measured, other = context.dataset.schedules
    requests = []
    for at, token in enumerate(context.dataset.tokens):
        schedule = other if at < warmup else measured
        group = wanted_group(chance, len(schedule.seat_ids))
        seat_ids = [schedule.seat_ids[place] for place in group]
        requests.append(http_requests.hold(schedule.schedule_id, token, f"spike-{at}", seat_ids))
    return RequestSet(requests[warmup:], requests[:warmup], len(requests) - warmup, at_once=True)
