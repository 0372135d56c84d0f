"""The outbox and the lease of the relay, in PostgreSQL. Errors of the driver pass through."""

from collections.abc import Iterable
from uuid import UUID

from boxoffice.events.rules import Event
from boxoffice.events.topics import TOPICS
from boxoffice.platform import sqlfiles
from boxoffice.platform.postgres import Database

_QUERIES = sqlfiles.load("boxoffice.events")
_TOPICS = sorted(TOPICS)


class OutboxStore:
    """Reads and forgets events."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def oldest(self, count_max: int) -> list[Event]:
        """Return the oldest events in the order of their ids, whole rows of the outbox.

        They are at most `count_max`, or those of one row.
        """
        rows = await self._database.fetch(_QUERIES["oldest"], count_max, _TOPICS)
        return [Event(**row) for row in rows]

    async def delete(self, events: Iterable[Event]) -> None:
        """Forget the rows of these events; rows that are gone already are no error."""
        rows = {event.batch_id for event in events}
        await self._database.fetch(_QUERIES["delete"], sorted(rows))


class LeaseStore:
    """Takes and gives back the lease of one role for one holder."""

    def __init__(self, database: Database, role: str, holder: UUID) -> None:
        self._database = database
        self._role = role
        self._holder = holder

    async def take(self, ttl_ms: int) -> int | None:
        """Take or renew for `ttl_ms`; return the fencing token, or None while another holds it."""
        rows = await self._database.fetch(_QUERIES["take_lease"], self._role, self._holder, ttl_ms)
        token: int | None = rows[0]["token"]
        return token

    async def release(self, token: int) -> None:
        """Give the lease back, if it is still ours under `token`."""
        await self._database.fetch(_QUERIES["release_lease"], self._role, self._holder, token)
