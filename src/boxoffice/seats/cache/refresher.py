"""Who reads the states of one schedule, when, and how old they may be.

What a process knows of a schedule comes from its own decisions and from other pods' notices, and every
so often from the database: however many notices are lost, what is shown is no older than that.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from boxoffice.platform.concurrency.offload import offload
from boxoffice.seats.cache.states import LiveStates, StoredStates

# A schedule is read for at most one part in so many of the time, however large it is.
_READ_SHARE = 20
# Nor does one begin sooner than this after another that failed, or whose news were doubted at once.
_PAUSE_S = 0.05


@dataclass(frozen=True)
class MaxAge:
    """How old a reading may be, in seconds: without notices of other pods, and with them."""

    unheard_s: float
    heard_s: float


class SnapshotRefresher:
    """The live states of one schedule; `clock` is monotonic, in seconds; `has_read` hears of readings.

    At most one reading is under way at a time, and those who want one that began before they asked
    share it. A hall that is not `eager` is not read for those who would not wait, before somebody has
    wanted it: while nobody is refused anything there, nothing is gained by it.
    """

    def __init__(
        self,
        read: Callable[[], Awaitable[StoredStates]],
        ages: MaxAge,
        listening: Callable[[], bool],
        clock: Callable[[], float],
        has_read: Callable[[], None] = lambda: None,
        *,
        eager: bool = True,
    ) -> None:
        self._read = read
        self._ages = ages
        self._listening = listening
        self._clock = clock
        self._has_read = has_read
        self._is_wanted = eager
        self._read_at = -math.inf
        self._took_s = 0.0
        self._doubted_at = -math.inf
        self._task: asyncio.Task[None] | None = None
        self._began_at = -math.inf
        self._due_at = -math.inf
        self._believed_until = -math.inf
        self.live: LiveStates | None = None

    @property
    def read_at(self) -> float:
        """When the newest reading began."""
        return self._read_at

    def doubt(self) -> None:
        """Believe nothing until there is a reading that begins after now: something was missed."""
        self._doubted_at = self._clock()
        self._due_at = self._believed_until = -math.inf

    def want(self) -> None:
        """Have the schedule read from now on: somebody was refused something there."""
        self._is_wanted = True

    def usable(self) -> LiveStates | None:
        """Return the states where they may be believed, without waiting; else a reading is started."""
        now = self._clock()
        if now >= self._due_at and (self._is_wanted or self.live is not None):
            self._start_where_due(now)
        return self.live if now < self._believed_until else None

    async def fresh(self, max_age_s: float | None = None) -> LiveStates:
        """Return states that may be believed, read at most `max_age_s` before this call.

        Raises what reading raises.
        """
        if max_age_s is None:
            live = self.usable()
            if live is not None:
                return live
            if self.live is not None and self._clock() - self._read_at < self._took_s * _READ_SHARE:
                return self.live  # in doubt, and read a moment ago: good enough to be shown
            max_age_s = self._limit_s()
        # Clocks tick: a reading that started in the tick of this call may have started before it.
        after = max(self._clock() - max_age_s, self._doubted_at)
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
        wanted = self._ages.heard_s if self._listening() else self._ages.unheard_s
        return max(wanted, self._took_s * _READ_SHARE)

    def _start_where_due(self, now: float) -> None:
        """Start a reading, unless the last one began so recently that it would be too much."""
        if self._task is None and now - self._began_at >= max(self._took_s * _READ_SHARE, _PAUSE_S):
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
            self.live.take_over(reading)
        self._read_at = began_at
        self._took_s = self._clock() - began_at
        if began_at > self._doubted_at:
            # While notices come in, a reading only verifies what is known: nobody waits for it.
            grace = 2 if self._listening() else 1
            self._due_at = began_at + self._limit_s()
            self._believed_until = began_at + self._limit_s() * grace
        self._has_read()

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._task = None
        if not task.cancelled():
            task.exception()  # who waits has it; a failure that nobody waits for is not worth a warning
