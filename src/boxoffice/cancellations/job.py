"""The job of a change: mails to all who hold seats or have tickets, released holds; for the cashier.

Each step is one statement that notes how far the job has come, so that another process goes on after a
crash. Refunds of a cancellation are a job of their own (`payments/refunds/jobs.py`).
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from uuid import UUID

from boxoffice.cancellations import rules
from boxoffice.cancellations.rules import ChangeStep
from boxoffice.cancellations.store import ChangeStore, OpenChange
from boxoffice.observability.logs import log

_NOTIFIED_AT_ONCE = 500
# A payment in flight ends within its fence; until then the job looks again.
_AGAIN_S = 5.0

Release = Callable[[UUID, UUID, datetime | None], Awaitable[int]]


class ChangeJobs:
    """Works the jobs of changes off.

    `release` ends some holds of a schedule because of a change, those made until a time, and returns
    how many. `settle_s`: how long a transaction may last that began before a change.
    """

    def __init__(self, changes: ChangeStore, release: Release, settle_s: float) -> None:
        self._store = changes
        self._release = release
        self._settle_s = settle_s

    async def work(self, change_id: UUID, stop: asyncio.Event) -> float | None:
        """Go on with a job; return the seconds until it is due again, None once it is finished.

        Errors of the database pass through; the next call goes on where this one stopped.
        """
        while (change := await self._store.change_to_do(change_id)) is not None:
            if stop.is_set():
                return 0.0
            released = await self._released(change)
            plan = rules.next_step(
                change.created_at, change.notified_at, change.now, self._settle_s
            )
            if plan.step is ChangeStep.NOTIFY:
                await self._store.notify(change, _NOTIFIED_AT_ONCE)
            elif released:
                continue
            elif plan.step is ChangeStep.WAIT:
                return min(plan.wait_s, _AGAIN_S)
            elif plan.step is ChangeStep.NOTIFY_AGAIN:
                await self._store.notify_again(change)
            elif not await self._store.finish(change):
                return _AGAIN_S
            else:
                log.info("schedule_change_done", change_id=str(change_id), kind=change.kind)
        return None

    async def _released(self, change: OpenChange) -> int:
        """Release some holds where the change ends them; return how many."""
        # guard: change_of_place_releases_no_hold => if False:
        if change.kind not in rules.RELEASING:
            return 0
        # A new date may be on sale again: its holds stay.
        # guard: holds_of_the_new_date_stay => until = None
        until = None if change.kind == "CANCELLED" else change.created_at
        released = await self._release(change.schedule_id, change.change_id, until)
        if released:
            await self._store.note_released(change, released)
        return released
