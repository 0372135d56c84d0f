"""Waiting for what has to come, with a deadline instead of a guess."""

import asyncio
import time
from collections.abc import Awaitable, Callable


async def until(holds: Callable[[], Awaitable[object]], within_s: float = 30.0) -> None:
    """Return as soon as `holds` answers something true; raise `TimeoutError` after `within_s`."""
    deadline = time.monotonic() + within_s
    while not await holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {within_s} s")
        await asyncio.sleep(0.01)


def wait_until(holds: Callable[[], object], within_s: float = 30.0) -> None:
    """The same for what needs no event loop."""
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {within_s} s")
        time.sleep(0.01)
