"""Several processes that share their readings, in one event loop and on real servers."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import UUID, uuid4

from boxoffice.platform.clock import DatabaseClock
from boxoffice.platform.concurrency.background import Background
from boxoffice.platform.concurrency.tasks import cancel_and_wait
from boxoffice.platform.postgres.database import Database, Record
from boxoffice.platform.valkey import Valkey
from boxoffice.seats.cache.entries import ScheduleEntries, SeatChangeApplier
from boxoffice.seats.changes.bus import SeatChangeBus
from boxoffice.seats.changes.publisher import SeatChangePublisher
from boxoffice.seats.changes.sharded_bus import ShardedSeatChangeBus
from boxoffice.seats.read_model import SeatReadModel
from boxoffice.seats.refusals import SeatRefusals
from boxoffice.seats.shared.readings import SharedReadings
from boxoffice.seats.store import PublicSchedule, SeatStore, StatesRow
from boxoffice.settings import Settings

_LOOK_EVERY_S = 0.02


class CountingStore(SeatStore):
    """The store, and how often PostgreSQL was asked for what."""

    def __init__(self, db: Database) -> None:
        super().__init__(db)
        self.readings = 0
        self.layouts = 0

    async def public_schedule(self, schedule_id: UUID) -> PublicSchedule | None:
        self.layouts += 1
        return await super().public_schedule(schedule_id)

    def seats(self, schedule_id: UUID) -> AsyncIterator[list[Record]]:
        self.layouts += 1
        return super().seats(schedule_id)

    async def seat_states(self, schedule_id: UUID) -> StatesRow | None:
        self.readings += 1
        return await super().seat_states(schedule_id)


class FleetProcess:
    """The seats of one process, composed as the product composes them."""

    def __init__(self, db: Database, settings: Settings) -> None:
        self.valkey = Valkey(settings.valkey)
        self.store = CountingStore(db)
        self.clock = DatabaseClock(db.now_s)
        self.background = Background()
        self.shared = SharedReadings(
            Valkey(settings.valkey),
            settings.seats.seats_shared_processes_min,
            lambda: self.bus.processes,
            self.clock,
            self.background.start,
        )
        self.entries = ScheduleEntries(
            settings.seats,
            self.store,
            now=self.clock.now,
            uncertainty_s=self.clock.uncertainty_s,
            shared=self.shared,
        )
        self.applier = SeatChangeApplier(self.entries)
        self.bus = (
            SeatChangeBus(self.valkey, self.applier)
            if self.valkey.cluster is None
            else ShardedSeatChangeBus(self.valkey, self.valkey.cluster, self.applier)
        )
        self.seats = SeatReadModel(self.entries)
        self.refusals = SeatRefusals(self.entries)
        self.publisher = SeatChangePublisher(self.applier, self.seats, self.bus)

    def refuses(self, schedule_id: UUID, seat_id: str) -> bool | None:
        """Say whether it refuses a seat to a new person; None where it asks PostgreSQL."""
        taken = self.refusals.taken(schedule_id, [seat_id], uuid4())
        return None if taken is None else bool(taken)

    def is_complete_for(self, schedule_id: UUID, seconds: float) -> bool:
        """Say whether it knows all changes of that long."""
        since = max(
            self.entries._connected_since(schedule_id),
            self.shared.recent.complete_since(schedule_id),
        )
        return self.entries.clock() - since >= seconds

    async def close(self) -> None:
        await self.background.finish()
        await self.shared.close()
        await self.valkey.close()


@asynccontextmanager
async def process(db: Database, settings: Settings) -> AsyncIterator[FleetProcess]:
    """Run a process; it has heard of none yet."""
    one = FleetProcess(db, settings)
    await one.clock.synchronize()
    listening = asyncio.create_task(one.bus.run())
    try:
        yield one
    finally:
        await cancel_and_wait([listening])
        await one.close()


@asynccontextmanager
async def fleet(
    db: Database, settings: Settings, processes: int
) -> AsyncIterator[Sequence[FleetProcess]]:
    """Run processes."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(process(db, settings)) for _ in range(processes)]


@asynccontextmanager
async def busy(processes: Sequence[FleetProcess], schedule_id: UUID) -> AsyncIterator[None]:
    """Have people ask every process for seats of a schedule, all the time."""

    async def ask(one: FleetProcess) -> None:
        while True:
            one.refuses(schedule_id, "1-1-1")
            await asyncio.sleep(_LOOK_EVERY_S)

    for one in processes:
        await one.seats.states(schedule_id)
    asking = [asyncio.create_task(ask(one)) for one in processes]
    try:
        yield
    finally:
        await cancel_and_wait(asking)
