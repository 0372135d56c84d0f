"""`python -m bench.waiting_room`: a million people join, wait, are drawn and let in; everything is checked.

The crowd stands in this process and calls the batches of the waiting room on a real Valkey and
PostgreSQL, with a clock that runs as fast as it can. While all wait, a sample comes over HTTP to
a real server. It exits with 1 where an order, a number, a position or the cap was broken.
"""

import asyncio
import random
import secrets
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID, uuid4

import msgspec
import typer

from bench.client import load
from bench.environment.environment import Hall, HallPlan, Stage, stage
from bench.environment.processes import APP, Server, running
from bench.scenarios import http_requests
from boxoffice.audit import audit
from boxoffice.batching import Pending
from boxoffice.platform.ids import new_id
from boxoffice.platform.lease.lease import Lease
from boxoffice.platform.lease.store import LeaseStore
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.valkey import Valkey, ValkeyAway
from boxoffice.settings import Settings
from boxoffice.waiting_room import rules
from boxoffice.waiting_room.engine.leader import ROLE, Leader
from boxoffice.waiting_room.engine.line import Claim, Line, LineLost, Places
from boxoffice.waiting_room.handlers import EnterCommand, EnterDecider
from boxoffice.waiting_room.rooms import Rooms
from boxoffice.waiting_room.rules import Mode, Room, RoomChange
from boxoffice.waiting_room.store import Defaults, QueueStore, lock_room, set_room

_BATCH = 500
_STEP_S = 0.25
_BEAT_S = 0.2
_OPENS_IN_S = 3_600.0
_SAMPLE = 300
_STEPS_MAX = 20_000
_STATIONS = (1_000, 10_000, 100_000, 1_000_000)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class Told(msgspec.Struct):
    """What came out; whatever counts something wrong must be 0."""

    seed: int
    people: int
    late: int = 0
    joins_per_s: float = 0.0
    let_in: int = 0
    never_came: int = 0
    went_before: int = 0
    most_inside: int = 0
    simulated_s: float = 0.0
    took_s: float = 0.0
    valkey_bytes_per_person: dict[str, float] = {}
    worker_mib: dict[str, float] = {}
    recovery_s: float = 0.0
    http_sample: int = 0
    wrong_numbers: int = 0
    wrong_positions: int = 0
    wrong_turns: int = 0
    broken: list[str] = []

    @property
    def is_right(self) -> bool:
        """Whether everything held."""
        return not (self.wrong_numbers or self.wrong_positions or self.wrong_turns or self.broken)


class Crowd:
    """People in the line of one schedule; `people` by their numbers, None for who came over HTTP."""

    def __init__(self, settings: Settings, schedule_id: UUID, told: Told, cap: int) -> None:
        self.now_s = time.time()
        self.told = told
        self.rng = random.Random(told.seed)  # noqa: S311 — a load, not a secret
        self.people: list[UUID | None] = [None]
        self._schedule_id = schedule_id
        self._cap = cap
        self._db, self._valkey = Database(settings), Valkey(settings)
        self._store = QueueStore(self._db)
        self._line = Line(self._valkey, settings.queue_line_ttl_s, settings.queue_beat_max)
        self._rooms = Rooms(settings, self._store, self._line)
        self._enters = EnterDecider(self._line, self._store, self._rooms, self._now)
        lease = Lease(LeaseStore(self._db, ROLE, new_id()), 600_000)
        self._leader = Leader(
            settings, lease, self._store, self._line, self._rooms, self._now, _seats_left, self._now
        )
        self._by_place: dict[int, int] = {}
        self._coming: list[int] = []
        self._due: dict[int, list[int]] = defaultdict(list)

    def _now(self) -> float:
        return self.now_s

    @property
    def room(self) -> Room:
        """The room as it was read last."""
        found = self._rooms.get(self._schedule_id)
        if found is None:
            raise RuntimeError("the room is gone")
        return found

    async def open(self, opens_in_s: float) -> None:
        """Make the room, and its line."""
        await self._db.open()
        defaults = Defaults(1.0, 1, 60, 20, self.now_s + opens_in_s, secrets.token_bytes(32))
        change = RoomChange(mode=Mode.LOBBY, rate_per_s=100_000.0, inside_max=self._cap)
        async with self._store.transaction() as connection:
            room = await lock_room(connection, self._schedule_id, defaults)
            await set_room(connection, rules.changed(room, change))
        await self._rooms.read_rooms()
        for _ in range(2):
            await self.beat()

    async def close(self) -> None:
        """Let go of the servers, and of the lead."""
        await self._leader.release()
        await self._valkey.close()
        await self._db.close()

    async def beat(self) -> None:
        """Lead once, and read what a worker reads."""
        await self._leader.beat()
        await self._rooms.read_rooms()
        await self._rooms.read_counters(self._schedule_id)

    async def join(self, count: int) -> float:
        """Have so many more people join; return the seconds that it took."""
        took_s = 0.0
        for at in range(0, count, _BATCH):
            part = [uuid4() for _ in range(min(_BATCH, count - at))]
            accounts = b"".join([user_id.bytes for user_id in part])
            began_at = time.perf_counter()
            _, numbers = await self._line.join(self._schedule_id, accounts)
            while 0 in numbers:  # a crowd that never pauses is faster than the leader
                await self.beat()
                _, again = await self._line.join(self._schedule_id, accounts)
                numbers = [abs(number) for number in again]
            await self._store.note_joins(self._schedule_id, Places(numbers, accounts))
            took_s += time.perf_counter() - began_at
            expected = list(range(len(self.people), len(self.people) + len(part)))
            self.told.wrong_numbers += numbers != expected
            self.people += part
            if at % (10 * _BATCH) == 0:
                await self.beat()
        await self.beat()
        return took_s

    async def recover(self, servers: Stage) -> None:
        """Lose Valkey, and time from its return, empty, until somebody has a number again."""
        servers.kill_valkey()  # blocks: it starts processes, which only this thread may
        began_at = time.perf_counter()
        while True:
            try:
                await self.beat()
                _, (number,) = await self._line.join(self._schedule_id, uuid4().bytes)
                break
            except (ValkeyAway, LineLost):
                await asyncio.sleep(_BEAT_S)
        self.told.recovery_s = round(time.perf_counter() - began_at, 3)
        # Between them are the numbers that perhaps were given out before; nobody has them.
        self.told.wrong_numbers += number != self.room.joined + 1
        self.people += [None] * (number - len(self.people) + 1)

    async def some_leave(self, count: int) -> None:
        """Have people give their places back before they are called."""
        waiting = [at for at in range(1, len(self.people)) if self.people[at] is not None]
        gone = self.rng.sample(waiting, count)
        await self._out(gone, "left")
        for number in gone:
            self.people[number] = None
        self.told.went_before += count

    def note_draw(self) -> None:
        """Note where everybody stands after the draw; each place must be somebody's, and once."""
        room = self.room
        for number in range(1, (room.lobby_size or 0) + 1):
            self._by_place[room.place_of(number)] = number
        if sorted(self._by_place) != list(range(1, len(self.people))):
            self.told.broken.append("the draw is no permutation")

    def note_late(self, count: int) -> None:
        """Note those who joined after the draw."""
        for number in range(len(self.people) - count, len(self.people)):
            self._by_place[number] = number

    async def let_all_in(self) -> None:
        """Let time pass until everybody was called and is out again."""
        before = steps = 0
        began_s = self.now_s
        while before < len(self.people) - 1 or self._due or self._coming:
            steps += 1
            if steps > _STEPS_MAX:
                raise RuntimeError("the line does not come to its end")
            self.now_s += _STEP_S
            await self.beat()
            called = self._rooms.counters(self._schedule_id).called
            await self._come([self._by_place[place] for place in range(before + 1, called + 1)])
            await self._ask(steps)
            self._check_positions(called)
            before = called
            await self._out(self._due.pop(steps, []), "paid")
        self.told.simulated_s = round(self.now_s - began_s, 1)

    async def _come(self, numbers: Sequence[int]) -> None:
        """Have those who were called come, most of them."""
        here = [one for one in numbers if self.people[one] is not None and self.rng.random() < 0.97]
        self.told.never_came += sum(self.people[one] is not None for one in numbers) - len(here)
        self._coming += here

    async def _ask(self, step: int) -> None:
        """Have those who come ask, and ask again with the next step; who is in pays some time later."""
        asking, self._coming = self._coming, []
        for at in range(0, len(asking), _BATCH):
            part = asking[at : at + _BATCH]
            batch: list[Pending[EnterCommand, Any]] = [
                # Their tickets are from before Valkey was lost.
                Pending(EnterCommand(user_id, number, 1), number)
                for number in part
                if (user_id := self.people[number])
            ]
            answers: Sequence[Any] = await self._enters.decide(self._schedule_id, batch)
            for number, answer in zip(part, answers, strict=True):
                if answer.word in {"waits", "is_next"}:
                    self._coming.append(number)
                    continue
                self.told.wrong_turns += answer.word != "inside"
                self.told.let_in += 1
                self._due[step + self.rng.randint(1, 12)].append(number)
        inside = self._rooms.counters(self._schedule_id).inside
        self.told.most_inside = max(self.told.most_inside, inside)

    def _check_positions(self, called: int) -> None:
        """Ask as workers do for the positions of a few who wait."""
        room, counters = self.room, self._rooms.counters(self._schedule_id)
        for _ in range(5):
            number = self.rng.randrange(1, len(self.people))
            place = room.place_of(number)
            told = rules.position(room, counters, place)
            # Places that nobody has are left out, as far as they are known.
            self.told.wrong_positions += not (place > called) <= told <= max(0, place - called)

    async def _out(self, numbers: Sequence[int], why: str) -> None:
        room = self.room
        for at in range(0, len(numbers), _BATCH):
            claims = [
                Claim(user_id, number, 0 if room.is_lobby else room.place_of(number), 0)
                for number in numbers[at : at + _BATCH]
                if (user_id := self.people[number])
            ]
            await self._line.leave(self._schedule_id, int(self.now_s * 1000), why, claims)


async def _seats_left(_schedule_id: UUID) -> int | None:
    return None


class _Asked(msgspec.Struct):
    number: int
    state: str
    queue_ticket: str = ""


def _sample(server: Server, schedule_id: str, tokens: Sequence[str], crowd: Crowd) -> None:
    """Have people join and ask over HTTP while everybody else waits."""
    bodies = load.fire(server.port, [http_requests.join(schedule_id, token) for token in tokens])
    joined = [msgspec.json.decode(body, type=_Asked) for body in bodies]
    asks = [http_requests.ask_place(schedule_id, one.queue_ticket) for one in joined]
    asked = [msgspec.json.decode(body, type=_Asked) for body in load.fire(server.port, asks)]
    first = len(crowd.people)
    crowd.people += [None] * len(tokens)
    expected = list(range(first, first + len(tokens)))
    told = crowd.told
    told.http_sample += len(tokens)
    told.wrong_numbers += sorted(one.number for one in joined) != expected
    told.wrong_numbers += [one.number for one in asked] != [one.number for one in joined]
    told.wrong_positions += any(one.state != "LOBBY" for one in asked)


def _play(servers: Stage, hall: Hall, settings: Settings, told: Told, folder: Path) -> None:
    schedule_id = hall.schedules[0].schedule_id
    crowd = Crowd(settings, UUID(schedule_id), told, cap=5_000)
    env = {**servers.env(settings, 1), "BOXOFFICE_QUEUE_ADDRESS_REQUESTS_PER_S_MAX": "1000000"}

    async def wait_in_line() -> None:
        await crowd.open(_OPENS_IN_S)
        empty = servers.valkey_bytes()
        before = (told.people * 8) // 10
        took_s = 0.0
        for station in (*[one for one in _STATIONS if one < before], before):
            took_s += await crowd.join(station - len(crowd.people) + 1)
            per_person = (servers.valkey_bytes() - empty) / station
            told.valkey_bytes_per_person[f"{station:,}"] = round(per_person, 1)
            if station in (_STATIONS[0], before):
                with running(APP, env, folder / "serve.log") as server:
                    tokens = hall.tokens[told.http_sample : told.http_sample + _SAMPLE]
                    await asyncio.to_thread(_sample, server, schedule_id, tokens, crowd)
                    mib = await asyncio.to_thread(server.group.held_mib)
                told.worker_mib[f"{station:,}"] = round(mib, 1)
        told.joins_per_s = round(before / took_s)
        await crowd.recover(servers)

    async def be_drawn_and_let_in() -> None:
        await crowd.some_leave(told.people // 50)
        crowd.now_s += _OPENS_IN_S + 1.0
        for _ in range(3):
            await crowd.beat()
        crowd.note_draw()
        told.late = told.people // 5
        await crowd.join(told.late)
        crowd.note_late(told.late)
        await crowd.let_all_in()

    async def play() -> None:
        try:
            await wait_in_line()
            await be_drawn_and_let_in()
        finally:
            await crowd.close()
        report = await audit(settings)
        told.broken += [check.name for check in report.broken]

    asyncio.run(play())


@app.command()
def main(
    people: Annotated[int, typer.Option(min=5_000)] = 1_000_000,
    seed: Annotated[int, typer.Option(help="Who comes, leaves and stays away.")] = 0,
    json: Annotated[Path | None, typer.Option(help="Where to write what came out.")] = None,
) -> None:
    """Have a crowd stand in the waiting room, and check what each was told."""
    told = Told(seed or secrets.randbits(31), people)
    began_at = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="boxoffice-crowd-", ignore_cleanup_errors=True) as home,
        stage(Path(home) / "servers") as servers,
    ):
        plan = HallPlan(1_000, 1, 2 * _SAMPLE)
        hall = servers.sow(plan)
        with servers.fresh(plan) as settings:
            # A crowd that never pauses would run into the deadline that a shop has.
            patient = msgspec.structs.replace(settings, valkey_timeout_ms=10_000)
            _play(servers, hall, patient, told, Path(home))
    told.took_s = round(time.monotonic() - began_at, 1)
    written = msgspec.json.format(msgspec.json.encode(told))
    typer.echo(written.decode())
    if json is not None:
        json.write_bytes(written)
    sys.exit(0 if told.is_right else "crowd: something did not hold")


if __name__ == "__main__":
    app()
