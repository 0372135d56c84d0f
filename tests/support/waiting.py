"""Waiting for what has to come, with a deadline instead of a guess."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import asyncpg

from boxoffice.platform.postgres.database import Record

_WAITING = """
    SELECT count(*) FROM pg_locks
     WHERE locktype = 'advisory' AND objid = $1 AND NOT granted
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


async def until(holds: Callable[[], Awaitable[object]], within_s: float = 30.0) -> None:
    """Return as soon as `holds` answers something true; raise `TimeoutError` after `within_s`."""
    deadline = time.monotonic() + within_s
    while not await holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {within_s} s")
        await asyncio.sleep(0.01)


def wait_until(holds: Callable[[], object], within_s: float = 30.0) -> None:
    """The same for what needs no event loop."""
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {within_s} s")
        time.sleep(0.01)


async def waiting_at(connection: "asyncpg.Connection[Record]", lock: int) -> int:
    """Return how many sessions of this database wait for an advisory lock."""
    return int(await connection.fetchval(_WAITING, lock))
