"""The time of the database, without asking it each time.

Pods' clocks decide nothing: a pod measures once in a while how far its monotonic clock is from the
database's clock, and counts on from there.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable


class DatabaseClock:
    """Seconds since the Unix epoch by the database's clock, within a round trip's accuracy."""

    def __init__(self, ask: Callable[[], Awaitable[float]], refresh_s: float = 30.0) -> None:
        self._ask = ask
        self._refresh_s = refresh_s
        self._offset_s = time.time() - time.monotonic()

    def now(self) -> float:
        """Return the database's time; a wall clock that jumps on this machine changes nothing."""
        return time.monotonic() + self._offset_s

    async def synchronize(self) -> None:
        """Measure the offset; half the round trip is assumed for the way back."""
        before = time.monotonic()
        told = await self._ask()
        after = time.monotonic()
        self._offset_s = told - (before + after) / 2

    async def keep_synchronized(self) -> None:
        """Measure again and again until cancelled; while the database is away the last offset holds."""
        while True:
            await asyncio.sleep(self._refresh_s)
            with contextlib.suppress(Exception):
                await self.synchronize()
