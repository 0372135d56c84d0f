"""How a task is ended: it is cancelled until it has ended, and not once.

`asyncio.wait_for` of Python 3.11 forgets a cancellation that comes while what it waits for is done
already (python/cpython#86296, mended in 3.12), and libraries that call it hand that on: a task that
was cancelled once may go on for ever.
"""

import asyncio
import math
import time
from collections.abc import Collection
from typing import Any

# What a task does on its way out has this long before the next cancellation would disturb it.
_AGAIN_AFTER_S = 0.5


async def cancel_and_wait(
    tasks: Collection["asyncio.Task[Any]"],
    within_s: float = math.inf,
    again_after_s: float = _AGAIN_AFTER_S,
) -> set["asyncio.Task[Any]"]:
    """Cancel `tasks` again and again until they have ended; return those that have not `within_s`.

    What they raise stays in them.
    """
    until = time.monotonic() + within_s
    left = {task for task in tasks if not task.done()}
    while left and (remaining_s := until - time.monotonic()) > 0:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=min(again_after_s, remaining_s))
    return left


def cancellations() -> int:
    """Return how often this task was told to end."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


def raise_if_cancelled(before: int = 0) -> None:
    """Raise `CancelledError` where this task was told to end more often than `before`.

    For behind something that may have swallowed that.
    """
    if cancellations() > before:
        raise asyncio.CancelledError
