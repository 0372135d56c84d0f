"""Faults in the middle of requests: wait until somebody asks, strike, and count what was under way."""

import asyncio
from collections.abc import Collection
from random import Random

from faults.scenario import Observations
from faults.workload.load import Load

# About as long as an answer takes under the load of these rows.
_ANSWER_S = 0.006
_TRIES_MAX = 30
_AMID = "kills_amid_requests_count"


async def somebody_asks(load: Load, random: Random, endpoints: Collection[str]) -> None:
    """Return at a random moment of a request to one of these processes, where there are any."""
    for _ in range(_TRIES_MAX):
        await load.until_asked(endpoints)
        await asyncio.sleep(random.uniform(0.0, _ANSWER_S))
        # It may have been answered meanwhile.
        if load.is_asked(endpoints):
            return


def note_kill(seen: Observations, load: Load, at_s: float, endpoints: Collection[str]) -> None:
    """Count a kill, and whether it struck requests to these processes; call it when they have ended."""
    struck = load.under_way(at_s, endpoints)
    seen.kills += 1
    seen.counts[_AMID] += struck > 0
    seen.counts["requests_under_way_at_kills_count"] += struck


def judge(seen: Observations) -> None:
    """Break a row none of whose kills struck a request: nobody's retry was tried."""
    if seen.kills and not seen.counts[_AMID]:
        seen.broken.append(f"none of {seen.kills} kills struck a request")
