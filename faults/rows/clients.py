"""What clients do to the shop."""

import asyncio
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random

import msgspec
import psutil

from bench import wire
from faults.load import Answer, Call, Load, Pace, new_session
from faults.matrix import AnyRow, Observations, Part, Row
from faults.record import Held, percentile
from faults.rude import Told, Wish
from faults.world import Layout, World

_MIB = 1 << 20
_GROWTH_MAX_MIB = 50.0
_SLOWER_MAX = 2.0
# On a shared machine a handful of requests takes this long for no reason; below it nothing is slow.
_NOTICEABLE_S = 0.05
_CALM_S = 6.0
_RUDE_S = 10.0
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


def _p99_s(load: Load, begin_s: float, end_s: float) -> float:
    """Return the 99th percentile of the time of the requests that began in that time."""
    ordered = sorted(
        one.end_s - one.begin_s for one in load.record.attempts if begin_s <= one.begin_s < end_s
    )
    return percentile(ordered, 99) if ordered else 0.0


@dataclass(frozen=True)
class _Trial:
    """What people and a worker were like beside rude clients, and before and after them."""

    growth_mib: float
    calm_p99_s: float
    beside_p99_s: float
    told: Told

    @property
    def is_slow(self) -> bool:
        """Whether the others noticed."""
        return self.beside_p99_s > max(_SLOWER_MAX * self.calm_p99_s, _NOTICEABLE_S)


async def _beside(world: World, load: Load, wish: Wish) -> _Trial:
    """Let people buy among themselves, then beside rude clients, then among themselves again.

    The machine may have become busier meanwhile: what counts as calm is the worse of both times.
    """
    url = f"{world.api[0].url}{wish.path}"
    began_s = time.monotonic()
    await _take_maps(url, began_s + _CALM_S)
    before_bytes = psutil.Process(world.api[0].pid).memory_info().rss
    rude_s = time.monotonic()
    playing = asyncio.create_task(_play_rude(wish))
    peak_bytes = await _peak_bytes(world.api[0].pid, playing)
    told = await playing
    calm_s = time.monotonic()
    await _take_maps(url, calm_s + _CALM_S)
    calm_p99_s = max(_p99_s(load, began_s, rude_s), _p99_s(load, calm_s, time.monotonic()))
    growth_mib = (peak_bytes - before_bytes) / _MIB
    return _Trial(growth_mib, calm_p99_s, _p99_s(load, rude_s, calm_s), told)


def _judged(rude: Rudeness, played: list[_Trial]) -> Observations:
    """Return what most of the trials say of the others' time, and all of them of the rest."""
    seen = Observations(trials=len(played))
    middle = sorted(played, key=lambda one: one.beside_p99_s)[(len(played) - 1) // 2]
    seen.figures = {
        "memory_growth_mib": max(one.growth_mib for one in played),
        "p99_calm_ms": middle.calm_p99_s * 1000,
        "p99_beside_ms": middle.beside_p99_s * 1000,
        "rude_turns_count": sum(one.told.turns for one in played),
    }
    if seen.figures["memory_growth_mib"] > _GROWTH_MAX_MIB:
        seen.broken.append(f"a worker grew by {seen.figures['memory_growth_mib']:.0f} MiB")
    if 2 * sum(one.is_slow for one in played) > len(played):
        seen.broken.append(
            f"p99 is {middle.beside_p99_s * 1000:.0f} ms, and {middle.calm_p99_s * 1000:.0f} ms"
            " before and after"
        )
    for told in (one.told for one in played):
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
        played = []
        for _ in range(trials):
            wish = Wish(
                kind=rude.kind,
                port=world.api[0].port,
                clients=rude.clients,
                seconds=_RUDE_S,
                path=path,
                hold=hold,
            )
            played.append(await _beside(world, load, wish))
        return _judged(rude, played)

    return Row(
        name=f"clients_{rude.kind}",
        part=Part.CLIENTS,
        does=does,
        expects=f"{expects}; a worker grows by 50 MiB at most, the others' p99 at most doubles",
        run=run,
        trials=3,
        trial_s=2 * _CALM_S + _RUDE_S + 3,
        layout=Layout(api=1, settings=_DEADLINES),
        pace=Pace(visits_per_s=40.0, looks=0.0),
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
        trials=30,
        quick_trials=2,
        trial_s=1.0,
        hold_ttl_s=60,
    ),
)
