"""Tasks that run as long as the process does, and are restarted when a bug ends them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from boxoffice.observability.logs import log
from boxoffice.platform.concurrency.tasks import cancel_and_wait, raise_if_cancelled

# How long the tasks may take to stop; one that takes longer is left behind.
_STOP_WITHIN_S = 3.0
_RESTART_AFTER_S = 1.0


@asynccontextmanager
async def supervised(work: Mapping[str, Callable[[], Awaitable[None]]]) -> AsyncIterator[None]:
    """Run each of `work` in a task of that name for the duration of the block."""
    tasks = [asyncio.create_task(run_forever(name, run), name=name) for name, run in work.items()]
    try:
        yield
    finally:
        left = await cancel_and_wait(tasks, _STOP_WITHIN_S)
        if left:
            log.error("tasks_not_ended", tasks=sorted(task.get_name() for task in left))


async def run_forever(name: str, run: Callable[[], Awaitable[None]]) -> None:
    """Run `run` until this task is cancelled; log an end or an error, and start again."""
    while True:
        try:
            await run()
        except Exception as error:  # one task's bug must not end the process
            log.error("task_failed", task=name, exc_info=error)
            raise_if_cancelled()  # An error during the cancellation replaces `CancelledError`.
        else:
            raise_if_cancelled()
            log.error("task_ended", task=name)
        await asyncio.sleep(_RESTART_AFTER_S)
