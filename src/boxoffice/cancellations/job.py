"""The job of a change, for the cashier: mails to holders and guests, released holds, void issues.

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
VoidIssues = Callable[[UUID, UUID], Awaitable[int]]


class ChangeJobs:
    """Works the jobs of changes off.

    `release` ends some holds of a schedule because of a change, those made until a time, and returns
    how many. `void_issues` makes some complimentary and box-office tickets of a schedule void, on
    behalf of a member, and returns how many issues there were. `settle_s`: how long a transaction may
    last that began before a change.
    """

    def __init__(
        self, changes: ChangeStore, release: Release, void_issues: VoidIssues, settle_s: float
    ) -> None:
        self._store = changes
        self._release = release
        self._void_issues = void_issues
        self._settle_s = settle_s

    async def work(self, change_id: UUID, stop: asyncio.Event) -> float | None:
        """Go on with a job; return the seconds until it is due again, None once it is finished.

        Errors of the database pass through; the next call goes on where this one stopped.
        """
        while (change := await self._store.change_to_do(change_id)) is not None:
            if stop.is_set():
                return 0.0
            ended = await self._released(change) + await self._voided(change)
            plan = rules.next_step(
                change.created_at, change.notified_at, change.now, self._settle_s
            )
            if plan.step is ChangeStep.NOTIFY:
                await self._store.notify(change, _NOTIFIED_AT_ONCE)
            elif ended:
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

    async def _voided(self, change: OpenChange) -> int:
        """Make some issued tickets void where the performance is cancelled; return how many issues."""
        # guard: only_a_cancellation_makes_issues_void => if False:
        if change.kind not in rules.VOIDING:
            return 0
        return await self._void_issues(change.schedule_id, change.asked_by)
