"""Runs floods of one schedule, each from a new process and under new keys."""

import asyncio
from random import Random

import msgspec

from faults.cluster import subprocesses
from faults.cluster.cluster import Cluster
from faults.interference.hold_flood import GRACE_S, HoldFloodPlan, HoldFloodResult
from faults.workload.fixtures import Fixtures

WARM_S = 1.5
# As many clients without pauses as use all of one machine.
CLOSED_LOOP_CLIENTS = 256
CLOSED_LOOP_THINK_S = 0.001


class HoldFloodRunner:
    """Floods one schedule; after each flood its holds have lapsed."""

    def __init__(self, cluster: Cluster, fixtures: Fixtures, random: Random) -> None:
        self._ports = [api.port for api in cluster.api]
        self._field = fixtures
        self._random = random

    async def by(
        self, people: int, *, seconds: float, think_s: float, rate_per_s: float = 0.0
    ) -> HoldFloodResult:
        """Flood by so many clients, or without backoff at a rate."""
        number = self._random.randrange(2**31)
        plan = HoldFloodPlan(
            ports=self._ports,
            schedule_id=self._field.schedule_id,
            seat_ids=list(self._field.seat_ids),
            tokens=[person.access_token for person in self._field.people],
            tag=f"flood-{number}",
            seed=number,
            seconds=seconds,
            warm_s=WARM_S,
            people=0 if rate_per_s else people,
            think_s=think_s,
            rate_per_s=rate_per_s,
            connections_max=people,
        )
        within_s = seconds + WARM_S + 4 * GRACE_S
        result = await subprocesses.ask(
            "faults.interference.hold_flood", msgspec.msgpack.encode(plan), within_s=within_s
        )
        await asyncio.sleep(self._field.hold_ttl_s)
        return msgspec.msgpack.decode(result, type=HoldFloodResult)

    async def without_pauses(self, *, seconds: float) -> HoldFloodResult:
        """Flood without pauses, which measures the capacity."""
        return await self.by(CLOSED_LOOP_CLIENTS, seconds=seconds, think_s=CLOSED_LOOP_THINK_S)


def unexpected(result: HoldFloodResult, expected: frozenset[str]) -> list[str]:
    """Return unexpected responses, and refusals without `Retry-After`."""
    wrong = {what: count for what, count in result.statuses.items() if what not in expected}
    odd = {
        "without Retry-After": result.without_retry_after,
        "cut off": result.cut,
        "unanswered": result.unanswered,
    }
    wrong |= {what: count for what, count in odd.items() if count}
    return [f"the flood was answered {wrong}"] if wrong else []
