"""The use case of the activity log: list actions."""

from uuid import UUID

from boxoffice.activity_log.store import ActivityStore, RecordedAction
from boxoffice.permissions import OrganizationIds


class ActivityLog:
    """Lists the actions in some organizations, or in all when `organization_ids` is None."""

    def __init__(self, store: ActivityStore) -> None:
        self._store = store

    async def read(
        self,
        organization_ids: OrganizationIds,
        before: int | None,
        limit: int,
        *,
        concert_id: UUID | None = None,
        schedule_id: UUID | None = None,
    ) -> list[RecordedAction]:
        """Return up to `limit` entries older than the entry `before`, newest first.

        Empty for a concert or schedule of another organization.
        """
        return await self._store.entries(organization_ids, before, concert_id, schedule_id, limit)
