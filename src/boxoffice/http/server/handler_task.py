"""Runs a handler's coroutine from the callback that has read its request.

`asyncio.create_task` allocates a task and starts it in the next turn of the event loop, which costs as
much as a look-up from memory. Most handlers end with their first step, or wait once, for their batch.
So the server steps them itself, and is their task in the sense of asyncio ("Extending", "Task lifetime
support", https://docs.python.org/3/library/asyncio-extending.html): `asyncio.current_task`,
`asyncio.timeout` and `asyncio.TaskGroup` work inside a handler as they do inside any other task.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")

_DEADLINES_EVERY_S = 0.5


class HandlerTask(ABC, Generic[T]):
    """A task without a future: a subclass gets the result in `completed`, or the error in `failed`.

    `run` must not be called while another task takes a step, only from a callback of the event loop.
    """

    __slots__ = ("_awaited", "_cancel_requests", "_coroutine", "_loop", "_must_cancel")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._coroutine: Coroutine[Any, Any, T] | None = None
        self._awaited: asyncio.Future[Any] | None = None
        self._cancel_requests = 0
        self._must_cancel = False

    @abstractmethod
    def completed(self, result: T) -> None:
        """Take the result of the coroutine."""

    @abstractmethod
    def failed(self, error: Exception | asyncio.CancelledError) -> None:
        """Take what the coroutine raised."""

    def run(self, coroutine: Coroutine[Any, Any, T]) -> None:
        """Take the coroutine's first step, and the others when what it waits for is done."""
        self._coroutine = coroutine
        self._step()

    def cancel(self, _msg: Any = None) -> bool:
        """Have `CancelledError` raised in the coroutine; say whether it still runs."""
        if self._coroutine is None:
            return False
        self._cancel_requests += 1
        if self._awaited is None or not self._awaited.cancel():
            self._must_cancel = True
        return True

    def done(self) -> bool:
        """Say whether the coroutine has ended, as `asyncio.TaskGroup` asks."""
        return self._coroutine is None

    def cancelling(self) -> int:
        """Return how many cancellations were requested and not taken back."""
        return self._cancel_requests

    def uncancel(self) -> int:
        """Take a cancellation back, as `asyncio.timeout` does; return how many are left."""
        self._cancel_requests = max(0, self._cancel_requests - 1)
        return self._cancel_requests

    def _step(self, _done: object = None) -> None:
        """Let the coroutine go on until it waits or ends."""
        self._awaited = None
        try:
            awaited = self._advance()
        except StopIteration as end:
            self._coroutine = None
            self.completed(end.value)
        except (Exception, asyncio.CancelledError) as error:
            # Not kept for later: the error has this frame in its traceback.
            self._coroutine = None
            self.failed(error)
        else:
            self._wait_for(awaited)

    def _advance(self) -> Any:
        coroutine: Any = self._coroutine
        own: Any = self
        asyncio._enter_task(self._loop, own)  # noqa: SLF001 — documented, as said above
        try:
            if self._must_cancel:
                self._must_cancel = False
                return coroutine.throw(asyncio.CancelledError())
            return coroutine.send(None)
        finally:
            asyncio._leave_task(self._loop, own)  # noqa: SLF001

    def _wait_for(self, awaited: Any) -> None:
        """Take the next step when `awaited` is done: a future, or None to let others go first."""
        if awaited is None:
            self._loop.call_soon(self._step)
            return
        awaited.add_done_callback(self._step)
        self._awaited = awaited
        if self._must_cancel and awaited.cancel():
            self._must_cancel = False


class Deadlines:
    """Cancels what takes too long; all have the same time, so the oldest is due first."""

    def __init__(self) -> None:
        self._open: dict[HandlerTask[Any], float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, task: HandlerTask[Any], timeout_s: float) -> None:
        """Cancel `task` after `timeout_s`, or up to half a second later: one timer serves all."""
        loop = asyncio.get_running_loop()
        self._open[task] = loop.time() + timeout_s
        if self._timer is None:
            self._timer = loop.call_later(_DEADLINES_EVERY_S, self._look, loop)

    def forget(self, task: HandlerTask[Any]) -> None:
        """Drop the deadline of a task that has ended."""
        self._open.pop(task, None)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        late = []
        for task, due in self._open.items():
            if due > now:
                break
            late.append(task)
        for task in late:
            del self._open[task]
            task.cancel()
        again = bool(self._open)
        self._timer = loop.call_later(_DEADLINES_EVERY_S, self._look, loop) if again else None
