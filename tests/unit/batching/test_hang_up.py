"""A caller who hangs up takes nothing back and leaves nothing behind."""

import asyncio
from typing import Any

import asyncpg
import pytest

from boxoffice.batching import Retry
from boxoffice.errors import IdempotencyInFlight, OutcomeUnknown
from tests.unit.batching.scripted import Desk, Wish, everybody, until


async def hang_up(task: "asyncio.Task[str]") -> None:
    """Cancel a caller and see it go."""
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_at_the_database() -> None:
    desk = Desk()
    gone, stays = desk.ask("gone stays")
    call = await desk.handler.next()
    await hang_up(gone)
    assert desk.group.count == 2
    call.accept()
    assert await stays == "did stays"
    assert desk.has_forgotten_everything


async def test_in_the_queue() -> None:
    desk = Desk(batches_in_flight=1)
    busy = await desk.occupy()
    gone, stays = desk.ask("gone stays")
    await until(lambda: desk.waiting() == ["gone", "stays"])
    await hang_up(gone)
    busy.accept()
    call = await desk.handler.next()
    assert call.names == ["gone", "stays"]
    call.accept()
    assert await stays == "did stays"
    assert desk.has_forgotten_everything


async def test_an_error_for_somebody_who_has_gone_is_not_reported_as_lost() -> None:
    desk = Desk()
    (gone,) = desk.ask("gone")
    call = await desk.handler.next()
    await hang_up(gone)
    call.fail(asyncpg.CheckViolationError("nobody hears this"))
    await until(lambda: desk.has_forgotten_everything)


async def test_in_the_moment_of_the_answer() -> None:
    desk = Desk()
    (gone,) = desk.ask("gone")
    call = await desk.handler.next()
    call.fail(asyncpg.CheckViolationError("told and cancelled at once"))
    await until(lambda: desk.has_forgotten_everything)
    await hang_up(gone)


async def test_the_first_of_two_twins() -> None:
    desk = Desk()
    first, second = (desk.send(Wish("a", identity="key")) for _ in range(2))
    call = await desk.handler.next()
    await hang_up(first)
    call.accept()
    assert await second == "did a"
    assert desk.has_forgotten_everything


async def test_the_second_of_two_twins() -> None:
    desk = Desk()
    first, second = (desk.send(Wish("a", identity="key")) for _ in range(2))
    call = await desk.handler.next()
    await hang_up(second)
    assert desk.group.count == 1
    call.accept()
    assert await first == "did a"
    assert desk.has_forgotten_everything


async def test_a_key_stays_taken_when_its_caller_has_gone() -> None:
    desk = Desk()
    first = desk.send(Wish("a", identity="key"))
    call = await desk.handler.next()
    await hang_up(first)
    with pytest.raises(IdempotencyInFlight):
        await desk.group.submit(desk.handler, "lane", Wish("b", "key", b"other"))
    call.accept()
    await until(lambda: not desk.group.count)
    assert desk.has_forgotten_everything
    assert desk.handler.is_quiet


async def test_somebody_who_comes_back_gets_the_outcome() -> None:
    desk = Desk()
    first = desk.send(Wish("a", identity="key"))
    call = await desk.handler.next()
    await hang_up(first)
    second = desk.send(Wish("a", identity="key"))
    await until(lambda: desk.group.count == 2)
    call.accept()
    assert await second == "did a"


async def test_a_batch_that_is_cancelled_from_outside_leaves_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = Desk()
    came_back = asyncio.Event()
    put_back = desk.group._put_back

    def watch(*args: Any) -> None:
        put_back(*args)
        came_back.set()

    monkeypatch.setattr(desk.group._runner, "_put_back", watch)
    tasks = desk.ask("a b c d")
    (await desk.handler.next()).fail(asyncpg.CheckViolationError("split"))
    (await desk.handler.next()).say("did a", Retry("in the way"))
    await desk.handler.next()
    for batch in desk.group._in_flight:
        batch.cancel()
    first, *others = await everybody(tasks)
    assert first == "did a"
    assert all(isinstance(outcome, OutcomeUnknown) for outcome in others)
    await came_back.wait()
    assert desk.has_forgotten_everything
    tasks = desk.ask("e")
    call = await desk.handler.next()
    assert call.names == ["e"]
    call.accept()
    assert await everybody(tasks) == ["did e"]
