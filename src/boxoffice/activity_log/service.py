"""The use case of the activity log: list actions."""

from uuid import UUID

from boxoffice.activity_log.store import ActivityStore, RecordedAction


class ActivityLog:
    """Lists the actions on one organizer's concerts, or on all when `organizer_id` is None."""

    def __init__(self, store: ActivityStore) -> None:
        self._store = store

    async def read(
        self,
        organizer_id: UUID | None,
        before: int | None,
        limit: int,
        *,
        concert_id: UUID | None = None,
        schedule_id: UUID | None = None,
    ) -> list[RecordedAction]:
        """Return up to `limit` entries older than the entry `before`, newest first.

        Empty for a concert or schedule of another organizer.
        """
        return await self._store.entries(organizer_id, before, concert_id, schedule_id, limit)
