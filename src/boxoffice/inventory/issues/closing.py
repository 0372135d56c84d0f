"""Makes all complimentary and box-office tickets of a cancelled performance void."""

import asyncio
import time
from uuid import UUID

from boxoffice.activity_log import Action, record
from boxoffice.inventory.issues import store
from boxoffice.inventory.issues.store import IssueStore, LiveIssue, VoidOutcome
from boxoffice.platform.ids import ScopedId
from boxoffice.seats.cache.states import AVAILABLE
from boxoffice.seats.changes.publisher import SeatChange, SeatChangePublisher

_VOIDED_AT_ONCE = 50


class IssueCloser:
    """Voids issues as their organizer would, at most `per_s` in a second.

    A sale's money goes back in its method. Each issue has a transaction of its own, so that after
    a crash the next call goes on with the rest.
    """

    def __init__(self, issues: IssueStore, publisher: SeatChangePublisher, per_s: float) -> None:
        self._store = issues
        self._publisher = publisher
        self._pause_s = 1 / per_s

    async def void(self, schedule_id: UUID, voided_by: UUID) -> int:
        """Void some issues of a schedule; return how many were looked at, 0 where none is left.

        Errors of the database pass through.
        """
        live = await self._store.live(schedule_id, _VOIDED_AT_ONCE)
        began_at = time.monotonic()
        changes = []
        for issue in live:
            outcome = await self._void(schedule_id, issue, voided_by)
            if outcome.seat_ids and outcome.seat_versions:
                changes.append(
                    SeatChange(issue.house_id, AVAILABLE, outcome.seat_ids, outcome.seat_versions)
                )
        self._publisher.publish(schedule_id, changes)
        took_s = time.monotonic() - began_at
        await asyncio.sleep(max(0.0, len(live) * self._pause_s - took_s))
        return len(live)

    async def _void(self, schedule_id: UUID, issue: LiveIssue, voided_by: UUID) -> VoidOutcome:
        async with self._store.transaction() as connection:
            outcome = await store.void(
                connection, schedule_id, issue.house_id, issue.reservation_id, voided_by
            )
            # guard: closed_issue_is_in_the_activity_log => if False:
            if outcome.name == "voided":
                await record(connection, _voided(schedule_id, issue, voided_by, outcome))
        return outcome


def _voided(schedule_id: UUID, issue: LiveIssue, voided_by: UUID, outcome: VoidOutcome) -> Action:
    return Action(
        organization_id=issue.organization_id,
        actor_id=voided_by,
        action="tickets.voided",
        request_id="",
        concert_id=issue.concert_id,
        schedule_id=schedule_id,
        details={
            "issue_id": str(ScopedId(schedule_id, issue.reservation_id)),
            "seat_ids": list(outcome.seat_ids or ()),
        },
    )
