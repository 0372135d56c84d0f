"""The waiting room: joining, and polling the queue position."""

import time
from collections.abc import Sequence
from contextlib import suppress

import msgspec

from bench.client import load
from bench.scenarios import http_requests
from bench.scenarios.scenario import RequestSet, ScenarioContext, repeat, split

_READY_TIMEOUT_S = 20.0
_RETRY_S = 0.1
ENV = {"BOXOFFICE_QUEUE_ADDRESS_REQUESTS_PER_S_MAX": "1000000"}


class _JoinedQueue(msgspec.Struct):
    queue_ticket: str


def queue_poll(context: ScenarioContext) -> RequestSet:
    """A thousand users poll their queue positions."""
    tickets = join(context, context.others)
    schedule_id = context.first_schedule.schedule_id
    return repeat(
        [http_requests.queue_position(schedule_id, ticket) for ticket in tickets], context.sizes
    )


def queue_join(context: ScenarioContext) -> RequestSet:
    """A different user joins each time."""
    sizes = context.sizes
    join(context, context.others[:1])
    schedule_id = context.first_schedule.schedule_id
    requests = [http_requests.join(schedule_id, token) for token in context.buyers]
    return split(requests[: sizes.warmup + sizes.holds], sizes, sizes.holds)


def join(context: ScenarioContext, tokens: Sequence[str]) -> list[str]:
    """Join with each token and return the queue tickets."""
    requests = [http_requests.join(context.first_schedule.schedule_id, token) for token in tokens]
    _wait_until_open(context.server.port, requests[0])
    bodies = load.send_all(context.server.port, requests, repeats=True)
    return [msgspec.json.decode(body, type=_JoinedQueue).queue_ticket for body in bodies]


def _wait_until_open(port: int, join: bytes) -> None:
    """Return when the waiting room has a leader and accepts a join."""
    until = time.monotonic() + _READY_TIMEOUT_S
    while time.monotonic() < until:
        with suppress(load.LoadFailed):
            load.send_all(port, [join])
            return
        time.sleep(_RETRY_S)
    load.send_all(port, [join])
