"""Graceful restarts of API processes."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from random import Random

import aiohttp

from faults.checks.database import audit_now
from faults.cluster.cluster import Api, Cluster, Topology
from faults.scenario import AnyScenario, Component, Observations, Scenario
from faults.scenarios.api import RECOVERY_MAX_S
from faults.workload.load import LoadGenerator

_DRAIN_DELAY_MS = 600
_IN_FLIGHT = 30
_STREAMS = 5
_STREAM_ENDS_WITHIN_S = 5.0


async def end_with_requests(
    cluster: Cluster, load: LoadGenerator, random: Random, trials: int
) -> Observations:
    """SIGTERM while holds and streams are in flight; a cut connection is not excused."""
    seen = Observations()
    for _ in range(trials):
        await load.sell_for(random.uniform(0.2, 1.0))
        victim = random.choice(cluster.api)
        async with _streams(victim, load) as streams:
            victim.proxies.postgres.delay_s = 0.1
            rush = [
                asyncio.create_task(load.hold_next(random.randrange(len(load.fixtures.people))))
                for _ in range(_IN_FLIGHT)
            ]
            await asyncio.sleep(0.05)
            at_s = time.monotonic()
            took_s = await victim.stop()
            victim.proxies.postgres.delay_s = 0.0
            await asyncio.gather(*rush)
            seen.broken += await _ended(streams)
        seen.recoveries_s.append(await load.next_sale(at_s))
        victim.start()
        await cluster.wait_until_ready()
        _note_most(seen, "stop_max_s", took_s)
        _note_most(seen, "streams_open_count", len(streams))
        seen.trials += 1
        seen.broken += await audit_now(cluster.settings)
    return seen


@contextlib.asynccontextmanager
async def _streams(victim: Api, load: LoadGenerator) -> AsyncIterator[list[aiohttp.ClientResponse]]:
    """Open `_STREAMS` event streams of the schedule at one process."""
    url = f"{victim.url}/v1/schedules/{load.fixtures.schedule_id}/seats/events"
    async with aiohttp.ClientSession() as session:
        yield [await session.get(url) for _ in range(_STREAMS)]


async def _ended(streams: list[aiohttp.ClientResponse]) -> list[str]:
    """Return what was wrong with the streams of a stopped process: refused, or cut."""
    wrong = [f"a stream was answered {one.status}" for one in streams if one.status != 200]
    for one in streams:
        try:
            async with asyncio.timeout(_STREAM_ENDS_WITHIN_S):
                await one.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            wrong.append(f"a stream did not end: {type(error).__name__}")
    return wrong


async def roll(cluster: Cluster, load: LoadGenerator, random: Random, trials: int) -> Observations:
    """Restart all processes one after the other, as a deployment does; no failure is excused."""
    seen = Observations()
    for _ in range(trials):
        await load.sell_for(random.uniform(0.3, 0.8))
        for one in cluster.api:
            at_s = time.monotonic()
            _note_most(seen, "stop_max_s", await one.stop())
            one.start()
            await cluster.wait_until_ready()
            seen.recoveries_s.append(await load.next_sale(at_s))
            seen.counts["processes_restarted_count"] += 1
        seen.trials += 1
    failed = sum(load.record.failures().values())
    seen.figures["failed_requests_count"] = failed
    if failed:
        seen.broken.append(f"{failed} requests failed")
    seen.broken += await audit_now(cluster.settings)
    return seen


def _note_most(seen: Observations, name: str, figure: float) -> None:
    seen.figures[name] = max(figure, seen.figures.get(name, 0.0))


SCENARIOS: tuple[AnyScenario, ...] = (
    Scenario(
        name="api_sigterm",
        component=Component.API,
        does="SIGTERM with holds and event streams in flight",
        expects="it ends in time with exit code 0; no response is cut, none is a 5xx",
        run=end_with_requests,
        trials=10,
        trial_s=3.0,
        topology=Topology(is_proxied=True, settings={"drain_delay_ms": _DRAIN_DELAY_MS}),
        recovery_p99_max_s=RECOVERY_MAX_S,
    ),
    Scenario(
        name="rolling_restart",
        component=Component.API,
        does="SIGTERM and restart of each of two API processes, one after the other, behind a "
        "load balancer",
        expects="each ends with exit code 0; no request fails",
        run=roll,
        trials=20,
        trial_s=5.0,
        topology=Topology(settings={"drain_delay_ms": _DRAIN_DELAY_MS}),
        recovery_p99_max_s=RECOVERY_MAX_S,
    ),
)
