"""Writes an entry in the caller's transaction, so that action and entry commit together.

Other modules use it through `boxoffice.activity_log`.
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


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """An entry: `action` is a noun and a past participle, such as `schedule.opened`.

    `organization_id` owns the concert; it is the operator's id for what is of no organization.
    `actor_id` acted. `request_id` is empty for a command. `details` is small and holds no secret and
    no personal data: members of the organization read it.
    """

    organization_id: UUID
    actor_id: UUID
    action: str
    request_id: str
    concert_id: UUID | None = None
    schedule_id: UUID | None = None
    details: Mapping[str, object] = msgspec.field(default_factory=dict)


async def record(transaction: Transaction, entry: Action) -> None:
    """Write `entry` with the database's time; it exists once the transaction commits."""
    await transaction.execute(
        _RECORD,
        entry.organization_id,
        entry.actor_id,
        entry.action,
        entry.concert_id,
        entry.schedule_id,
        entry.request_id,
        msgspec.json.encode(entry.details).decode(),
    )
