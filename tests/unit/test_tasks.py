"""A task that was told to end does end, also where something in it forgets that it was told."""

import asyncio

import pytest

from boxoffice.platform.concurrency.tasks import cancel_and_wait, cancellations, raise_if_cancelled


async def _forgetful(times: int, ended: list[str]) -> None:
    """Go on after the first `times` cancellations, as a library's `wait_for` does."""
    for _ in range(times):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            continue
    try:
        await asyncio.sleep(60)
    finally:
        ended.append("ended")


@pytest.mark.parametrize("times", [0, 1, 3])
async def test_a_cancelled_task_is_awaited_until_it_has_ended(times: int) -> None:
    ended: list[str] = []
    task = asyncio.create_task(_forgetful(times, ended))
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        assert await cancel_and_wait([task], again_after_s=0.01) == set()
    assert task.cancelled()
    assert ended == ["ended"]


async def test_one_cancellation_is_not_enough() -> None:
    # Negative control: what was done before leaves the task alive.
    task = asyncio.create_task(_forgetful(1, []))
    await asyncio.sleep(0)
    task.cancel()
    _, left = await asyncio.wait([task], timeout=0.05)
    assert left == {task}
    await cancel_and_wait([task], again_after_s=0.01)


async def test_what_never_ends_is_left_in_time() -> None:
    task = asyncio.create_task(_forgetful(10_000, []))
    await asyncio.sleep(0)
    assert await cancel_and_wait([task], within_s=0.05, again_after_s=0.01) == {task}
    await cancel_and_wait([task], again_after_s=0)


async def test_a_short_farewell_is_not_disturbed() -> None:
    said: list[str] = []

    async def polite() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)
            said.append("goodbye")

    task = asyncio.create_task(polite())
    await asyncio.sleep(0)
    await cancel_and_wait([task])
    assert said == ["goodbye"]


async def test_what_was_told_is_known_behind_what_swallowed_it() -> None:
    seen: list[int] = []

    async def work() -> None:
        before = cancellations()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append(cancellations() - before)
        raise_if_cancelled(cancellations())
        raise_if_cancelled(before)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == [1]
