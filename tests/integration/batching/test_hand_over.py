"""Workers that batch together on a real PostgreSQL: a stopped collector decides nothing afterwards."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from boxoffice.batching import GroupCommit, GroupCommitLimits, Outcome, Pending
from boxoffice.batching.handover.link import HandOverLimits
from boxoffice.batching.handover.workers import WorkerHandOver, WorkerPlace
from boxoffice.platform.concurrency.background import Background
from boxoffice.platform.concurrency.tasks import cancel_and_wait
from boxoffice.platform.ids import new_id
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.valkey import Valkey
from boxoffice.reservations.seat_lock import SeatLock
from boxoffice.reservations.store import (
    HoldCommand,
    HoldOutcome,
    ReleaseCommand,
    ReservationStore,
)
from boxoffice.settings import Settings
from tests.integration.batching.conftest import Sale
from tests.integration.batching.test_on_postgres import (
    TIMEOUT_S,
    Watched,
    hold_command,
    names,
    wait_for_blocked_batch,
)


class Stoppable(Watched):
    """The real handler, which waits before its transaction while it is stopped."""

    def __init__(self, db: Database, seat_lock: SeatLock, background: Background) -> None:
        super().__init__(db, seat_lock, background)
        self.goes_on = asyncio.Event()
        self.goes_on.set()

    async def handle(
        self, lane_key: UUID, batch: Sequence[Pending[HoldCommand, HoldOutcome]]
    ) -> Sequence[Outcome[HoldOutcome]]:
        await self.goes_on.wait()
        return await super().handle(lane_key, batch)


@dataclass(frozen=True)
class PlacedWorker:
    """One of two workers."""

    group: GroupCommit
    handler: Stoppable
    hand_over: WorkerHandOver
    schedule_id: UUID

    def hold(self, command: HoldCommand) -> "asyncio.Task[HoldOutcome]":
        """Send a hold to this worker."""
        return asyncio.create_task(self.group.submit(self.handler, self.schedule_id, command))


@asynccontextmanager
async def placed(
    db: Database, valkey: Valkey, schedule_id: UUID, place: WorkerPlace, **kinds: Any
) -> AsyncIterator[PlacedWorker]:
    """Run one of two workers."""
    background = Background()
    # One batch at a time, so that the order of arrival decides who gets a seat.
    limits: dict[str, Any] = {"retry_for_s": TIMEOUT_S, "unknown_outcome_timeout_s": 20.0}
    group = GroupCommit(GroupCommitLimits(batches_in_flight=1, **limits))
    handler = Stoppable(db, SeatLock(valkey, 9_000), background)
    times = HandOverLimits(timeout_s=kinds.get("timeout_s", TIMEOUT_S))
    hand_over = WorkerHandOver(place, group, kinds.get("forbid", db.forbid), times)
    hand_over.register(handler)
    running = asyncio.create_task(hand_over.run())
    yield PlacedWorker(group, handler, hand_over, schedule_id)
    await group.close()
    hand_over.close()
    await cancel_and_wait([running])
    await background.finish()


@asynccontextmanager
async def collector_and_worker(
    sale: Sale, valkey: Valkey, settings: Settings, folder: Path, **kinds: Any
) -> AsyncIterator[tuple[PlacedWorker, PlacedWorker]]:
    """Run the worker that collects for the schedule of `sale`, and another one with its own pool."""
    number = sale.schedule_id.int % 2
    own = Database(settings)
    await own.open()
    try:
        async with (
            placed(sale.db, valkey, sale.schedule_id, WorkerPlace(folder, number, 2)) as collector,
            placed(
                own,
                valkey,
                sale.schedule_id,
                WorkerPlace(folder, 1 - number, 2),
                **{"forbid": own.forbid, **kinds},
            ) as worker,
        ):
            await until(lambda: _is_welcome(worker, number))
            yield collector, worker
    finally:
        await own.close()


def _is_welcome(worker: PlacedWorker, number: int) -> bool:
    link = worker.hand_over._links.get(number)
    return link is not None and link._is_welcome


async def until(condition: Callable[[], bool]) -> None:
    """Return once `condition` holds."""
    async with asyncio.timeout(TIMEOUT_S):
        while not condition():  # noqa: ASYNC110 — the conditions are states, not events
            await asyncio.sleep(0.002)


async def test_the_holds_of_both_workers_are_one_batch(
    sale: Sale, valkey: Valkey, settings: Settings, tmp_path: Path
) -> None:
    async with collector_and_worker(sale, valkey, settings, tmp_path) as (collector, worker):
        collector.handler.goes_on.clear()
        first = [collector.hold(hold_command(f"S{at}")) for at in (1, 2)]
        await until(lambda: len(collector.group._in_flight) == 1)
        handed = hold_command("S3", "S4")
        asked = [worker.hold(one) for one in (handed, hold_command("S1"))]
        own = collector.hold(hold_command("S5"))
        await until(lambda: collector.group.count == 5)
        collector.handler.goes_on.set()
        outcomes = await asyncio.gather(*first, *asked, own)
        # The same key again, at the collector this time.
        again = await collector.hold(handed)
    assert names(outcomes) == ["held", "held", "held", "seat_taken", "held"]
    assert worker.handler.batches == []
    assert again.held == outcomes[2].held
    assert again.name == "replayed"


@pytest.mark.parametrize("is_forbidden", [True, False])
async def test_a_stopped_collector_decides_nothing_afterwards(
    sale: Sale, valkey: Valkey, settings: Settings, tmp_path: Path, is_forbidden: bool
) -> None:
    """The negative control does not forbid: the refused buyer has a hold in the end."""
    holder, buyer = hold_command("S1"), hold_command("S1")
    store = ReservationStore(sale.db)
    [held] = await store.hold(sale.schedule_id, [holder])
    more = {} if is_forbidden else {"forbid": lambda number: None}
    async with collector_and_worker(sale, valkey, settings, tmp_path, timeout_s=0.1, **more) as (
        collector,
        worker,
    ):
        collector.handler.goes_on.clear()
        own = collector.hold(hold_command("S2"))
        refused = await worker.hold(buyer)
        assert held.held is not None
        release = ReleaseCommand(holder.user_id, held.held.reservation_id, new_id())
        [released] = await store.release(sale.schedule_id, [release])
        collector.handler.goes_on.set()
        assert (await own).name == "held"
    assert (refused.name, released.name) == ("seat_taken", "released")
    late = {"S1": buyer.user_id} if not is_forbidden else {}
    holders = await sale.holders()
    assert {seat: holders[seat] for seat in holders if seat != "S2"} == late


async def test_what_a_collector_has_begun_is_waited_for(
    sale: Sale,
    valkey: Valkey,
    settings: Settings,
    tmp_path: Path,
) -> None:
    outsider = await asyncpg.connect(settings.database.database_url)
    command = hold_command("S1")
    try:
        async with collector_and_worker(sale, valkey, settings, tmp_path, timeout_s=0.1) as (
            collector,
            worker,
        ):
            async with outsider.transaction():
                await outsider.execute("LOCK TABLE outbox IN SHARE MODE")
                asking = worker.hold(command)
                await wait_for_blocked_batch(sale.db)
                # The look-up has begun, and waits for the number that the batch has.
                await until(lambda: worker.handler.look_ups == 1)
                await _wait_for_blocked_look_up(sale.db)
                assert not asking.done()
            outcome = await asking
            assert worker.handler.batches == []
            await until(lambda: collector.group.count == 0)
    finally:
        await outsider.close()
    assert outcome.held is not None
    assert outcome.held.reservation_id == command.reservation_id
    assert await sale.events() == 1


async def _wait_for_blocked_look_up(db: Database) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while not await db.fetch(  # noqa: ASYNC110 — a state, not an event
            "SELECT FROM pg_stat_activity WHERE datname = current_database()"
            " AND wait_event_type = 'Lock' AND query LIKE '%statements_give_up%'"
        ):
            await asyncio.sleep(0.005)
