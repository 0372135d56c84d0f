"""The outbox in PostgreSQL. Driver errors pass through."""

from collections.abc import Collection, Iterable
from typing import NamedTuple
from uuid import UUID

from boxoffice.outbox.rules import Event, Message
from boxoffice.outbox.topics import TOPICS
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database, column

_QUERIES = sql_files.load("boxoffice.outbox")
_TOPICS = sorted(TOPICS)


class Queued(NamedTuple):
    """How many mails and webhooks were queued while events were deleted."""

    mails: int
    deliveries: int


class OutboxStore:
    """Reads and deletes events."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def oldest(self, count_max: int) -> list[Event]:
        """Return the oldest events by id: whole rows, up to `count_max` events or one row."""
        rows = await self._database.fetch(_QUERIES["oldest"], count_max, _TOPICS)
        return [Event(**row) for row in rows]

    async def oldest_age_s(self) -> float:
        """Return the age of the oldest event in seconds, 0 without one; raises what `read` raises."""
        (row,) = await self._database.read(_QUERIES["oldest_age"], _TOPICS)
        return float(row["age_s"])

    async def subscribed(self, schedule_ids: Collection[UUID]) -> set[UUID]:
        """Return those of the schedules whose events are wanted as webhooks."""
        rows = await self._database.read(_QUERIES["subscribed"], sorted(schedule_ids))
        return set(column(rows, "schedule_id"))

    async def delete(
        self, events: Iterable[Event], wanted: Collection[tuple[UUID, Message]]
    ) -> Queued:
        """Delete the rows of these events, and queue their mails and the `wanted` webhooks.

        `wanted` has the schedule of each message. Of missing rows nothing is queued.
        """
        rows = await self._database.fetch(
            _QUERIES["delete"],
            sorted({event.batch_id for event in events}),
            [message.event_id for _, message in wanted],
            [message.topic for _, message in wanted],
            [message.created_at for _, message in wanted],
            [schedule_id for schedule_id, _ in wanted],
            [message.data.decode() for _, message in wanted],
        )
        return Queued(*rows[0])
