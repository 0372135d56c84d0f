"""Waits until a statement waits for a lock."""

import asyncio
from typing import Any

from boxoffice.platform.postgres.database import Database

_WAITING = """
    SELECT count(*) AS waiting FROM pg_stat_activity
     WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


async def until_waiting(db: Database, task: "asyncio.Task[Any]", deadline_s: float = 10) -> None:
    """Return once `task` waits for a lock; raise `AssertionError` if it ends before."""
    async with asyncio.timeout(deadline_s):
        while (await db.fetch(_WAITING))[0]["waiting"] == 0:
            if task.done():
                raise AssertionError(f"nothing was waited for: {task}")
            await asyncio.sleep(0.01)
