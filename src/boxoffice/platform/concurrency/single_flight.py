"""Single flight: concurrent callers share one computation of a value."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

V = TypeVar("V")


class SingleFlight(Generic[V]):
    """A value that is computed on first use; concurrent callers share one computation.

    `value` is None until then. A failure is raised to every waiting caller, and the next call computes
    again.
    """

    def __init__(self, make: Callable[[], Awaitable[V]]) -> None:
        self._make = make
        self._task: asyncio.Task[V] | None = None
        self.value: V | None = None

    async def get(self) -> V:
        """Return the value; without yielding to the event loop once it is computed."""
        if self.value is not None:
            return self.value
        if self._task is None or (self._task.done() and self._failed(self._task)):
            self._task = asyncio.create_task(self._run())
        return await asyncio.shield(self._task)

    async def _run(self) -> V:
        value = self.value = await self._make()
        return value

    @staticmethod
    def _failed(task: "asyncio.Task[V]") -> bool:
        return task.cancelled() or task.exception() is not None
