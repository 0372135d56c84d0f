"""The queue is bounded; a command that finds it full is refused at once."""

import asyncio

import asyncpg
import pytest

from boxoffice.batching import Retry
from boxoffice.errors import Overloaded, Unavailable
from tests.unit.batching.scripted import Harness, NamedCommand, results, until


async def test_past_the_bound_a_request_is_refused_at_once() -> None:
    harness = Harness(queue_max=3, batch_max=1, batches_in_flight=1)
    tasks = harness.ask("a b c")
    call = await harness.handler.next()
    await until(lambda: harness.group.count == 3)
    with pytest.raises(Overloaded):
        await harness.group.submit(harness.handler, "lane", NamedCommand("d"))
    call.accept()
    await tasks[0]
    tasks += harness.ask("e")
    for name in "bce":
        call = await harness.handler.next()
        assert call.names == [name]
        call.accept()
    assert await results(tasks) == ["did a", "did b", "did c", "did e"]


async def test_commands_in_their_back_off_count() -> None:
    harness = Harness(queue_max=1)
    harness.group._recovery._jitter = lambda: 50.0
    tasks = harness.ask("a")
    (await harness.handler.next()).say(Retry("in the way"))
    await until(lambda: not harness.group._in_flight)
    with pytest.raises(Overloaded):
        await harness.group.submit(harness.handler, "lane", NamedCommand("b"))
    (await harness.handler.next()).accept()
    assert await results(tasks) == ["did a"]


async def test_repetitions_that_wait_count() -> None:
    harness = Harness(queue_max=3)
    tasks = [harness.send(NamedCommand("a", identity="key")) for _ in range(3)]
    call = await harness.handler.next()
    assert harness.group.count == 3
    with pytest.raises(Overloaded):
        await harness.group.submit(harness.handler, "lane", NamedCommand("a", identity="key"))
    call.accept()
    assert await results(tasks) == ["did a"] * 3
    assert harness.is_empty


async def test_a_database_that_cannot_decide_refuses_the_batch_without_retry() -> None:
    harness = Harness()
    tasks = harness.ask("a b")
    (await harness.handler.next()).fail(asyncpg.TooManyConnectionsError("full"))
    first, second = await results(tasks)
    assert type(first) is type(second) is Unavailable
    assert first is not second
    assert isinstance(first.__cause__, asyncpg.TooManyConnectionsError)
    assert harness.is_empty


async def test_the_error_of_an_unavailable_handler_reaches_every_caller() -> None:
    harness = Harness()
    tasks = harness.ask("a b")
    (await harness.handler.next()).fail(Unavailable("No connection.", pool="full"))
    refusals = await results(tasks)
    assert [str(error) for error in refusals] == ["No connection."] * 2
    assert refusals[0] is not refusals[1]
    assert isinstance(refusals[0], Unavailable)
    assert refusals[0].extra == {"pool": "full"}


async def line_of_slow_batches(harness: Harness, batch_s: float) -> "list[asyncio.Task[str]]":
    """Let many batches of one take `batch_s` each, and then four come who have waited for a while."""
    for at in range(100):
        task = harness.ask(f"a{at}")[0]
        call = await harness.handler.next()
        harness.clock.now += batch_s
        call.accept()
        await task
    tasks = harness.ask("b c d e")
    await harness.handler.next()
    harness.clock.now += 0.2
    return tasks


async def test_a_command_is_refused_where_it_would_wait_for_too_long() -> None:
    harness = Harness(batch_max=1, batches_in_flight=1, wait_max_s=1.0)
    tasks = await line_of_slow_batches(harness, 0.3)
    # Four are there, and each takes 0.3 s.
    told_s = []
    for name in "fghijklm":
        with pytest.raises(Overloaded) as refused:
            await harness.group.submit(harness.handler, "lane", NamedCommand(name))
        told_s.append(refused.value.retry_after_s)
    # Retries are spread one after the other, as fast as commands are decided.
    assert told_s == [1, 1, 1, 2, 2, 2, 3, 3]
    for task in tasks:
        task.cancel()


async def test_a_faster_queue_may_be_as_long() -> None:
    # The control of the test above.
    harness = Harness(batch_max=1, batches_in_flight=1, wait_max_s=1.0)
    await line_of_slow_batches(harness, 0.2)
    task = harness.ask("f")[0]
    await until(lambda: harness.group.count == 5)
    assert not task.done()


async def test_the_head_of_the_queue_shows_that_nothing_moves() -> None:
    harness = Harness(batch_max=1, batches_in_flight=1, wait_max_s=1.0)
    await harness.occupy()
    harness.ask("a")
    await until(lambda: harness.waiting() == ["a"])
    harness.clock.now += 0.9
    harness.ask("b")
    await until(lambda: harness.waiting() == ["a", "b"])
    harness.clock.now += 0.2
    with pytest.raises(Overloaded):
        await harness.group.submit(harness.handler, "lane", NamedCommand("c"))


async def test_commands_that_the_next_batch_takes_are_accepted() -> None:
    harness = Harness(batch_max=3, batches_in_flight=1, wait_max_s=1.0)
    await harness.occupy()
    harness.ask("a")
    await until(lambda: harness.waiting() == ["a"])
    harness.clock.now += 5.0
    harness.ask("b")
    await until(lambda: harness.waiting() == ["a", "b"])
    assert harness.waiting() == ["a", "b"]


async def test_one_slow_batch_makes_no_queue() -> None:
    harness = Harness(batches_in_flight=2, wait_max_s=1.0)
    slow = await harness.occupy()
    harness.clock.now += 5.0
    slow.accept()
    for name in "abcd":
        task = harness.ask(name)[0]
        (await harness.handler.next()).accept()
        assert await task == f"did {name}"
