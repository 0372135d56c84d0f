"""Cancelling a caller cancels no command, and leaves nothing behind."""

import asyncio
from typing import Any

import asyncpg
import pytest

from boxoffice.batching import Retry
from boxoffice.errors import IdempotencyInFlight, OutcomeUnknown
from tests.unit.batching.scripted import Harness, NamedCommand, results, until


async def cancel(task: "asyncio.Task[str]") -> None:
    """Cancel a caller and see it go."""
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_at_the_database() -> None:
    harness = Harness()
    gone, stays = harness.ask("gone stays")
    call = await harness.handler.next()
    await cancel(gone)
    assert harness.group.count == 2
    call.accept()
    assert await stays == "did stays"
    assert harness.is_empty


async def test_in_the_queue() -> None:
    harness = Harness(batches_in_flight=1)
    busy = await harness.occupy()
    gone, stays = harness.ask("gone stays")
    await until(lambda: harness.waiting() == ["gone", "stays"])
    await cancel(gone)
    busy.accept()
    call = await harness.handler.next()
    assert call.names == ["gone", "stays"]
    call.accept()
    assert await stays == "did stays"
    assert harness.is_empty


async def test_an_error_for_a_cancelled_caller_is_not_reported_as_lost() -> None:
    harness = Harness()
    (gone,) = harness.ask("gone")
    call = await harness.handler.next()
    await cancel(gone)
    call.fail(asyncpg.CheckViolationError("no caller gets this"))
    await until(lambda: harness.is_empty)


async def test_in_the_moment_of_the_answer() -> None:
    harness = Harness()
    (gone,) = harness.ask("gone")
    call = await harness.handler.next()
    call.fail(asyncpg.CheckViolationError("refused and cancelled at once"))
    await until(lambda: harness.is_empty)
    await cancel(gone)


async def test_the_first_of_two_twins() -> None:
    harness = Harness()
    first, second = (harness.send(NamedCommand("a", identity="key")) for _ in range(2))
    call = await harness.handler.next()
    await cancel(first)
    call.accept()
    assert await second == "did a"
    assert harness.is_empty


async def test_the_second_of_two_twins() -> None:
    harness = Harness()
    first, second = (harness.send(NamedCommand("a", identity="key")) for _ in range(2))
    call = await harness.handler.next()
    await cancel(second)
    assert harness.group.count == 1
    call.accept()
    assert await first == "did a"
    assert harness.is_empty


async def test_a_key_stays_taken_when_its_caller_has_gone() -> None:
    harness = Harness()
    first = harness.send(NamedCommand("a", identity="key"))
    call = await harness.handler.next()
    await cancel(first)
    with pytest.raises(IdempotencyInFlight):
        await harness.group.submit(harness.handler, "lane", NamedCommand("b", "key", b"other"))
    call.accept()
    await until(lambda: not harness.group.count)
    assert harness.is_empty
    assert harness.handler.is_quiet


async def test_a_caller_that_repeats_gets_the_outcome() -> None:
    harness = Harness()
    first = harness.send(NamedCommand("a", identity="key"))
    call = await harness.handler.next()
    await cancel(first)
    second = harness.send(NamedCommand("a", identity="key"))
    await until(lambda: harness.group.count == 2)
    call.accept()
    assert await second == "did a"


async def test_a_batch_that_is_cancelled_from_outside_leaves_no_caller_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    harness = Harness()
    came_back = asyncio.Event()
    put_back = harness.group._put_back

    def watch(*args: Any) -> None:
        put_back(*args)
        came_back.set()

    monkeypatch.setattr(harness.group._recovery, "_put_back", watch)
    tasks = harness.ask("a b c d")
    (await harness.handler.next()).fail(asyncpg.CheckViolationError("split"))
    (await harness.handler.next()).say("did a", Retry("in the way"))
    await harness.handler.next()
    for batch in harness.group._in_flight:
        batch.cancel()
    first, *others = await results(tasks)
    assert first == "did a"
    assert all(isinstance(outcome, OutcomeUnknown) for outcome in others)
    await came_back.wait()
    assert harness.is_empty
    tasks = harness.ask("e")
    call = await harness.handler.next()
    assert call.names == ["e"]
    call.accept()
    assert await results(tasks) == ["did e"]
