"""When the states of a schedule are read from the database, and how old they may be.

Between readings a process applies its own decisions and the changes of other pods. Readings bound the
age of what is shown, however many messages are lost.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from boxoffice.platform.concurrency.offload import offload
from boxoffice.seats.cache.states import LiveStates, StoredStates

# Reading one schedule takes at most this share of the time, whatever its size.
_READ_SHARE = 1 / 20
# Shortest time between two readings, also after one that failed or was invalidated at once.
_PAUSE_S = 0.05


@dataclass(frozen=True)
class MaxAge:
    """Maximum age of a reading in seconds, without and with changes of other pods arriving."""

    disconnected_s: float
    connected_s: float


class SnapshotRefresher:
    """Keeps the live states of one schedule fresh.

    At most one reading runs at a time, and callers share it. Without `eager`, `usable` starts no
    reading before `enable`: reading a huge hall is worth it only where holds are refused. `clock`
    counts monotonic seconds; `on_read` is called after every reading.
    """

    def __init__(
        self,
        read: Callable[[], Awaitable[StoredStates]],
        max_age: MaxAge,
        is_connected: Callable[[], bool],
        clock: Callable[[], float],
        on_read: Callable[[], None] = lambda: None,
        *,
        eager: bool = True,
    ) -> None:
        self._read = read
        self._max_age = max_age
        self._is_connected = is_connected
        self._clock = clock
        self._on_read = on_read
        self._is_enabled = eager
        self._read_at = -math.inf
        self._took_s = 0.0
        self._invalidated_at = -math.inf
        self._task: asyncio.Task[None] | None = None
        self._began_at = -math.inf
        self._due_at = -math.inf
        self._trusted_until = -math.inf
        self.live: LiveStates | None = None

    @property
    def read_at(self) -> float:
        """When the newest reading began."""
        return self._read_at

    def invalidate(self) -> None:
        """Do not use the states until a reading that begins after this call: changes were missed."""
        self._invalidated_at = self._clock()
        self._due_at = self._trusted_until = -math.inf

    def enable(self) -> None:
        """Read the schedule in the background from now on: the database has refused a hold there."""
        self._is_enabled = True

    def usable(self) -> LiveStates | None:
        """Return the states where they may be used, without waiting; else start a reading."""
        now = self._clock()
        if now >= self._due_at and (self._is_enabled or self.live is not None):
            self._start_where_due(now)
        return self.live if now < self._trusted_until else None

    async def fresh(self, max_age_s: float | None = None) -> LiveStates:
        """Return states that may be used, read at most `max_age_s` before this call.

        Raises what reading raises.
        """
        if max_age_s is None:
            live = self.usable()
            if live is not None:
                return live
            if self.live is not None and self._clock() - self._read_at < self._took_s / _READ_SHARE:
                return self.live  # invalidated, but read a moment ago: good enough to be shown
            max_age_s = self._limit_s()
        # Clocks tick: a reading that started in the tick of this call may have started before it.
        after = max(self._clock() - max_age_s, self._invalidated_at)
        while self._read_at <= after or self.live is None:
            if self._task is None:
                self._start()
            elif self._began_at <= after:
                await asyncio.wait([self._task])
                continue
            if self._task is not None:
                await asyncio.shield(self._task)
        return self.live

    def _limit_s(self) -> float:
        wanted = self._max_age.connected_s if self._is_connected() else self._max_age.disconnected_s
        return max(wanted, self._took_s / _READ_SHARE)

    def _start_where_due(self, now: float) -> None:
        """Start a reading, unless the last one began too recently."""
        if self._task is None and now - self._began_at >= max(self._took_s / _READ_SHARE, _PAUSE_S):
            self._start()

    def _start(self) -> None:
        self._began_at = self._clock()
        if self.live is not None:
            self.live.begin_reading()
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(self._ended)

    async def _run(self) -> None:
        began_at = self._began_at
        reading = await self._read()
        if self.live is None:
            self.live = await offload(len(reading.states), lambda: LiveStates(reading))
        else:
            self.live.merge(reading)
        self._read_at = began_at
        self._took_s = self._clock() - began_at
        if began_at > self._invalidated_at:
            # While changes arrive a reading only verifies the states: no caller waits for it.
            grace = 2 if self._is_connected() else 1
            self._due_at = began_at + self._limit_s()
            self._trusted_until = began_at + self._limit_s() * grace
        self._on_read()

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._task = None
        if not task.cancelled():
            task.exception()  # waiting callers get it; without one it needs no warning
