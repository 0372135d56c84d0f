"""A future that can be waited for without a task."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class TasklessFuture(asyncio.Future[T]):
    """What somebody waits for who would need a task for nothing else.

    Inside a task it is awaited like any future. A coroutine that is stepped by hand yields it, and
    whoever steps it may `adopt` it, which spares the task: a tenth of what a small request costs.
    """

    def adopt(self, wake: Callable[[asyncio.Future[Any]], object]) -> None:
        """Have `wake` called at the end, in the place of the task that would have been woken."""
        # A task does the same with what its coroutine yields.
        self._asyncio_future_blocking = False
        self.add_done_callback(wake)
