"""Faults of Valkey, none of which excuses a failure, because Valkey decides nothing."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from statistics import mean, median
from typing import Any

import psutil
from redis.asyncio import Redis
from redis.exceptions import RedisError

from faults.checks.database import audit_now
from faults.cluster.cluster import Cluster, Topology
from faults.interference.external_clients import wait_for
from faults.interference.hold_flood import HoldFloodResult
from faults.interference.hold_flood_runner import (
    CLOSED_LOOP_THINK_S,
    WARM_S,
    HoldFloodRunner,
    unexpected,
)
from faults.scenario import AnyScenario, Component, Observations, Play, Scenario
from faults.workload.load import LoadGenerator

RECOVERY_MAX_S = 2.0
GOODPUT_KEPT_MIN_PERCENT = 70.0
_STOPPED_S = 30.0
# The flood goes on for so long before and after the stop; its process takes a moment to start.
_BESIDE_S = 8.0
_STARTING_S = 2.0
_FLOOD_S = _STOPPED_S + 2 * _BESIDE_S + _STARTING_S
# Enough clients to use the whole machine, and fewer than a batch of each process takes, so that
# none must be refused.
_RESTLESS_PEOPLE = 96
# More seats than can be held before the first holds lapse, so that none is found sold.
_FLOOD_SEATS, _FLOOD_PEOPLE, _FLOOD_TTL_S = 60_000, 2_000, 4
_EXPECTED = frozenset({"201"})
_BACK_WITHIN_S = 30.0
_FULL_BYTES = 1_500_000
_FILLER_BYTES = 2_000_000
_MARK, _LATER_MARK = "faults:before-the-snapshot", "faults:after-the-snapshot"
# Every hold asks Valkey before PostgreSQL, and one process reads for all, so that its faults matter.
_ALWAYS = {"seat_lock": "always", "seats_shared_processes_min": 2}
_SLOW_WITHIN_S, _SLOW_BEYOND_S = 0.02, 0.25

Strike = Callable[[Cluster, LoadGenerator, Random, Observations], Awaitable[float]]


@asynccontextmanager
async def talking(cluster: Cluster) -> AsyncIterator["Redis"]:
    """Yield a foreign connection to Valkey."""
    client: Redis = Redis.from_url(cluster.settings.valkey.valkey_url)
    try:
        yield client
    finally:
        await client.aclose()


async def send_command(client: "Redis", *words: str | bytes | int) -> Any:
    """Send one command and return its reply."""
    return await client.execute_command(*words)  # type: ignore[no-untyped-call]


async def answers(cluster: Cluster) -> bool:
    """Say whether Valkey answers."""
    try:
        async with talking(cluster) as client:
            return bool(await send_command(client, "PING"))
    except (RedisError, OSError):
        return False


def striking(strike: Strike) -> Play:
    """Return the function of a scenario; `strike` injects one fault and returns its begin."""

    async def run(
        cluster: Cluster, load: LoadGenerator, random: Random, trials: int
    ) -> Observations:
        seen = Observations()
        for _ in range(trials):
            await load.sell_for(random.uniform(0.3, 1.0))
            at_s = await strike(cluster, load, random, seen)
            seen.recoveries_s.append(await load.next_sale(at_s))
            seen.trials += 1
            seen.broken += await audit_now(cluster.settings)
        return seen

    return run


async def kill(
    cluster: Cluster, _load: LoadGenerator, _random: Random, seen: Observations
) -> float:
    """Kill it; it restarts empty."""
    async with talking(cluster) as client:
        await send_command(client, "SET", _MARK, "1")
    at_s = time.monotonic()
    cluster.valkey.kill()
    seen.kills += 1
    await _await_return(cluster)
    async with talking(cluster) as client:
        if await send_command(client, "EXISTS", _MARK):
            seen.broken.append("Valkey did not restart empty")
    return at_s


async def flush(
    cluster: Cluster, load: LoadGenerator, random: Random, _seen: Observations
) -> float:
    """Flush it while it runs."""
    async with talking(cluster) as client:
        at_s = time.monotonic()
        await send_command(client, "FLUSHALL")
    await load.sell_for(random.uniform(0.3, 1.0))
    return at_s


async def fill_disk(
    cluster: Cluster, load: LoadGenerator, _random: Random, seen: Observations
) -> float:
    """Leave it no memory (`noeviction`), then restore the limit."""
    async with talking(cluster) as client:
        before = await send_command(client, "CONFIG", "GET", "maxmemory")
        limit = before[b"maxmemory"] if isinstance(before, dict) else before[1]
        await send_command(client, "SET", "faults:filler", bytes(_FILLER_BYTES))
        await send_command(client, "CONFIG", "SET", "maxmemory", _FULL_BYTES)
        at_s = time.monotonic()
        try:
            await send_command(client, "SET", _MARK, "1")
            seen.broken.append("Valkey was not out of memory")
        except RedisError:
            await load.sell_for(2.0)
        await send_command(client, "CONFIG", "SET", "maxmemory", limit)
        await send_command(client, "DEL", "faults:filler")
    return at_s


async def go_back(
    cluster: Cluster, load: LoadGenerator, random: Random, seen: Observations
) -> float:
    """Restart it from an old snapshot."""
    snapshot = cluster.servers.valkey.data_dir / "dump.rdb"
    async with talking(cluster) as client:
        await send_command(client, "SET", _MARK, "1")
        await send_command(client, "SAVE")
        await load.sell_for(random.uniform(1.0, 2.0))
        await send_command(client, "SET", _LATER_MARK, "1")
    at_s = time.monotonic()
    cluster.valkey.kill()
    seen.kills += 1
    await _await_return(cluster)
    async with talking(cluster) as client:
        found = [await send_command(client, "EXISTS", mark) for mark in (_MARK, _LATER_MARK)]
        await send_command(client, "DEL", _MARK)
    if found != [1, 0]:
        seen.broken.append(f"Valkey did not restart with an older snapshot: {found}")
    snapshot.unlink(missing_ok=True)
    await load.sell_for(random.uniform(0.3, 1.0))
    return at_s


async def _await_return(cluster: Cluster) -> None:
    await wait_for(lambda: answers(cluster), _BACK_WITHIN_S, "Valkey is not back")


def slowed(delay_s: float) -> Strike:
    """Return a fault that delays every chunk by that time, in both directions."""

    async def strike(
        cluster: Cluster, load: LoadGenerator, _random: Random, _seen: Observations
    ) -> float:
        lines = [api.proxies.valkey for api in cluster.api]
        at_s = time.monotonic()
        for line in lines:
            line.delay_s = delay_s
        await load.sell_for(3.0)
        for line in lines:
            line.delay_s = 0.0
        return at_s

    return strike


async def stop(cluster: Cluster, load: LoadGenerator, random: Random, trials: int) -> Observations:
    """Pause it for half a minute during a flood without pauses.

    Goodput in that time is compared with that right before and after.
    """
    seen = Observations()
    fixtures = await cluster.create_fixtures(
        seats=_FLOOD_SEATS, people=_FLOOD_PEOPLE, hold_ttl_s=_FLOOD_TTL_S
    )
    floods = HoldFloodRunner(cluster, fixtures, random)
    stops, busy_percents = [], []
    for _ in range(trials):
        flood = asyncio.create_task(
            floods.by(_RESTLESS_PEOPLE, seconds=_FLOOD_S, think_s=CLOSED_LOOP_THINK_S)
        )
        try:
            await load.sell_for(_STARTING_S + WARM_S)
            psutil.cpu_percent()
            await load.sell_for(_BESIDE_S)
            busy_percents.append(psutil.cpu_percent())
            began_s, ended_s = await _stop(cluster, load, seen)
            stops.append(_Stop(await flood, began_s, ended_s))
        finally:
            flood.cancel()
            await asyncio.gather(flood, return_exceptions=True)
        seen.trials += 1
        await wait_for(lambda: answers(cluster), _BACK_WITHIN_S, "Valkey is not back")
        seen.broken += await audit_now(cluster.settings)
    seen.figures["machine_busy_percent"] = min(busy_percents)
    _compare(seen, stops)
    return seen


async def _stop(cluster: Cluster, load: LoadGenerator, seen: Observations) -> tuple[float, float]:
    """Pause and resume it; return the times."""
    began_s = time.monotonic()
    cluster.valkey.pause()
    try:
        seen.recoveries_s.append(await load.next_sale(began_s))
        await load.sell_for(_STOPPED_S - (time.monotonic() - began_s))
    finally:
        cluster.valkey.resume()
    return began_s, time.monotonic()


@dataclass(frozen=True)
class _Stop:
    """One flood, and when Valkey was paused and resumed in it (monotonic)."""

    result: HoldFloodResult
    began_s: float
    ended_s: float

    @property
    def during_per_s(self) -> float:
        """Holds per second while it was paused."""
        return self.result.between_per_s(self.began_s, self.ended_s)

    @property
    def beside_per_s(self) -> float:
        """Mean of the holds per second before and after the pause."""
        one = self.result
        before = one.between_per_s(one.begin_s, self.began_s)
        return mean([before, one.between_per_s(self.ended_s, one.begin_s + _FLOOD_S)])

    @property
    def refused_during(self) -> int:
        """The number of refusals while it was paused."""
        return self.result.refused_between(self.began_s, self.ended_s)

    @property
    def kept_percent(self) -> float:
        """The share of the goodput that remained."""
        return 100 * self.during_per_s / self.beside_per_s if self.beside_per_s else 0.0


def _compare(seen: Observations, stops: Sequence[_Stop]) -> None:
    kept = [one.kept_percent for one in stops]
    seen.figures |= {
        "goodput_kept_percent": min(kept),
        "goodput_kept_middle_percent": median(kept),
        "goodput_beside_per_s": median(one.beside_per_s for one in stops),
        "goodput_during_per_s": median(one.during_per_s for one in stops),
        "refused_count": sum(sum(one.result.refused_by_tick) for one in stops),
        "refused_during_count": sum(one.refused_during for one in stops),
        "client_cores": median(one.result.client_cores for one in stops),
    }
    if min(kept) < GOODPUT_KEPT_MIN_PERCENT:
        text = ", ".join(f"{percent:.0f} %" for percent in kept)
        seen.broken.append(f"{text} of the sales went on without Valkey, by stop")
    for one in stops:
        seen.broken += unexpected(one.result, _EXPECTED)


def _scenario(name: str, does: str, expects: str, run: Play, **more: Any) -> Scenario:
    return Scenario(
        name=name,
        component=Component.VALKEY,
        does=does,
        expects=expects,
        run=run,
        recovery_p99_max_s=RECOVERY_MAX_S,
        **{"topology": Topology(settings=_ALWAYS), **more},
    )


_PROXIED = Topology(is_proxied=True, settings=_ALWAYS)

SCENARIOS: tuple[AnyScenario, ...] = (
    _scenario(
        "valkey_sigkill",
        "SIGKILL of Valkey; the supervisor restarts it, empty",
        "no request fails",
        striking(kill),
        trials=50,
        trial_s=1.5,
        round_trials=50,
    ),
    _scenario(
        "valkey_sigstop",
        "SIGSTOP of Valkey for 30 s during a flood that uses the whole capacity, then SIGCONT",
        "no request fails, and at least 70 % of the goodput remains",
        stop,
        trials=3,
        trial_s=_FLOOD_S + _FLOOD_TTL_S + 8.0,
        topology=Topology(settings={**_ALWAYS, "log_requests": "false"}),
    ),
    _scenario(
        "valkey_slow",
        "every chunk to and from Valkey takes 20 ms, which is within the timeout of a call",
        "no request fails",
        striking(slowed(_SLOW_WITHIN_S)),
        trials=5,
        trial_s=4.0,
        topology=_PROXIED,
    ),
    _scenario(
        "valkey_too_slow",
        "every chunk to and from Valkey takes 250 ms, which is beyond the timeout of a call",
        "no request fails: the circuit breaker opens",
        striking(slowed(_SLOW_BEYOND_S)),
        trials=5,
        trial_s=4.0,
        topology=_PROXIED,
    ),
    _scenario(
        "valkey_out_of_memory",
        "Valkey refuses every write for 2 s: its memory is full (`noeviction`)",
        "no request fails",
        striking(fill_disk),
        trials=5,
        trial_s=3.5,
    ),
    _scenario(
        "valkey_flushall",
        "FLUSHALL",
        "no request fails",
        striking(flush),
        trials=20,
        trial_s=1.5,
    ),
    _scenario(
        "valkey_older_snapshot",
        "SIGKILL of Valkey, which restarts from a snapshot one or two seconds old",
        "no request fails: Valkey decides nothing",
        striking(go_back),
        trials=8,
        trial_s=3.0,
    ),
)
