"""`python -m bench.waiting_room`: a million users join, wait, are drawn and admitted.

The users are simulated in this process with a clock of its own; the batches run on a real Valkey and
PostgreSQL. A sample joins and polls over HTTP. Exits with 1 when an order, a number, a position or the
cap is wrong. `--users 14000000` needs 2 GB of memory, 10 GB of disk and one to two hours.
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
from uuid import UUID

import msgspec
import typer

from bench.client import load
from bench.crowd import Crowd, Places
from bench.environment.environment import Dataset, DatasetPlan, Environment, running_environment
from bench.environment.processes import APP, ServerProcess, running
from bench.scenarios import http_requests
from boxoffice.audit import audit
from boxoffice.batching import Pending
from boxoffice.platform.ids import new_id
from boxoffice.platform.lease.lease import Lease
from boxoffice.platform.lease.store import LeaseStore
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.valkey import Valkey, ValkeyUnavailable
from boxoffice.settings import Settings
from boxoffice.waiting_room import rules
from boxoffice.waiting_room.engine.leader import ROLE, Leader
from boxoffice.waiting_room.engine.queue_state import (
    IssuedNumbers,
    QueueState,
    QueueStateLost,
    TicketHolder,
)
from boxoffice.waiting_room.handlers import EnterCommand, EnterHandler
from boxoffice.waiting_room.registry import WaitingRoomRegistry
from boxoffice.waiting_room.rules import Mode, WaitingRoomChange, WaitingRoomState
from boxoffice.waiting_room.store import QueueStore, RoomDefaults, lock_room, set_room

_BATCH = 500
_STEP_S = 0.25
_TICK_S = 0.2
_OPENS_IN_S = 3_600.0
_SAMPLE = 300
_STEPS_MAX = 20_000
_STEPS_PER_LINE = 250
_CHECKPOINTS = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
# Longer than the longest step without a tick, the draw.
_LEASE_MS = 3_600_000
# As many users are inside, and called per tick, that the clock passes through as many ticks.
_CAP_SHARE, _CAP_MIN = 200, 5_000
_TICK_SHARE, _TICK_MIN, _TICK_MAX = 2_800, 1_000, 5_000
_VALKEY_MB = 1_024
# The audit reads every admission.
_AUDIT_TIMEOUT_MS = 1_800_000

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class SimulationResult(msgspec.Struct):
    """Measurements of one run; the `wrong_` counts must be 0."""

    seed: int
    users: int
    late: int = 0
    joins_per_s: float = 0.0
    admitted: int = 0
    no_shows: int = 0
    left_before: int = 0
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
    failures: list[str] = []

    @property
    def is_right(self) -> bool:
        """Whether every check passed."""
        return not (self.wrong_numbers or self.wrong_positions or self.wrong_turns or self.failures)


class Simulation:
    """Users in the queue of one schedule."""

    def __init__(
        self, settings: Settings, schedule_id: UUID, result: SimulationResult, cap: int
    ) -> None:
        self.now_s = time.time()
        self.result = result
        self.rng = random.Random(result.seed)  # noqa: S311 — a load, not a secret
        self.crowd = Crowd(result.seed)
        self._schedule_id = schedule_id
        self._cap = cap
        self._db, self._valkey = Database(settings), Valkey(settings.valkey)
        self._store = QueueStore(self._db)
        self._queue_state = QueueState(
            self._valkey,
            settings.waiting_room.queue_state_ttl_s,
            settings.waiting_room.queue_tick_max,
        )
        self._rooms = WaitingRoomRegistry(settings.waiting_room, self._store, self._queue_state)
        self._enters = EnterHandler(self._queue_state, self._store, self._rooms, self._now)
        lease = Lease(LeaseStore(self._db, ROLE, new_id()), _LEASE_MS)
        self._leader = Leader(
            settings.waiting_room,
            lease,
            self._store,
            self._queue_state,
            self._rooms,
            self._now,
            _seats_left,
            self._now,
        )
        self._places = Places(0)
        self._arriving: list[int] = []
        self._due: dict[int, list[int]] = defaultdict(list)

    def _now(self) -> float:
        return self.now_s

    @property
    def room(self) -> WaitingRoomState:
        """The room as last read."""
        found = self._rooms.by_schedule.get(self._schedule_id)
        if found is None:
            raise RuntimeError("the waiting room is gone")
        return found

    async def open(self, opens_in_s: float) -> None:
        """Create the waiting room and its queue."""
        await self._db.open()
        defaults = RoomDefaults(1.0, 1, 60, 20, self.now_s + opens_in_s, secrets.token_bytes(32))
        change = WaitingRoomChange(mode=Mode.LOBBY, rate_per_s=100_000.0, inside_max=self._cap)
        async with self._store.transaction() as connection:
            room = await lock_room(connection, self._schedule_id, defaults)
            await set_room(connection, rules.apply_change(room, change))
        await self._rooms.refresh()
        for _ in range(2):
            await self.tick()

    async def close(self) -> None:
        """Release the lease and close the connections."""
        await self._leader.release()
        await self._valkey.close()
        await self._db.close()

    async def tick(self) -> None:
        """Run one leader tick and refresh the cache of a worker."""
        await self._leader.tick()
        await self._rooms.refresh()
        await self._rooms.refresh_counters(self._schedule_id)

    async def join(self, count: int) -> float:
        """Add `count` users to the queue; return the seconds this took."""
        took_s = 0.0
        for at in range(0, count, _BATCH):
            first = self.crowd.last + 1
            expected = range(first, first + min(_BATCH, count - at))
            accounts = b"".join(map(self.crowd.account, expected))
            began_at = time.perf_counter()
            _, numbers = await self._queue_state.join(self._schedule_id, accounts)
            while 0 in numbers:  # joins without a pause outrun the leader
                await self.tick()
                _, again = await self._queue_state.join(self._schedule_id, accounts)
                numbers = [abs(number) for number in again]
            await self._store.record_joins(self._schedule_id, IssuedNumbers(numbers, accounts))
            took_s += time.perf_counter() - began_at
            self.result.wrong_numbers += numbers != list(expected)
            self.crowd.add(len(expected))
            if at % (10 * _BATCH) == 0:
                await self.tick()
        await self.tick()
        return took_s

    async def recover(self, servers: Environment) -> None:
        """Kill Valkey; time from its return, empty, to the next number."""
        servers.kill_valkey()  # blocks: it starts processes, which only this thread may
        began_at = time.perf_counter()
        while True:
            try:
                await self.tick()
                _, (number,) = await self._queue_state.join(
                    self._schedule_id, secrets.token_bytes(16)
                )
                break
            except (ValkeyUnavailable, QueueStateLost):
                await asyncio.sleep(_TICK_S)
        self.result.recovery_s = round(time.perf_counter() - began_at, 3)
        # Without a ticket, a user has the restored number only.
        kept = self.crowd.sample(self.rng, _SAMPLE)
        accounts = b"".join(map(self.crowd.account, kept))
        _, again = await self._queue_state.join(self._schedule_id, accounts)
        self.result.wrong_numbers += again != [-one for one in kept]
        # The reserved numbers between may have been given out before the loss; they stay unused.
        self.result.wrong_numbers += number != self.room.joined + 1
        self.crowd.skip(number - self.crowd.last)

    async def leave_some(self, count: int) -> None:
        """Let `count` users leave before they are called."""
        gone = self.crowd.sample(self.rng, count)
        await self._exit(gone, "left")
        for number in gone:
            self.crowd.remove(number)
        self.result.left_before += count

    def note_draw(self) -> None:
        """Record every place after the draw; the places must be a permutation."""
        room = self.room
        self._places = Places(self.crowd.last)
        for number in range(1, (room.lobby_size or 0) + 1):
            self._places.set(room.place_of(number), number)
        if room.lobby_size != self.crowd.last or not self._places.is_permutation:
            self.result.failures.append("the draw is no permutation")

    def note_late(self, count: int) -> None:
        """Record the places of users who joined after the draw."""
        for number in range(self.crowd.last + 1 - count, self.crowd.last + 1):
            self._places.append(number)

    async def admit_all(self) -> None:
        """Advance the clock until every user was called and has left."""
        before = steps = 0
        began_s = self.now_s
        while before < self.crowd.last or self._due or self._arriving:
            steps += 1
            if steps > _STEPS_MAX:
                raise RuntimeError("the queue does not drain")
            self.now_s += _STEP_S
            await self.tick()
            called = self._rooms.counters(self._schedule_id).called
            await self._arrive(self._places.between(before, called))
            await self._ask(steps)
            self._check_positions(called)
            before = called
            await self._exit(self._due.pop(steps, []), "paid")
            if steps % _STEPS_PER_LINE == 0:
                _say(f"{self.result.admitted:,} users were admitted")
        self.result.simulated_s = round(self.now_s - began_s, 1)

    async def _arrive(self, numbers: Sequence[int]) -> None:
        """Let 97 % of the called users arrive."""
        present = [one for one in numbers if self.crowd.is_present(one)]
        here = [one for one in present if self.rng.random() < 0.97]
        self.result.no_shows += len(present) - len(here)
        self._arriving += here

    async def _ask(self, step: int) -> None:
        """Poll for every arriving user in each step until admitted; an admitted user pays later."""
        asking, self._arriving = self._arriving, []
        for at in range(0, len(asking), _BATCH):
            part = asking[at : at + _BATCH]
            batch: list[Pending[EnterCommand, Any]] = [
                # The tickets are from before the loss of Valkey.
                Pending(EnterCommand(user_id, number, 1), number)
                for number in part
                if (user_id := self.crowd.user_id(number))
            ]
            answers: Sequence[Any] = await self._enters.handle(self._schedule_id, batch)
            for number, answer in zip(part, answers, strict=True):
                if answer.status in {"waits", "is_next"}:
                    self._arriving.append(number)
                    continue
                self.result.wrong_turns += answer.status != "inside"
                self.result.admitted += 1
                self._due[step + self.rng.randint(1, 12)].append(number)
        inside = self._rooms.counters(self._schedule_id).inside
        self.result.most_inside = max(self.result.most_inside, inside)

    def _check_positions(self, called: int) -> None:
        """Check the positions of five random users as a worker computes them."""
        room, counters = self.room, self._rooms.counters(self._schedule_id)
        for _ in range(5):
            number = self.rng.randint(1, self.crowd.last)
            place = room.place_of(number)
            position = rules.position(room, counters, place)
            # Empty places are not counted, so far as they are known.
            is_in_range = (place > called) <= position <= max(0, place - called)
            self.result.wrong_positions += not is_in_range

    async def _exit(self, numbers: Sequence[int], reason: str) -> None:
        room = self.room
        for at in range(0, len(numbers), _BATCH):
            holders = [
                TicketHolder(user_id, number, 0 if room.is_lobby else room.place_of(number), 0)
                for number in numbers[at : at + _BATCH]
                if (user_id := self.crowd.user_id(number))
            ]
            await self._queue_state.leave(
                self._schedule_id, int(self.now_s * 1000), reason, holders
            )


def _say(text: str) -> None:
    print(f"… {text}", file=sys.stderr, flush=True)


def _cap(users: int) -> int:
    return max(_CAP_MIN, users // _CAP_SHARE)


def _patient(settings: Settings, users: int) -> Settings:
    """Joins without a pause would exceed the production deadlines."""
    return settings.replace(
        valkey_timeout_ms=10_000,
        audit_statement_timeout_ms=_AUDIT_TIMEOUT_MS,
        queue_tick_max=min(_TICK_MAX, max(_TICK_MIN, users // _TICK_SHARE)),
    )


async def _seats_left(_schedule_id: UUID) -> int | None:
    return None


class _Asked(msgspec.Struct):
    number: int
    state: str
    queue_ticket: str = ""


def _sample(
    server: ServerProcess, schedule_id: str, tokens: Sequence[str], simulation: Simulation
) -> None:
    """Join and poll over HTTP while the simulated users wait."""
    bodies = load.send_all(
        server.port, [http_requests.join(schedule_id, token) for token in tokens]
    )
    joined = [msgspec.json.decode(body, type=_Asked) for body in bodies]
    asks = [http_requests.queue_position(schedule_id, one.queue_ticket) for one in joined]
    asked = [msgspec.json.decode(body, type=_Asked) for body in load.send_all(server.port, asks)]
    first = simulation.crowd.last + 1
    simulation.crowd.skip(len(tokens))
    expected = list(range(first, first + len(tokens)))
    result = simulation.result
    result.http_sample += len(tokens)
    result.wrong_numbers += sorted(one.number for one in joined) != expected
    result.wrong_numbers += [one.number for one in asked] != [one.number for one in joined]
    result.wrong_positions += any(one.state != "LOBBY" for one in asked)


def _play(
    servers: Environment,
    dataset: Dataset,
    settings: Settings,
    result: SimulationResult,
    folder: Path,
) -> None:
    schedule_id = dataset.schedules[0].schedule_id
    simulation = Simulation(settings, UUID(schedule_id), result, _cap(result.users))
    env = {**servers.env(settings, 1), "BOXOFFICE_QUEUE_ADDRESS_REQUESTS_PER_S_MAX": "1000000"}

    async def fill() -> None:
        await simulation.open(_OPENS_IN_S)
        empty = servers.valkey_bytes()
        before = (result.users * 8) // 10
        took_s = 0.0
        for checkpoint in (*[one for one in _CHECKPOINTS if one < before], before):
            took_s += await simulation.join(checkpoint - simulation.crowd.last)
            _say(f"{checkpoint:,} users joined")
            per_person = (servers.valkey_bytes() - empty) / checkpoint
            result.valkey_bytes_per_person[f"{checkpoint:,}"] = round(per_person, 1)
            if checkpoint in (_CHECKPOINTS[0], before):
                with running(APP, env, folder / "serve.log") as server:
                    tokens = dataset.tokens[result.http_sample : result.http_sample + _SAMPLE]
                    await asyncio.to_thread(_sample, server, schedule_id, tokens, simulation)
                    mib = await asyncio.to_thread(server.group.resident_mib)
                result.worker_mib[f"{checkpoint:,}"] = round(mib, 1)
        result.joins_per_s = round(before / took_s)
        await simulation.recover(servers)

    async def draw_and_admit() -> None:
        await simulation.leave_some(result.users // 50)
        simulation.now_s += _OPENS_IN_S + 1.0
        for _ in range(3):
            await simulation.tick()
        simulation.note_draw()
        result.late = result.users // 5
        await simulation.join(result.late)
        simulation.note_late(result.late)
        await simulation.admit_all()

    async def play() -> None:
        try:
            await fill()
            await draw_and_admit()
        finally:
            await simulation.close()
        report = await audit(settings)
        result.failures += [check.name for check in report.broken]

    asyncio.run(play())


@app.command()
def main(
    users: Annotated[int, typer.Option(min=5_000)] = 1_000_000,
    seed: Annotated[int, typer.Option(help="Seed of arrivals, leaves and no-shows.")] = 0,
    json: Annotated[Path | None, typer.Option(help="File for the result.")] = None,
) -> None:
    """Run simulated users through the waiting room and check every number, position and turn."""
    result = SimulationResult(seed or secrets.randbits(31), users)
    began_at = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="boxoffice-bench-", ignore_cleanup_errors=True) as home,
        running_environment(Path(home) / "servers", _VALKEY_MB) as servers,
    ):
        plan = DatasetPlan(1_000, 1, 2 * _SAMPLE)
        dataset = servers.seed_dataset(plan)
        with servers.fresh_database(plan) as settings:
            _play(servers, dataset, _patient(settings, users), result, Path(home))
    result.took_s = round(time.monotonic() - began_at, 1)
    written = msgspec.json.format(msgspec.json.encode(result))
    typer.echo(written.decode())
    if json is not None:
        json.write_bytes(written)
    sys.exit(0 if result.is_right else "bench-waiting-room: a check failed")


if __name__ == "__main__":
    app()
