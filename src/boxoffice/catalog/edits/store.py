"""Statements about changes of concerts and schedules: named SQL in, frozen types out."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

import asyncpg
import msgspec

from boxoffice.catalog.edits.errors import NotDeletable
from boxoffice.catalog.edits.rules import ScheduleFacts
from boxoffice.catalog.edits.views import ConcertEdit, ScheduleChange
from boxoffice.catalog.rules import same_instant
from boxoffice.permissions import OrganizationIds
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database, Record
from boxoffice.venues.errors import VenueNotFound

Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[Record]"

_SQL = sql_files.load("boxoffice.catalog.edits")
# The members of a concert that are edited, in the order of the parameters of `update_concert`.
CONCERT_MEMBERS = ConcertEdit.__struct_fields__
# In the order of the parameters of `update_schedule`.
SCHEDULE_MEMBERS = (
    "starts_at",
    "sale_opens_at",
    "sale_closes_at",
    "doors_at",
    "venue_id",
    "currency",
    "hold_ttl_s",
    "ticket_limit",
    "seats_return_delay_max_s",
)
_EVENTS = {"CHANGED": "changed", "POSTPONED": "postponed", "CANCELLED": "cancelled"}


class LockedConcert(NamedTuple):
    """A locked concert: `members` are those that are edited."""

    organization_id: UUID
    status: str
    version: int
    members: Mapping[str, Any]


class VenueName(NamedTuple):
    """The name and time zone of a venue."""

    name: str
    time_zone: str


class NewChange(msgspec.Struct, frozen=True, kw_only=True):
    """A change that buyers are told of."""

    schedule_id: UUID
    change_id: UUID
    asked_by: UUID
    created_at: datetime
    kind: str
    starts_before: datetime
    starts_after: datetime
    venue_before: str
    venue_after: str
    refundable_until: datetime | None
    refund_job_id: UUID | None
    reason: str
    idempotency_key: str
    fingerprint: bytes


class EditStore:
    """Transactions of changes, and reads of what changed."""

    def __init__(self, db: Database) -> None:
        self._db = db

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Lend a connection inside a transaction, for the functions of this module.

        Raises `Invalid` for a second schedule at one instant, `VenueNotFound` for a venue that is gone,
        `NotDeletable` for what others refer to, `Unavailable` and `OutcomeUnknown`.
        """
        try:
            async with self._db.writing() as connection:
                yield connection
        except asyncpg.UniqueViolationError as error:
            if error.constraint_name == "schedules_one_per_instant":
                raise same_instant() from error
            raise
        except asyncpg.ForeignKeyViolationError as error:
            if error.constraint_name == "schedules_at_venue":
                raise VenueNotFound from error
            raise NotDeletable from error

    async def changes_of(
        self, schedule_id: UUID, organization_ids: OrganizationIds
    ) -> list[ScheduleChange]:
        """Return the changes of a schedule, the newest first; None means any."""
        rows = await self._db.read(_SQL["changes_of_schedule"], schedule_id, organization_ids)
        return [_change(row) for row in rows]


async def lock_concert(
    connection: Connection, concert_id: UUID, organization_ids: Sequence[UUID]
) -> LockedConcert | None:
    """Lock a concert of these organizations until the transaction ends."""
    row = await connection.fetchrow(_SQL["lock_concert"], concert_id, organization_ids)
    if row is None:
        return None
    members = {name: row[name] for name in CONCERT_MEMBERS}
    return LockedConcert(row["organization_id"], row["status"], row["version"], members)


async def update_concert(
    connection: Connection, concert_id: UUID, members: Mapping[str, Any]
) -> None:
    """Replace the members of a locked concert."""
    values = (members[name] for name in CONCERT_MEMBERS)
    await connection.execute(_SQL["update_concert"], concert_id, *values)


async def schedules_of(connection: Connection, concert_id: UUID) -> list[tuple[UUID, str]]:
    """Lock the schedules of a locked concert; return their ids and statuses."""
    rows = await connection.fetch(_SQL["schedules_of_concert"], concert_id)
    return [(row["schedule_id"], row["status"]) for row in rows]


async def lock_seats(connection: Connection, schedule_ids: Sequence[UUID]) -> bool:
    """Lock the seats of schedules; return whether any is held or sold, or was paid for."""
    is_taken: bool = await connection.fetchval(_SQL["lock_seats"], schedule_ids)
    return is_taken


async def unpublish(connection: Connection, concert_id: UUID) -> None:
    """Make a locked concert a draft."""
    await connection.execute(_SQL["unpublish"], concert_id)


async def lock_schedule(
    connection: Connection, schedule_id: UUID, organization_ids: Sequence[UUID]
) -> ScheduleFacts | None:
    """Lock a schedule of these organizations until the transaction ends; what is true of it then."""
    found = await connection.fetchval(_SQL["lock_schedule"], schedule_id, organization_ids)
    if found is None:
        return None
    (row,) = await connection.fetch(_SQL["schedule_facts"], found)
    return ScheduleFacts(**row)


async def venue_of(
    connection: Connection, venue_id: UUID, organization_ids: Sequence[UUID]
) -> VenueName | None:
    """Return a venue of these organizations."""
    row = await connection.fetchrow(_SQL["venue_of_organizer"], venue_id, organization_ids)
    return VenueName(*row) if row else None


async def update_schedule(
    connection: Connection, schedule_id: UUID, members: Mapping[str, Any]
) -> None:
    """Replace the members of a locked schedule."""
    values = (members[name] for name in SCHEDULE_MEMBERS)
    await connection.execute(_SQL["update_schedule"], schedule_id, *values)


async def note_change(
    connection: Connection,
    schedule_id: UUID,
    at: datetime,
    refundable_until: datetime | None,
    postponed_from: datetime | None,
) -> None:
    """Note when a locked schedule changed for buyers; a postponement closes its sale."""
    await connection.execute(_SQL["note_change"], schedule_id, at, refundable_until, postponed_from)


async def cancel(connection: Connection, schedule_id: UUID, at: datetime) -> None:
    """End the sale of a locked schedule for good."""
    await connection.execute(_SQL["cancel_schedule"], schedule_id, at)


async def insert_change(connection: Connection, change: NewChange) -> None:
    """Write a change with its job and its event."""
    await connection.execute(
        _SQL["insert_change"],
        change.schedule_id,
        change.change_id,
        change.asked_by,
        change.created_at,
        change.kind,
        change.starts_before,
        change.starts_after,
        change.venue_before,
        change.venue_after,
        change.refundable_until,
        change.refund_job_id,
        change.reason,
        change.idempotency_key,
        change.fingerprint,
        f"schedule.{_EVENTS[change.kind]}",
    )


async def change_by_key(
    connection: Connection, schedule_id: UUID, key: str
) -> tuple[ScheduleChange, bytes] | None:
    """Return the change that was asked for under a key, and the fingerprint of its request."""
    row = await connection.fetchrow(_SQL["change_by_key"], schedule_id, key)
    return (_change(row), row["fingerprint"]) if row else None


async def delete_schedule(connection: Connection, schedule_id: UUID) -> bool:
    """Delete a locked schedule; False where it has a history."""
    is_deleted: bool = await connection.fetchval(_SQL["delete_schedule"], schedule_id)
    return is_deleted


async def delete_concert(connection: Connection, concert_id: UUID) -> bool:
    """Delete a locked draft without schedules; False where buyers see it."""
    is_deleted: bool = await connection.fetchval(_SQL["delete_concert"], concert_id)
    return is_deleted


def _change(row: Record) -> ScheduleChange:
    return ScheduleChange(**{name: row[name] for name in ScheduleChange.__struct_fields__})
