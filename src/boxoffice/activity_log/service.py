"""The use case of the logbook: an organizer reads what was done."""

from uuid import UUID

from boxoffice.activity_log.store import LogbookStore, Written


class Logbook:
    """Organizers read of their own concerts; None as one reads of everybody's."""

    def __init__(self, store: LogbookStore) -> None:
        self._store = store

    async def read(
        self,
        organizer_id: UUID | None,
        before: int | None,
        limit: int,
        *,
        concert_id: UUID | None = None,
        schedule_id: UUID | None = None,
    ) -> list[Written]:
        """Return up to `limit` entries, newest first, from before the entry `before` on.

        A concert or schedule of somebody else has no entries here.
        """
        return await self._store.entries(organizer_id, before, concert_id, schedule_id, limit)
