"""A future that can be awaited without a task."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class TasklessFuture(asyncio.Future[T]):
    """A future whose awaiter needs no task of its own.

    Inside a task it is awaited like any future. Code that steps a coroutine by hand receives it and
    may `adopt` it instead of creating a task, which would be a tenth of the cost of a small request.
    """

    def adopt(self, wake: Callable[[asyncio.Future[Any]], object]) -> None:
        """Call `wake` when done, as a task would do with the future that its coroutine yields."""
        self._asyncio_future_blocking = False
        self.add_done_callback(wake)
