"""Changes of a hall's concert and schedule, and a concurrent transaction."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg

from boxoffice.catalog import store as catalog
from boxoffice.platform.postgres.database import Record
from tests.support.hall import Hall

_LOCK_TIMEOUT = "SET LOCAL lock_timeout = '300ms'"


async def change_row(hall: Hall, table: str, change: str) -> None:
    """Change the row of the hall in a table that has its id."""
    key = f"{table.removesuffix('s')}_id"
    statement = f"UPDATE {table} SET {change} WHERE {key} = $1"  # noqa: S608 — our own words
    await hall.db.fetch(statement, hall.schedule_id)


async def make_draft(hall: Hall) -> None:
    """Make drafts of the concert and its schedule."""
    await change_row(hall, "concerts", "status = 'DRAFT', published_at = NULL")
    await change_row(hall, "schedules", "status = 'DRAFT'")


async def publish(hall: Hall, concert_id: UUID, organizer_id: UUID) -> bool:
    """Publish a concert; say whether that was possible."""
    async with hall.db.writing() as connection:
        return await catalog.publish(connection, concert_id, [organizer_id]) is not None


async def open_sale(hall: Hall, schedule_id: UUID, organizer_id: UUID) -> bool:
    """Open a sale; say whether that was possible."""
    async with hall.db.writing() as connection:
        return await catalog.open_sale(connection, schedule_id, [organizer_id]) is not None


async def close_sale(hall: Hall, schedule_id: UUID, organizer_id: UUID) -> bool:
    """Close a sale; say whether that was possible."""
    async with hall.db.writing() as connection:
        return await catalog.close_sale(connection, schedule_id, [organizer_id]) is not None


async def statuses(hall: Hall) -> tuple[str, str]:
    """Return the status of the concert and of its schedule."""
    (row,) = await hall.db.fetch(
        "SELECT c.status AS concert, s.status AS schedule FROM concerts c JOIN schedules s"
        " ON s.concert_id = c.concert_id WHERE c.concert_id = $1",
        hall.schedule_id,
    )
    return row["concert"], row["schedule"]


@asynccontextmanager
async def concurrent_transaction(database_url: str) -> AsyncIterator["asyncpg.Connection[Record]"]:
    """A concurrent transaction with a short lock timeout."""
    connection: asyncpg.Connection[Record] = await asyncpg.connect(database_url)
    try:
        async with connection.transaction():
            await connection.execute(_LOCK_TIMEOUT)
            yield connection
    finally:
        await connection.close()
