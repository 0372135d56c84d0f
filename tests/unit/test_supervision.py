"""A supervised task is restarted after a bug, and ends when it is cancelled."""

import asyncio

import pytest

from boxoffice.platform.concurrency import supervision


@pytest.mark.parametrize("ends", ["raises", "returns"])
async def test_a_task_that_a_bug_ended_is_restarted(
    ends: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "_RESTART_AFTER_S", 0.01)
    starts = 0
    again = asyncio.Event()

    async def run() -> None:
        nonlocal starts
        starts += 1
        if starts < 3:
            if ends == "raises":
                raise RuntimeError("a bug")
            return
        again.set()
        await asyncio.sleep(60)

    task = asyncio.create_task(supervision.run_forever("it", run))
    async with asyncio.timeout(10):
        await again.wait()
        task.cancel()
        await asyncio.wait([task])
    assert starts == 3
    assert task.cancelled()


async def test_a_task_that_fails_while_it_is_cancelled_is_not_restarted() -> None:
    starts = 0

    async def run() -> None:
        nonlocal starts
        starts += 1
        try:
            await asyncio.sleep(60)
        finally:
            raise RuntimeError("a bug during the cancellation")

    task = asyncio.create_task(supervision.run_forever("it", run))
    await asyncio.sleep(0)
    task.cancel()
    async with asyncio.timeout(10):
        await asyncio.wait([task])
    assert starts == 1
