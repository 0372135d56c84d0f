"""The statements of attendee lists: named SQL in, frozen types out."""

from collections.abc import AsyncGenerator
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from boxoffice.permissions import OrganizationIds
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database

_SQL = sql_files.load("boxoffice.reports")


class AttendeePlace(NamedTuple):
    """The place of a ticket in an attendee list."""

    ordinal: int
    ticket_id: UUID


class ListedSchedule(NamedTuple):
    """A performance and whose it is."""

    schedule_id: UUID
    concert_id: UUID
    organization_id: UUID


class Attendee(msgspec.Struct, frozen=True, kw_only=True):
    """A ticket with the name and address of the person who has it."""

    schedule_id: UUID
    ticket_id: UUID
    reservation_id: UUID
    seat_id: str
    status: str
    issued_at: datetime
    ordinal: int
    section: str
    row_label: str
    number: int
    grade: str
    price_type: str
    name: str
    email: str
    source: str
    order_number: str | None


class AttendeeStore:
    """Reads tickets with their holders."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def place(
        self, schedule_id: UUID, organization_ids: OrganizationIds
    ) -> ListedSchedule | None:
        """Return a performance of these organizations; for None, of any."""
        row = await self._db.read_one(_SQL["performance_of"], schedule_id, organization_ids)
        return None if row is None else ListedSchedule(**row)

    async def count(self, schedule_id: UUID, with_void: bool) -> int:
        """Return how many tickets a list has."""
        [row] = await self._db.read(_SQL["attendee_count"], schedule_id, with_void)
        return int(row["rows"])

    async def page(
        self, schedule_id: UUID, with_void: bool, after: AttendeePlace | None, limit: int
    ) -> list[Attendee]:
        """Return up to `limit` tickets after a place."""
        ordinal, ticket_id = after or (None, None)
        async with self._db.snapshot() as connection:
            await connection.fetch(_SQL["plan"])
            rows = await connection.fetch(
                _SQL["attendees"], schedule_id, with_void, ordinal, ticket_id, limit
            )
        return [Attendee(schedule_id=schedule_id, **row) for row in rows]

    async def all(
        self, schedule_id: UUID, with_void: bool, batch_rows: int
    ) -> AsyncGenerator[list[Attendee]]:
        """Yield all tickets in parts, by a cursor of the server in one snapshot."""
        async with self._db.snapshot() as connection:
            await connection.fetch(_SQL["plan"])
            asked = (schedule_id, with_void, None, None, None)
            cursor = await connection.cursor(_SQL["attendees"], *asked)
            while rows := await cursor.fetch(batch_rows):
                yield [Attendee(schedule_id=schedule_id, **row) for row in rows]
