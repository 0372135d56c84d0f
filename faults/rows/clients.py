"""What clients do to the shop."""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import msgspec
import psutil

from bench import wire
from faults.load import Answer, Call, Load, Pace, new_session
from faults.matrix import AnyRow, Observations, Part, Row
from faults.record import Held, percentile
from faults.rude import Told, Wish
from faults.targets import MEMORY_GROWTH_MAX_MB, SLOWER_MAX
from faults.world import Layout, World

_MB = 1_000_000
# A turn of the scheduler on a busy core takes this long: what is quicker is not told apart.
_RESOLUTION_S = 0.005
_WARM_S = 2.0
_CALM_S = 4.0
_RUDE_S = 7.0
_SETTLED_AFTER_S = 0.5
_LOOK_EVERY_S = 0.2
_REPLAYS = 100
_END_WITHIN_S = 30.0
# Shorter than by default, so that every deadline strikes several times in a trial.
_DEADLINES = {
    "header_timeout_ms": 3_000,
    "body_timeout_ms": 3_000,
    "write_timeout_ms": 3_000,
    "log_requests": "false",
}


# Enough requests for a p99, and seats left to the end.
_BRISK = Pace(visits_per_s=80.0, pays=0.3, releases=0.5, looks=0.0)


@dataclass(frozen=True)
class Rudeness:
    """One kind of rude clients, how many of them, and what all of them together must be told."""

    kind: str
    clients: int
    expected: tuple[str, ...]


async def _play_rude(wish: Wish) -> Told:
    """Let rude clients loose in a process of their own, so that their work delays nobody else's."""
    return await asyncio.to_thread(_run_rude, wish)


def _run_rude(wish: Wish) -> Told:
    with tempfile.TemporaryDirectory(prefix="boxoffice-rude-") as folder:
        written, answer = Path(folder, "wish"), Path(folder, "told")
        written.write_bytes(msgspec.msgpack.encode(wish))
        argv = [sys.executable, "-m", "faults.rude", str(written), str(answer)]
        subprocess.run(
            argv, check=True, stdin=subprocess.DEVNULL, timeout=wish.seconds + _END_WITHIN_S
        )
        return msgspec.msgpack.decode(answer.read_bytes(), type=Told)


async def _peak_bytes(pid: int, until: "asyncio.Task[Told]") -> int:
    """Return the most memory that a process had resident while others are rude."""
    peak = 0
    while not until.done():
        peak = max(peak, psutil.Process(pid).memory_info().rss)
        await asyncio.sleep(_LOOK_EVERY_S)
    return peak


async def _take_maps(url: str, until_s: float) -> None:
    """Read the seat map as it is, again and again: what a worker needs for that is no growth."""
    async with new_session() as session:
        while time.monotonic() < until_s:
            async with session.get(url, headers={"Accept-Encoding": "identity"}) as answer:
                await answer.read()
            await asyncio.sleep(_LOOK_EVERY_S)


@dataclass
class _Times:
    """How long the requests of normal people took in all trials, and who was rude to them."""

    calm_s: list[float] = field(default_factory=list)
    beside_s: list[float] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    growth_mb: float = 0.0

    @property
    def times(self) -> float:
        """How many times as long the p99 is beside rude clients; a shorter one counts as 5 ms."""
        return _p99_s(self.beside_s) / max(_p99_s(self.calm_s), _RESOLUTION_S)


def _p99_s(times_s: Sequence[float]) -> float:
    return percentile(sorted(times_s), 99) if times_s else 0.0


def _took_s(load: Load, begin_s: float, end_s: float) -> list[float]:
    """Return how long the requests took that began in that time."""
    return [
        one.end_s - one.begin_s for one in load.record.attempts if begin_s <= one.begin_s < end_s
    ]


async def _stay_calm(load: Load, seen: _Times) -> None:
    """Let people buy among themselves, once what rude clients left has been put away."""
    await asyncio.sleep(_SETTLED_AFTER_S)
    begin_s = time.monotonic()
    await asyncio.sleep(_CALM_S)
    seen.calm_s += _took_s(load, begin_s, time.monotonic())


async def _suffer(load: Load, pid: int, wish: Wish, seen: _Times) -> int:
    """Let people buy beside rude clients; return the most memory that their worker had, in bytes."""
    playing = asyncio.create_task(_play_rude(wish))
    peak_bytes = await _peak_bytes(pid, playing)
    told = await playing
    # From the first rude client on: what it takes to start their process is not theirs.
    seen.beside_s += _took_s(load, told.begin_s, told.end_s)
    seen.told.append(told)
    return peak_bytes


async def _between(world: World, load: Load, wish: Wish, trials: int) -> _Times:
    """Let people buy beside rude clients as often as asked, and before and after each time without."""
    seen, pid = _Times(), world.api[0].pid
    await _take_maps(f"{world.api[0].url}{wish.path}", time.monotonic() + _WARM_S)
    before_bytes = psutil.Process(pid).memory_info().rss
    for _ in range(trials):
        await _stay_calm(load, seen)
        peak_bytes = await _suffer(load, pid, wish, seen)
        seen.growth_mb = max(seen.growth_mb, (peak_bytes - before_bytes) / _MB)
    await _stay_calm(load, seen)
    return seen


def _judged(rude: Rudeness, played: _Times) -> Observations:
    seen = Observations(trials=len(played.told))
    seen.figures = {
        "memory_growth_mb": played.growth_mb,
        "p99_calm_ms": _p99_s(played.calm_s) * 1000,
        "p99_beside_ms": _p99_s(played.beside_s) * 1000,
        "p99_times": played.times,
        "requests_beside_count": len(played.beside_s),
        "rude_turns_count": sum(one.turns for one in played.told),
    }
    if played.growth_mb > MEMORY_GROWTH_MAX_MB:
        seen.broken.append(f"a worker grew by {played.growth_mb:.0f} MB")
    if played.times > SLOWER_MAX:
        seen.broken.append(f"the others' p99 is {played.times:.1f} times what it was without them")
    for told in played.told:
        if set(told.answers) - set(rude.expected) or not told.turns:
            seen.broken.append(f"rude clients were told {told.answers} in {told.turns} turns")
    return seen


def _row(rude: Rudeness, does: str, expects: str) -> Row:
    """Return the row of one kind of rude clients."""

    async def run(world: World, load: Load, _random: Random, trials: int) -> Observations:
        path = f"/v1/schedules/{load.field.schedule_id}/seats"
        # Somebody else's sale: what is held there is nobody's to remember.
        beside = await world.sow(seats=100, people=1, hold_ttl_s=3_600)
        token = beside.people[0].access_token
        hold = wire.hold(beside.schedule_id, token, "hang-up", beside.seat_ids[:1])
        wish = Wish(
            kind=rude.kind,
            port=world.api[0].port,
            clients=rude.clients,
            seconds=_RUDE_S,
            path=path,
            hold=hold,
        )
        return _judged(rude, await _between(world, load, wish, trials))

    return Row(
        name=f"clients_{rude.kind}",
        part=Part.CLIENTS,
        does=does,
        expects=f"{expects}; a worker grows by 50 MB at most, the others' p99 at most doubles",
        run=run,
        trials=3,
        trial_s=_CALM_S + _RUDE_S + 4,
        layout=Layout(api=1, settings=_DEADLINES),
        pace=_BRISK,
    )


async def replay(_world: World, load: Load, random: Random, trials: int) -> Observations:
    """Send one hold a hundred times at once to both processes, under one key."""
    seen = Observations()
    for trial in range(trials):
        person = random.randrange(len(load.field.people))
        # From the far end: the others buy from the near one.
        seats = (load.field.seat_ids[-1 - trial],)
        call = Call(
            "hold",
            "POST",
            f"/v1/schedules/{load.field.schedule_id}/reservations",
            person,
            load.new_key("replay"),
            {"seat_ids": list(seats)},
            seats,
        )
        begin_s = time.monotonic()
        answers = await asyncio.gather(*(load.call(call) for _ in range(_REPLAYS)))
        seen.trials += 1
        seen.broken += _take_replays(load, call, answers, begin_s)
    seen.figures["replays_count"] = float(_REPLAYS)
    return seen


def _take_replays(
    load: Load, call: Call, answers: list[Answer | None], begin_s: float
) -> list[str]:
    """Write the one hold down; return what is wrong where there is not exactly one."""
    bodies = {repr(one.body) for one in answers if one is not None and one.status == 201}
    kinds = {"none" if one is None else f"{one.status} {one.code}".strip() for one in answers}
    first = next((one for one in answers if one is not None and one.status == 201), None)
    if first is None or kinds != {"201"} or len(bodies) != 1:
        return [f"{_REPLAYS} replays were answered {sorted(kinds)} with {len(bodies)} bodies"]
    body = first.body
    load.record.holds.append(
        Held(
            body["reservation_id"],
            call.person,
            call.seats,
            body["amount"],
            call.key,
            begin_s,
            max(one.end_s for one in answers if one is not None),
        )
    )
    return []


ROWS: tuple[AnyRow, ...] = (
    _row(
        Rudeness("slow_heads", 300, ("408",)),
        "300 connections that send a byte of a head every half second",
        "each is told 408 at its deadline",
    ),
    _row(
        Rudeness("slow_bodies", 300, ("408",)),
        "300 connections that send a byte of a body every half second",
        "each is told 408 at its deadline",
    ),
    _row(
        Rudeness("storm", 150, ("200",)),
        "150 clients that connect anew for every request, some 300 connections a second",
        "all are answered",
    ),
    _row(
        Rudeness("hang_ups", 40, ()),
        "40 clients that reset their connection in the head, in the body or before the answer",
        "nobody else notices, and what they held is held once",
    ),
    _row(
        Rudeness("giant_bodies", 10, ("413", "closed", "cut")),
        "10 clients that send bodies of a gigabyte, declared or in chunks",
        "413, and the connection is closed",
    ),
    _row(
        Rudeness("deep_json", 20, ("400",)),
        "20 clients that send JSON of 12,000 levels",
        "400",
    ),
    _row(
        Rudeness("never_read", 200, ("cut",)),
        "200 connections that ask for seat maps and never read an answer",
        "each is cut when its answer was not taken in time",
    ),
    Row(
        name="clients_replays",
        part=Part.CLIENTS,
        does="one hold sent a hundred times at once to both processes, under one key",
        expects="all get the same bytes, and there is one hold",
        run=replay,
        trials=20,
        quick_trials=2,
        trial_s=0.5,
        hold_ttl_s=60,
    ),
)
