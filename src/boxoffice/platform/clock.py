"""The time of the database, without a query each time.

The clocks of pods decide nothing: a pod periodically measures the offset of its monotonic clock
from the database's clock.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable

from boxoffice.observability.logs import log

# An answer is wrong by up to half its round trip; the previous offset is better than a late one.
_ROUND_TRIP_MAX_S = 1.0
# Two clocks drift apart by less than this per second between two measurements; quartz does a quarter.
_DRIFT = 0.000_2


class DatabaseClock:
    """Seconds since the Unix epoch by the database's clock, within a round trip's accuracy."""

    def __init__(self, ask: Callable[[], Awaitable[float]], refresh_s: float = 30.0) -> None:
        self._ask = ask
        self._refresh_s = refresh_s
        self._offset_s = time.time() - time.monotonic()
        self._error_s = math.inf
        self._measured_at = 0.0

    def now(self) -> float:
        """Return the database's time; jumps of this machine's wall clock have no effect."""
        return time.monotonic() + self._offset_s

    def uncertainty_s(self) -> float:
        """Return how far `now` may be off, either way: half the round trip of the last measurement and
        what the clocks may have drifted since; infinite before the first one.
        """
        return self._error_s + (time.monotonic() - self._measured_at) * _DRIFT

    async def synchronize(self) -> None:
        """Measure the offset; half the round trip is assumed for the way back.

        A measurement whose round trip took over a second is dropped.
        """
        before = time.monotonic()
        answered_s = await self._ask()
        after = time.monotonic()
        if after - before > _ROUND_TRIP_MAX_S:
            log.warning("clock_measurement_dropped", round_trip_s=round(after - before, 3))
            return
        self._offset_s = answered_s - (before + after) / 2
        self._error_s = (after - before) / 2
        self._measured_at = after

    async def keep_synchronized(self) -> None:
        """Measure periodically until cancelled; without the database the last offset holds."""
        while True:
            await asyncio.sleep(self._refresh_s)
            try:
                await self.synchronize()
            except Exception as error:
                log.warning("clock_not_synchronized", error=repr(error))
