"""Statements about venues: named SQL in, frozen types out."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg

from boxoffice.permissions import OrganizationIds
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database, Record
from boxoffice.venues.errors import VenueInUse
from boxoffice.venues.views import Venue

Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[Record]"

_SQL = sql_files.load("boxoffice.venues")
# In the order of the parameters of `insert_venue` and `update_venue`.
MEMBERS = (
    "name",
    "name_en",
    "name_ko",
    "address",
    "address_en",
    "address_ko",
    "city",
    "country",
    "time_zone",
    "directions",
    "directions_en",
    "directions_ko",
    "latitude",
    "longitude",
)


class VenueStore:
    """Reads and writes of venues."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def list_of_organizer(
        self, organization_ids: OrganizationIds, before: UUID | None, count: int
    ) -> list[Venue]:
        """Return at most `count` venues of some organizations, the newest first; None means all."""
        rows = await self._db.read(_SQL["venues_of_organizer"], organization_ids, before, count)
        return [Venue(**row) for row in rows]

    async def get(self, venue_id: UUID, organization_ids: OrganizationIds) -> Venue | None:
        """Return a venue of these organizations; None means any."""
        row = await self._db.read_one(_SQL["venue"], venue_id, organization_ids)
        return Venue(**row) if row else None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Lend a connection inside a transaction, for the functions of this module.

        Raises `VenueInUse`, `Unavailable` and `OutcomeUnknown`.
        """
        try:
            async with self._db.writing() as connection:
                yield connection
        except asyncpg.ForeignKeyViolationError as error:
            raise VenueInUse from error


async def insert(
    connection: Connection, venue_id: UUID, organization_id: UUID, key: str, members: dict[str, Any]
) -> Venue | None:
    """Add a venue; return None where a request with this key has added one."""
    row = await connection.fetchrow(
        _SQL["insert_venue"], venue_id, organization_id, key, *(members[name] for name in MEMBERS)
    )
    return Venue(**row) if row else None


async def by_creation_key(connection: Connection, organization_id: UUID, key: str) -> Venue | None:
    """Return the venue that a request with this key has added."""
    row = await connection.fetchrow(_SQL["venue_by_creation_key"], organization_id, key)
    return Venue(**row) if row else None


async def lock(
    connection: Connection, venue_id: UUID, organization_ids: OrganizationIds
) -> Venue | None:
    """Lock a venue of these organizations until the transaction ends."""
    row = await connection.fetchrow(_SQL["lock_venue"], venue_id, organization_ids)
    return Venue(**row) if row else None


async def is_on_show(connection: Connection, venue_id: UUID) -> bool:
    """Say whether buyers see a performance at the venue that has not begun."""
    found: bool = await connection.fetchval(_SQL["is_on_show"], venue_id)
    return found


async def update(connection: Connection, venue_id: UUID, members: dict[str, Any]) -> Venue:
    """Replace the members of a locked venue."""
    (row,) = await connection.fetch(
        _SQL["update_venue"], venue_id, *(members[name] for name in MEMBERS)
    )
    return Venue(**row)


async def delete(connection: Connection, venue_id: UUID) -> None:
    """Delete a locked venue."""
    await connection.execute(_SQL["delete_venue"], venue_id)
