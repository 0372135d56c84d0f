"""What is done to Valkey. It decides nothing, so nothing that happens to it excuses a failure."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from faults.checks import audit_now
from faults.load import Load, Pace
from faults.matrix import AnyRow, Observations, Part, Play, Row
from faults.outsiders import wait_for
from faults.world import Layout, World

RECOVERY_MAX_S = 2.0
GOODPUT_KEPT_MIN_PERCENT = 70.0
_STOPPED_S = 30.0
_BACK_WITHIN_S = 30.0
_FULL_BYTES = 1_500_000
_FILLER_BYTES = 2_000_000
_MARK, _LATER_MARK = "faults:before-the-snapshot", "faults:after-the-snapshot"
# Every hold asks Valkey before PostgreSQL, so that what happens to Valkey is in its way.
_ALWAYS = {"seat_lock": "always"}
_SLOW_WITHIN_S, _SLOW_BEYOND_S = 0.02, 0.25

Strike = Callable[[World, Load, Random, Observations], Awaitable[float]]


@asynccontextmanager
async def talking(world: World) -> AsyncIterator["Redis"]:
    """Lend a stranger's connection to Valkey."""
    client: Redis = Redis.from_url(world.settings.valkey_url)
    try:
        yield client
    finally:
        await client.aclose()


async def send_command(client: "Redis", *words: str | bytes | int) -> Any:
    """Send one command and return its reply."""
    return await client.execute_command(*words)  # type: ignore[no-untyped-call]


async def answers(world: World) -> bool:
    """Say whether Valkey answers."""
    try:
        async with talking(world) as client:
            return bool(await send_command(client, "PING"))
    except (RedisError, OSError):
        return False


def striking(strike: Strike) -> Play:
    """Return a row's function: `strike` makes one fault and returns the time at which it began."""

    async def run(world: World, load: Load, random: Random, trials: int) -> Observations:
        seen = Observations()
        for _ in range(trials):
            await load.sell_for(random.uniform(0.3, 1.0))
            at_s = await strike(world, load, random, seen)
            seen.recoveries_s.append(await load.next_sale(at_s))
            seen.trials += 1
            seen.broken += await audit_now(world.settings)
        return seen

    return run


async def kill(world: World, _load: Load, _random: Random, seen: Observations) -> float:
    """Kill it; it comes back empty."""
    async with talking(world) as client:
        await send_command(client, "SET", _MARK, "1")
    at_s = time.monotonic()
    world.valkey.kill()
    seen.kills += 1
    await _await_return(world)
    async with talking(world) as client:
        if await send_command(client, "EXISTS", _MARK):
            seen.broken.append("Valkey did not come back empty")
    return at_s


async def flush(world: World, load: Load, random: Random, _seen: Observations) -> float:
    """Empty it while it works."""
    async with talking(world) as client:
        at_s = time.monotonic()
        await send_command(client, "FLUSHALL")
    await load.sell_for(random.uniform(0.3, 1.0))
    return at_s


async def fill(world: World, load: Load, _random: Random, seen: Observations) -> float:
    """Leave it no memory, without leave to forget anything, and give it back."""
    async with talking(world) as client:
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


async def go_back(world: World, load: Load, random: Random, seen: Observations) -> float:
    """Have it come back with what it knew a while ago, and believe that."""
    snapshot = world.servers.valkey.data_dir / "dump.rdb"
    async with talking(world) as client:
        await send_command(client, "SET", _MARK, "1")
        await send_command(client, "SAVE")
        await load.sell_for(random.uniform(1.0, 2.0))
        await send_command(client, "SET", _LATER_MARK, "1")
    at_s = time.monotonic()
    world.valkey.kill()
    seen.kills += 1
    await _await_return(world)
    async with talking(world) as client:
        found = [await send_command(client, "EXISTS", mark) for mark in (_MARK, _LATER_MARK)]
        await send_command(client, "DEL", _MARK)
    if found != [1, 0]:
        seen.broken.append(f"Valkey did not come back with an older snapshot: {found}")
    snapshot.unlink(missing_ok=True)
    await load.sell_for(random.uniform(0.3, 1.0))
    return at_s


async def _await_return(world: World) -> None:
    await wait_for(lambda: answers(world), _BACK_WITHIN_S, "Valkey is not back")


def slowed(delay_s: float) -> Strike:
    """Return a strike that lets every piece of what is said take so long, in both directions."""

    async def strike(world: World, load: Load, _random: Random, _seen: Observations) -> float:
        lines = [api.lines.valkey for api in world.api]
        at_s = time.monotonic()
        for line in lines:
            line.delay_s = delay_s
        await load.sell_for(3.0)
        for line in lines:
            line.delay_s = 0.0
        return at_s

    return strike


async def stop(world: World, load: Load, _random: Random, trials: int) -> Observations:
    """Stop it for half a minute, at a load that keeps the shop busy, and compare the sales."""
    seen = Observations()
    for _ in range(trials):
        before_per_s = await load.sell_for(10.0)
        at_s = time.monotonic()
        world.valkey.pause()
        try:
            seen.recoveries_s.append(await load.next_sale(at_s))
            during_per_s = await load.sell_for(_STOPPED_S - (time.monotonic() - at_s))
        finally:
            world.valkey.go_on()
        seen.trials += 1
        _compare(seen, before_per_s, during_per_s)
        await wait_for(lambda: answers(world), _BACK_WITHIN_S, "Valkey is not back")
        seen.broken += await audit_now(world.settings)
    return seen


def _compare(seen: Observations, before_per_s: float, during_per_s: float) -> None:
    kept_percent = 100 * during_per_s / before_per_s if before_per_s else 0.0
    worst_percent = min(kept_percent, seen.figures.get("goodput_kept_percent", kept_percent))
    seen.figures["goodput_kept_percent"] = worst_percent
    seen.figures["sales_before_per_s"] = before_per_s
    if kept_percent < GOODPUT_KEPT_MIN_PERCENT:
        seen.broken.append(f"{kept_percent:.0f} % of the sales went on without Valkey")


def _row(name: str, does: str, expects: str, run: Play, **more: Any) -> Row:
    return Row(
        name=name,
        part=Part.VALKEY,
        does=does,
        expects=expects,
        run=run,
        recovery_p99_max_s=RECOVERY_MAX_S,
        **{"layout": Layout(settings=_ALWAYS), **more},
    )


_PROXIED = Layout(is_proxied=True, settings=_ALWAYS)

ROWS: tuple[AnyRow, ...] = (
    _row(
        "valkey_sigkill",
        "SIGKILL of Valkey; the supervisor starts it again, empty",
        "nobody notices",
        striking(kill),
        trials=50,
        trial_s=1.5,
        round_trials=50,
    ),
    _row(
        "valkey_sigstop",
        "SIGSTOP of Valkey for 30 s under a load that keeps the shop busy, then SIGCONT",
        "nobody notices, and at least 70 % of the sales go on",
        stop,
        trials=2,
        trial_s=45.0,
        seats=40_000,
        people=2_000,
        pace=Pace(visits_per_s=300.0, visits_under_way_max=48, releases=0.3, looks=0.0),
    ),
    _row(
        "valkey_slow",
        "every piece to and from Valkey takes 20 ms, which is within the deadline of a call",
        "nobody notices",
        striking(slowed(_SLOW_WITHIN_S)),
        trials=5,
        trial_s=4.0,
        layout=_PROXIED,
    ),
    _row(
        "valkey_too_slow",
        "every piece to and from Valkey takes 250 ms, which is beyond the deadline of a call",
        "nobody notices: Valkey is spared",
        striking(slowed(_SLOW_BEYOND_S)),
        trials=5,
        trial_s=4.0,
        layout=_PROXIED,
    ),
    _row(
        "valkey_out_of_memory",
        "Valkey refuses every write for 2 s: it has no memory and may forget nothing",
        "nobody notices",
        striking(fill),
        trials=5,
        trial_s=3.5,
    ),
    _row(
        "valkey_flushall",
        "somebody empties Valkey",
        "nobody notices",
        striking(flush),
        trials=20,
        trial_s=1.5,
    ),
    _row(
        "valkey_older_snapshot",
        "SIGKILL of Valkey, which comes back with what it knew one or two seconds before",
        "nobody notices: what it believes decides nothing",
        striking(go_back),
        trials=8,
        trial_s=3.0,
    ),
)
