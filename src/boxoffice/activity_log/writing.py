"""How another room writes into the logbook: one call inside its own transaction.

The only thing of this room that others may run, because a deed and its entry must be one commit.
"""

from collections.abc import Mapping
from typing import Any, Protocol
from uuid import UUID

import msgspec

from boxoffice.platform.postgres import sql_files

_RECORD = sql_files.load("boxoffice.activity_log")["record"]


class Transaction(Protocol):
    """A connection inside a transaction."""

    async def execute(self, query: str, *args: Any) -> str: ...


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A deed: `action` is a noun and a past tense, such as `schedule.opened`.

    `organizer_id` is whose concert it is about, `actor_id` who did it. `request_id` is empty where a
    command did it. `details` is small and holds no secret: the organizer reads it.
    """

    organizer_id: UUID
    actor_id: UUID
    action: str
    request_id: str
    concert_id: UUID | None = None
    schedule_id: UUID | None = None
    details: Mapping[str, object] = msgspec.field(default_factory=dict)


async def record(transaction: Transaction, entry: Entry) -> None:
    """Write `entry`, which is there if the transaction commits; the time is the database's."""
    await transaction.execute(
        _RECORD,
        entry.organizer_id,
        entry.actor_id,
        entry.action,
        entry.concert_id,
        entry.schedule_id,
        entry.request_id,
        msgspec.json.encode(entry.details).decode(),
    )
