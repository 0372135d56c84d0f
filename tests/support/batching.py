"""What all tests of batches share: a short deadline, and no exception that is lost."""

import asyncio
import gc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

_TEST_TIMEOUT_S = 30


def limit_time(items: list[pytest.Item], folder: Path) -> None:
    """Let a command that never gets its outcome fail its own test and not the whole run."""
    for item in items:
        if item.path.is_relative_to(folder):
            item.add_marker(pytest.mark.timeout(_TEST_TIMEOUT_S, method="signal"))


@pytest.fixture(autouse=True)
async def nothing_unretrieved() -> AsyncIterator[None]:
    """Fail where the event loop reports an exception that no caller has retrieved."""
    complaints: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: complaints.append(context))
    yield
    # A lost exception is reported when its future is collected, which a cycle may delay.
    gc.collect(1)
    await asyncio.sleep(0)
    assert not complaints
