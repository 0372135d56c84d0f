"""Kills while requests are in flight, and how many requests they hit."""

import asyncio
from collections.abc import Collection
from random import Random

from faults.scenario import Observations
from faults.workload.load import LoadGenerator

# About the duration of a response under the load of these scenarios.
_ANSWER_S = 0.006
_TRIES_MAX = 30
_AMID = "kills_in_flight_count"


async def wait_for_request(load: LoadGenerator, random: Random, endpoints: Collection[str]) -> None:
    """Return at a random moment of a request to one of these processes, if there is any."""
    for _ in range(_TRIES_MAX):
        await load.wait_for_request_in_flight(endpoints)
        await asyncio.sleep(random.uniform(0.0, _ANSWER_S))
        # It may have been answered meanwhile.
        if load.has_request_in_flight(endpoints):
            return


def record_kill(
    seen: Observations, load: LoadGenerator, at_s: float, endpoints: Collection[str]
) -> None:
    """Count a kill and the requests in flight to these processes; call it after they have ended."""
    affected = load.in_flight(at_s, endpoints)
    seen.kills += 1
    seen.counts[_AMID] += affected > 0
    seen.counts["requests_in_flight_at_kills_count"] += affected


def require_a_hit(seen: Observations) -> None:
    """Fail a scenario none of whose kills hit a request: no retry was tested."""
    if seen.kills and not seen.counts[_AMID]:
        seen.broken.append(f"none of {seen.kills} kills affected a request")
