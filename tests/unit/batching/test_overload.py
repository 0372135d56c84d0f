"""The queue is bounded, and whoever finds it full hears so at once."""

import asyncio

import asyncpg
import pytest

from boxoffice.batching import Retry
from boxoffice.errors import Overloaded, Unavailable
from tests.unit.batching.scripted import Desk, Wish, everybody, until


async def test_past_the_bound_a_request_is_refused_at_once() -> None:
    desk = Desk(queue_max=3, batch_max=1, batches_in_flight=1)
    tasks = desk.ask("a b c")
    call = await desk.handler.next()
    await until(lambda: desk.group.count == 3)
    with pytest.raises(Overloaded):
        await desk.group.submit(desk.handler, "lane", Wish("d"))
    call.accept()
    await tasks[0]
    tasks += desk.ask("e")
    for name in "bce":
        call = await desk.handler.next()
        assert call.names == [name]
        call.accept()
    assert await everybody(tasks) == ["did a", "did b", "did c", "did e"]


async def test_commands_in_their_back_off_count() -> None:
    desk = Desk(queue_max=1)
    desk.group._runner._jitter = lambda: 50.0
    tasks = desk.ask("a")
    (await desk.handler.next()).say(Retry("in the way"))
    await until(lambda: not desk.group._in_flight)
    with pytest.raises(Overloaded):
        await desk.group.submit(desk.handler, "lane", Wish("b"))
    (await desk.handler.next()).accept()
    assert await everybody(tasks) == ["did a"]


async def test_repetitions_that_wait_count() -> None:
    desk = Desk(queue_max=3)
    tasks = [desk.send(Wish("a", identity="key")) for _ in range(3)]
    call = await desk.handler.next()
    assert desk.group.count == 3
    with pytest.raises(Overloaded):
        await desk.group.submit(desk.handler, "lane", Wish("a", identity="key"))
    call.accept()
    assert await everybody(tasks) == ["did a"] * 3
    assert desk.has_forgotten_everything


async def test_a_database_that_cannot_decide_refuses_the_batch_without_retry() -> None:
    desk = Desk()
    tasks = desk.ask("a b")
    (await desk.handler.next()).fail(asyncpg.TooManyConnectionsError("full"))
    first, second = await everybody(tasks)
    assert type(first) is type(second) is Unavailable
    assert first is not second
    assert isinstance(first.__cause__, asyncpg.TooManyConnectionsError)
    assert desk.has_forgotten_everything


async def test_the_error_of_an_unavailable_handler_reaches_every_caller() -> None:
    desk = Desk()
    tasks = desk.ask("a b")
    (await desk.handler.next()).fail(Unavailable("No connection.", pool="full"))
    refusals = await everybody(tasks)
    assert [str(error) for error in refusals] == ["No connection."] * 2
    assert refusals[0] is not refusals[1]
    assert isinstance(refusals[0], Unavailable)
    assert refusals[0].extra == {"pool": "full"}


async def line_of_slow_batches(desk: Desk, batch_s: float) -> "list[asyncio.Task[str]]":
    """Let many batches of one take `batch_s` each, and then four come who have waited for a while."""
    for at in range(100):
        task = desk.ask(f"a{at}")[0]
        call = await desk.handler.next()
        desk.clock.now += batch_s
        call.accept()
        await task
    tasks = desk.ask("b c d e")
    await desk.handler.next()
    desk.clock.now += 0.2
    return tasks


async def test_nobody_joins_a_line_in_which_they_would_wait_for_too_long() -> None:
    desk = Desk(batch_max=1, batches_in_flight=1, wait_max_s=1.0)
    tasks = await line_of_slow_batches(desk, 0.3)
    # Four are there, and each takes 0.3 s.
    told_s = []
    for name in "fghijklm":
        with pytest.raises(Overloaded) as refused:
            await desk.group.submit(desk.handler, "lane", Wish(name))
        told_s.append(refused.value.retry_after_s)
    # Those who come back are told to do so one after the other, as fast as commands are decided.
    assert told_s == [1, 1, 1, 2, 2, 2, 3, 3]
    for task in tasks:
        task.cancel()


async def test_a_faster_line_may_be_as_long() -> None:
    # The control of the test above.
    desk = Desk(batch_max=1, batches_in_flight=1, wait_max_s=1.0)
    await line_of_slow_batches(desk, 0.2)
    task = desk.ask("f")[0]
    await until(lambda: desk.group.count == 5)
    assert not task.done()


async def test_who_is_next_shows_that_nothing_moves() -> None:
    desk = Desk(batch_max=1, batches_in_flight=1, wait_max_s=1.0)
    await desk.occupy()
    desk.ask("a")
    await until(lambda: desk.waiting() == ["a"])
    desk.clock.now += 0.9
    desk.ask("b")
    await until(lambda: desk.waiting() == ["a", "b"])
    desk.clock.now += 0.2
    with pytest.raises(Overloaded):
        await desk.group.submit(desk.handler, "lane", Wish("c"))


async def test_commands_that_the_next_batch_takes_are_accepted() -> None:
    desk = Desk(batch_max=3, batches_in_flight=1, wait_max_s=1.0)
    await desk.occupy()
    desk.ask("a")
    await until(lambda: desk.waiting() == ["a"])
    desk.clock.now += 5.0
    desk.ask("b")
    await until(lambda: desk.waiting() == ["a", "b"])
    assert desk.waiting() == ["a", "b"]


async def test_one_slow_batch_makes_no_line() -> None:
    desk = Desk(batches_in_flight=2, wait_max_s=1.0)
    slow = await desk.occupy()
    desk.clock.now += 5.0
    slow.accept()
    for name in "abcd":
        task = desk.ask(name)[0]
        (await desk.handler.next()).accept()
        assert await task == f"did {name}"
