"""The outbox in PostgreSQL. Driver errors pass through."""

from collections.abc import Iterable

from boxoffice.outbox.rules import Event
from boxoffice.outbox.topics import TOPICS
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database

_QUERIES = sql_files.load("boxoffice.outbox")
_TOPICS = sorted(TOPICS)


class OutboxStore:
    """Reads and deletes events."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def oldest(self, count_max: int) -> list[Event]:
        """Return the oldest events by id: whole rows, up to `count_max` events or one row."""
        rows = await self._database.fetch(_QUERIES["oldest"], count_max, _TOPICS)
        return [Event(**row) for row in rows]

    async def delete(self, events: Iterable[Event]) -> None:
        """Delete the rows of these events; missing rows are no error."""
        rows = {event.batch_id for event in events}
        await self._database.fetch(_QUERIES["delete"], sorted(rows))
