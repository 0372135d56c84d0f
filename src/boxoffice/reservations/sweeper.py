"""The sweeper role: closes lapsed holds in bounded batches, tells the outbox and counts.

Nobody waits for it: a lapsed hold counts as free at the moment it lapses. Any number of sweepers can
run at once; each skips what another is closing.
"""

import asyncio
import contextlib

from boxoffice.errors import Unavailable
from boxoffice.platform import telemetry
from boxoffice.platform.postgres import Database
from boxoffice.reservations.store import ReservationStore
from boxoffice.settings import Settings


async def sweep_once(store: ReservationStore, batch_max: int) -> int:
    """Close at most `batch_max` lapsed holds per schedule and return how many were closed."""
    closed = 0
    for schedule_id in await store.lapsed_schedules(batch_max):
        closed += await store.expire(schedule_id, batch_max)
    if closed:
        telemetry.HOLDS_EXPIRED.inc(closed)
        telemetry.log.info("holds_expired", count=closed)
    return closed


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Sweep until `stop` is set; a database that is away is tried again at the next turn.

    Raises what connecting to PostgreSQL raises at the start.
    """
    db = Database(settings)
    await db.open()
    try:
        while not stop.is_set():
            if not await _turn(ReservationStore(db), settings.sweep_batch_max):
                await _wait(stop, settings.sweep_interval_ms / 1000)
    finally:
        await db.close()


async def _turn(store: ReservationStore, batch_max: int) -> bool:
    """Sweep once and say whether there is more to do at once."""
    try:
        return await sweep_once(store, batch_max) >= batch_max
    except Unavailable as error:
        telemetry.log.warning("sweep_failed", reason=str(error))
        return False


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), timeout=seconds)
