"""What runs for as long as a process does runs again after a bug, and ends when it is told to."""

import asyncio

import pytest

from boxoffice import app


@pytest.mark.parametrize("ends", ["raises", "returns"])
async def test_what_ended_by_a_bug_begins_anew(ends: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "_AGAIN_AFTER_S", 0.01)
    begun = 0
    again = asyncio.Event()

    async def run() -> None:
        nonlocal begun
        begun += 1
        if begun < 3:
            if ends == "raises":
                raise RuntimeError("a bug")
            return
        again.set()
        await asyncio.sleep(60)

    task = asyncio.create_task(app.keep("it", run))
    async with asyncio.timeout(10):
        await again.wait()
        task.cancel()
        await asyncio.wait([task])
    assert begun == 3
    assert task.cancelled()


async def test_what_fails_while_it_is_cancelled_does_not_begin_anew() -> None:
    begun = 0

    async def run() -> None:
        nonlocal begun
        begun += 1
        try:
            await asyncio.sleep(60)
        finally:
            raise RuntimeError("a bug on the way out")

    task = asyncio.create_task(app.keep("it", run))
    await asyncio.sleep(0)
    task.cancel()
    async with asyncio.timeout(10):
        await asyncio.wait([task])
    assert begun == 1
