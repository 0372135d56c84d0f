"""The statements of the activity log: named SQL in, frozen types out."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from boxoffice.permissions import OrganizationIds
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database

_SQL = sql_files.load("boxoffice.activity_log")


class RecordedAction(msgspec.Struct, frozen=True, kw_only=True):
    """An entry as read, with the present names and titles."""

    entry_id: int
    written_at: datetime
    organization_id: UUID
    actor_id: UUID
    actor_name: str | None
    action: str
    concert_id: UUID | None
    concert_title: str | None
    schedule_id: UUID | None
    starts_at: datetime | None
    time_zone: str | None
    request_id: str
    details: dict[str, Any]


class ActivityStore:
    """Reads the activity log; `time_zone` is that of performances without a venue."""

    def __init__(self, db: Database, time_zone: str = "Asia/Seoul") -> None:
        self._db = db
        self._time_zone = time_zone

    async def entries(
        self,
        organization_ids: OrganizationIds,
        before: int | None,
        concert_id: UUID | None,
        schedule_id: UUID | None,
        limit: int,
    ) -> list[RecordedAction]:
        """Return up to `limit` entries older than the entry `before`, newest first.

        `organization_ids` None selects all organizations.
        """
        asked = (before, concert_id, schedule_id, limit)
        if organization_ids is None:
            rows = await self._db.read(_SQL["entries_of_shop"], *asked)
        else:
            rows = await self._db.read(_SQL["entries"], organization_ids, *asked)
        return [
            RecordedAction(
                **{
                    **dict(row),
                    "time_zone": row["time_zone"] or self._time_zone,
                    "details": msgspec.json.decode(row["details"]),
                }
            )
            for row in rows
        ]
