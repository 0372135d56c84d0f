"""Statements of the job of a change: named SQL in, frozen types out. Driver errors pass through."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database

_SQL = sql_files.load("boxoffice.cancellations")


class OpenChange(NamedTuple):
    """A change whose job is not finished; `now` is the database's time."""

    schedule_id: UUID
    change_id: UUID
    kind: str
    asked_by: UUID
    created_at: datetime
    notified_at: datetime | None
    now: datetime


class ChangeStore:
    """How far the jobs of changes have come."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def change_to_do(self, change_id: UUID) -> OpenChange | None:
        """Return a change whose job is not finished."""
        rows = await self._db.fetch(_SQL["change_to_do"], change_id)
        return OpenChange(*rows[0]) if rows else None

    async def notify(self, change: OpenChange, count: int) -> bool:
        """Queue the mails of the next people; return whether all are queued."""
        rows = await self._db.fetch(_SQL["notify"], change.schedule_id, change.change_id, count)
        return not rows or bool(rows[0]["is_notified"])

    async def notify_again(self, change: OpenChange) -> None:
        """Begin the mails of a change anew; each person gets one all the same."""
        await self._db.fetch(_SQL["notify_again"], change.schedule_id, change.change_id)

    async def note_released(self, change: OpenChange, count: int) -> None:
        """Add to how many holds were ended because of a change."""
        await self._db.fetch(_SQL["note_released"], change.schedule_id, change.change_id, count)

    async def finish(self, change: OpenChange) -> bool:
        """End the job; False while a hold of a cancelled performance is being paid."""
        return bool(await self._db.fetch(_SQL["finish"], change.schedule_id, change.change_id))
