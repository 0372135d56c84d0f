"""What PostgreSQL and Valkey spend on a batch, by the counts of the servers."""

import os
from collections.abc import Callable, Coroutine, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

from bench.environment.environment import Dataset, SeededSchedule
from bench.parts.timing import REPETITIONS, PartCost, part_cost
from boxoffice.app import Application
from boxoffice.payments.store import PayCommand, PaymentStore
from boxoffice.platform.ids import new_id
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database
from boxoffice.reservations.store import HoldCommand, ReservationStore
from boxoffice.settings import Settings
from boxoffice.waiting_room.engine.queue_state import QueueState

_SQL = sql_files.load("bench.parts")
_POSTGRES, _VALKEY = "PostgreSQL, in batches of 32", "Valkey, in calls of 32"
_BATCH = 32
_CALLS = 10_000
_WARMUP = 10


class BackendCpu:
    """A database with one connection, and the CPU seconds of the process that serves it."""

    def __init__(self, db: Database, pid: int) -> None:
        self.db = db
        self._schedstat = Path(f"/proc/{pid}/schedstat")

    @classmethod
    async def of(cls, db: Database) -> "BackendCpu":
        """Return the backend of the one connection of `db`."""
        [row] = await db.fetch(_SQL["backend"])
        return cls(db, row["pid"])

    async def cpu_s(self, work: Coroutine[Any, Any, Any]) -> float:
        """Return the CPU seconds that the backend spends on `work`."""
        before = self._spent_s()
        await work
        return self._spent_s() - before

    def _spent_s(self) -> float:
        return int(self._schedstat.read_text(encoding="ascii").split()[0]) / 1e9


async def postgres(settings: Settings, dataset: Dataset, users: Sequence[UUID]) -> list[PartCost]:
    """Measure holds, payments and the random texts in them, for users with money."""
    db = Database(settings.replace(db_pool_max=1, batches_in_flight=1))
    await db.open()
    try:
        backend = await BackendCpu.of(db)
        holds: list[float] = []
        pays: list[float] = []
        for at, schedule in enumerate(dataset.schedules):
            buyers = users[at * len(schedule.seat_ids) :]
            for batch in _holds(schedule, buyers):
                holds.append(await backend.cpu_s(_hold(db, schedule, batch)) / _BATCH)
                pays.append(await backend.cpu_s(_pay(db, schedule, batch)) / _BATCH)
        measured = {"hold": holds[_WARMUP:], "payment": pays[_WARMUP:]}
        for name in ("gen_random_uuid", "order_numbers_random"):
            measured[f"{name}()"] = [
                await backend.cpu_s(db.fetch(_SQL[name], _CALLS)) / _CALLS
                for _ in range(REPETITIONS)
            ]
    finally:
        await db.close()
    return [part_cost(_POSTGRES, name, seconds) for name, seconds in measured.items()]


async def valkey(
    application: Application, schedule_id: UUID, spent_us: Callable[[], float]
) -> list[PartCost]:
    """Measure the script of joins; `spent_us` tells the microseconds of Valkey's scripts so far."""
    settings = application.settings.waiting_room
    queue_state = QueueState(
        application.infrastructure.valkey, settings.queue_state_ttl_s, settings.queue_tick_max
    )
    counts = [spent_us()]
    for _ in range(4 * REPETITIONS):
        await queue_state.join(schedule_id, os.urandom(16 * _BATCH))
        counts.append(spent_us())
    joins = [(after - before) / _BATCH / 1e6 for before, after in pairwise(counts)]
    return [part_cost(_VALKEY, "join", joins)]


def _holds(schedule: SeededSchedule, users: Sequence[UUID]) -> list[list[HoldCommand]]:
    commands = [
        HoldCommand(user_id, f"hold-{seat_id}", b"f" * 16, new_id(), (seat_id,))
        for user_id, seat_id in zip(users, schedule.seat_ids, strict=False)
    ]
    return [commands[at : at + _BATCH] for at in range(0, len(commands), _BATCH)]


async def _hold(db: Database, schedule: SeededSchedule, batch: Sequence[HoldCommand]) -> None:
    outcomes = await ReservationStore(db).hold(UUID(schedule.schedule_id), batch)
    _require("held", {one.name for one in outcomes})


async def _pay(db: Database, schedule: SeededSchedule, holds: Sequence[HoldCommand]) -> None:
    batch = [
        PayCommand(one.user_id, f"pay-{one.key}", b"f" * 16, one.reservation_id, new_id(), new_id())
        for one in holds
    ]
    outcomes = await PaymentStore(db).pay(UUID(schedule.schedule_id), batch)
    _require("paid", {one.name for one in outcomes})


def _require(name: str, names: set[str]) -> None:
    if names != {name}:
        raise RuntimeError(f"{names} instead of {name}")
