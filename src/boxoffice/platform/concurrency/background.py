"""Tasks that run beyond the request that started them."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Background:
    """Runs work that no caller waits for, and waits for it at shutdown."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` in a task of its own; the reference is kept until it has ended."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finish(self) -> None:
        """Return when everything started so far has ended."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
