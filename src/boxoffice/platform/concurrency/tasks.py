"""Ends tasks by cancelling them until they have ended, and not once.

`asyncio.wait_for` of Python 3.11 loses a cancellation that arrives when the awaited future is
already done (python/cpython#86296, fixed in 3.12); so do libraries that call it. A task that was
cancelled once may run for ever.
"""

import asyncio
import math
import time
from collections.abc import Collection
from typing import Any

# A task's cleanup has this long before the next cancellation interrupts it.
_AGAIN_AFTER_S = 0.5


async def cancel_and_wait(
    tasks: Collection["asyncio.Task[Any]"],
    within_s: float = math.inf,
    again_after_s: float = _AGAIN_AFTER_S,
) -> set["asyncio.Task[Any]"]:
    """Cancel `tasks` repeatedly until they have ended; return those that have not `within_s`.

    Their exceptions stay in the tasks.
    """
    until = time.monotonic() + within_s
    left = {task for task in tasks if not task.done()}
    while left and (remaining_s := until - time.monotonic()) > 0:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=min(again_after_s, remaining_s))
    return left


def cancellations() -> int:
    """Return how often the current task was cancelled."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


def raise_if_cancelled(before: int = 0) -> None:
    """Raise `CancelledError` where the current task was cancelled more often than `before`.

    For use after a call that may have swallowed the cancellation.
    """
    if cancellations() > before:
        raise asyncio.CancelledError
