"""The archive role: moves old rows in bounded batches.

It blocks no request and waits for no lock. Any number can run; each skips what another is moving.
"""

import asyncio
import contextlib
from datetime import datetime
from uuid import UUID

from boxoffice.archive import metrics
from boxoffice.archive.store import ArchiveStore
from boxoffice.errors import Unavailable
from boxoffice.observability.logs import log
from boxoffice.observability.rounds import rounds
from boxoffice.observability.tracing import spans
from boxoffice.platform.postgres.database import Database
from boxoffice.settings import Settings

ROLE = "archive"


async def archive_once(store: ArchiveStore, retention_s: float, batch_max: int) -> int:
    """Move everything that ended more than `retention_s` seconds ago; return how many rows.

    Raises `Unavailable` where the database is; an error of one schedule is logged.
    """
    closed_before = await store.closed_before(retention_s)
    moved, is_whole = 0, True
    for schedule_id in await store.due_schedules(closed_before):
        archived, kept = await _move(store, schedule_id, closed_before, batch_max)
        moved += archived
        is_whole = is_whole and not kept
    for schedule_id in await store.past_waiting_rooms(closed_before):
        while records := await store.move_record(schedule_id, batch_max):
            moved += records
    if is_whole:
        await store.note_progress(closed_before)
    metrics.ARCHIVED.inc(moved)
    if moved:
        log.info("archived", count=moved)
    return moved


async def _move(
    store: ArchiveStore, schedule_id: UUID, closed_before: datetime, batch_max: int
) -> tuple[int, int]:
    """Move the due reservations of one schedule; return how many were moved, and how many were not."""
    archived = 0
    try:
        while True:
            with spans.span("archive"):
                moved = await store.move(schedule_id, closed_before, batch_max)
            archived += moved.archived
            if not moved.more:
                return archived, moved.kept
    except Unavailable:
        raise
    except Exception as error:  # the other schedules must not wait for this one
        log.error("archive_of_schedule_failed", schedule_id=str(schedule_id), exc_info=error)
        return archived, 1


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Archive until `stop` is set; a failed turn is repeated at the next interval.

    Raises the error of the first connection to PostgreSQL; later outages only delay it.
    """
    db = Database(settings)
    await db.open()
    rounds.done(ROLE)
    try:
        store = ArchiveStore(db)
        is_listed = False
        while not stop.is_set():
            try:
                is_listed = is_listed or await store.take_stock() >= 0
                await archive_once(
                    store, settings.archive.history_retention_s, settings.archive.archive_batch_max
                )
                rounds.done(ROLE)
            except Exception as error:  # one failed turn must not end the role
                log.error("archive_failed", exc_info=error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(settings.archive.archive_interval_s):
                    await stop.wait()
    finally:
        await db.close()
