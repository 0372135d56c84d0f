"""Moves long computations off the event loop."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# Above this many items the work goes to a thread; below it the switch costs more than the work.
INLINE_ITEMS_MAX = 3_000


async def offload(items: int, work: Callable[[], T]) -> T:
    """Return what `work` returns; for many items it runs in a thread, and the event loop goes on."""
    if items <= INLINE_ITEMS_MAX:
        return work()
    return await asyncio.to_thread(work)
