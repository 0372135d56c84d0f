"""Readings that began after they were asked for, shared by all who ask meanwhile.

What a process knows by heart may be a moment old, and that is no ground for a final no: what says no is
read once more first. However many people ask, one reading per key is under way at a time, one begins
`_PAUSE_S` after the one before at the earliest, and `_AT_ONCE_MAX` of all keys run side by side.
"""

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_PAUSE_S = 0.05
_AT_ONCE_MAX = 8
_KEYS_MAX = 10_000


class CoalescedReads(Generic[K, V]):
    """Reads values by key with `read`; `clock` counts monotonic seconds."""

    def __init__(
        self, read: Callable[[K], Awaitable[V]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._read = read
        self._clock = clock
        self._turns = asyncio.Semaphore(_AT_ONCE_MAX)
        # The reading of each key that has not begun, and the one that has: of each one at the most.
        self._next: dict[K, asyncio.Task[V]] = {}
        self._current: dict[K, asyncio.Task[V]] = {}
        self._began_at: OrderedDict[K, float] = OrderedDict()

    async def get(self, key: K) -> V:
        """Return what a reading says that begins after this call; raise what reading raises."""
        task = self._next.get(key)
        if task is None:
            task = self._next[key] = asyncio.create_task(self._run(key))
            task.add_done_callback(_finished)
        return await asyncio.shield(task)

    async def _run(self, key: K) -> V:
        before = self._current.get(key)
        if before is not None:
            await asyncio.wait([before])
        pause_s = self._began_at.get(key, -math.inf) + _PAUSE_S - self._clock()
        if pause_s > 0:
            await asyncio.sleep(pause_s)
        async with self._turns:
            self._current[key] = self._next.pop(key)
            self._note(key)
            try:
                return await self._read(key)
            finally:
                del self._current[key]

    def _note(self, key: K) -> None:
        self._began_at[key] = self._clock()
        self._began_at.move_to_end(key)
        if len(self._began_at) > _KEYS_MAX:
            self._began_at.popitem(last=False)


def _finished(task: "asyncio.Task[V]") -> None:
    if not task.cancelled():
        task.exception()  # who waits has it; a failure that nobody waits for is not worth a warning
