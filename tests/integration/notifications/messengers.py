"""The messenger role inside a test, and waiting for what it does."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from uuid import UUID

from boxoffice.notifications.messenger import run
from boxoffice.platform.postgres.database import Database
from boxoffice.settings import Settings


@asynccontextmanager
async def messenger(settings: Settings) -> AsyncIterator[None]:
    """Run the role until the block is left."""
    stop = asyncio.Event()
    role = asyncio.create_task(run(settings, stop))
    try:
        yield
    finally:
        stop.set()
        async with asyncio.timeout(20):
            await role


async def until(condition: Callable[[], Awaitable[bool] | bool], timeout_s: float = 15) -> None:
    """Wait until the condition holds; fail after a timeout."""
    async with asyncio.timeout(timeout_s):
        while True:
            found = condition()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.01)


async def states(db: Database) -> dict[str, int]:
    """Return how many deliveries are in each state."""
    rows = await db.fetch("SELECT state, count(*) AS n FROM webhook_deliveries GROUP BY state")
    return {row["state"]: row["n"] for row in rows}


async def make_due(db: Database) -> None:
    """Let the delays of all deliveries and mails pass."""
    await db.fetch("UPDATE webhook_deliveries SET due_at = now() WHERE state = 'WAITING'")
    await db.fetch("UPDATE mails SET due_at = now() WHERE state = 'WAITING'")


_QUEUE = """
    INSERT INTO webhook_deliveries (endpoint_id, event_id, queued_at, due_at, topic, body)
    SELECT $1, i, clock_timestamp(), clock_timestamp(), 'reservation.held',
           '{"type":"reservation.held","data":{"n":' || i || '}}'
      FROM generate_series($2::bigint, $3) i
"""


async def queue(db: Database, endpoint_id: UUID, count: int, first: int = 1) -> list[str]:
    """Queue deliveries and return the ids of their events."""
    await db.fetch(_QUEUE, endpoint_id, first, first + count - 1)
    return [str(event_id) for event_id in range(first, first + count)]
