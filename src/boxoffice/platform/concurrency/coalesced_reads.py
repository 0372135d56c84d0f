"""Reads that begin after the call, shared by all callers that wait for the same key.

A final refusal must not rest on a cache, so such a read precedes it. Per key one read runs at a time,
and starts at least `_PAUSE_S` after the last start; `_CONCURRENT_MAX` keys run in parallel.
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
_CONCURRENT_MAX = 8
_KEYS_MAX = 10_000


class CoalescedReads(Generic[K, V]):
    """Reads values by key with `read`; `clock` counts monotonic seconds."""

    def __init__(
        self, read: Callable[[K], Awaitable[V]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._read = read
        self._clock = clock
        self._concurrency = asyncio.Semaphore(_CONCURRENT_MAX)
        # Per key at most one read that has not begun, and one that runs.
        self._next: dict[K, asyncio.Task[V]] = {}
        self._current: dict[K, asyncio.Task[V]] = {}
        self._began_at: OrderedDict[K, float] = OrderedDict()

    async def get(self, key: K) -> V:
        """Return the value of a read that begins after this call; raise its error."""
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
        async with self._concurrency:
            self._current[key] = self._next.pop(key)
            self._record_start(key)
            try:
                return await self._read(key)
            finally:
                del self._current[key]

    def _record_start(self, key: K) -> None:
        self._began_at[key] = self._clock()
        self._began_at.move_to_end(key)
        if len(self._began_at) > _KEYS_MAX:
            self._began_at.popitem(last=False)


def _finished(task: "asyncio.Task[V]") -> None:
    if not task.cancelled():
        task.exception()  # a caller that waits gets it; without one asyncio would warn
