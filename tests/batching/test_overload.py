"""The queue is bounded, and whoever finds it full hears so at once."""

import asyncpg
import pytest

from boxoffice.batching import Retry
from boxoffice.errors import Overloaded, Unavailable
from tests.batching.scripted import Desk, Wish, everybody, until


async def test_past_the_bound_a_request_is_refused_at_once() -> None:
    desk = Desk(queue_max=3, batch_max=1, batches_in_flight=1)
    tasks = desk.ask("a b c")
    call = await desk.decider.next()
    await until(lambda: desk.group.count == 3)
    with pytest.raises(Overloaded):
        await desk.group.submit(desk.decider, "lane", Wish("d"))
    call.accept()
    await tasks[0]
    tasks += desk.ask("e")
    for name in "bce":
        call = await desk.decider.next()
        assert call.names == [name]
        call.accept()
    assert await everybody(tasks) == ["did a", "did b", "did c", "did e"]


async def test_commands_in_their_back_off_count() -> None:
    desk = Desk(queue_max=1)
    desk.group._jitter = lambda: 50.0
    tasks = desk.ask("a")
    (await desk.decider.next()).say(Retry("in the way"))
    await until(lambda: not desk.group._in_flight)
    with pytest.raises(Overloaded):
        await desk.group.submit(desk.decider, "lane", Wish("b"))
    (await desk.decider.next()).accept()
    assert await everybody(tasks) == ["did a"]


async def test_repetitions_that_wait_count() -> None:
    desk = Desk(queue_max=3)
    tasks = [desk.send(Wish("a", identity="key")) for _ in range(2)]
    tasks.append(desk.send(Wish("b", identity="key", fingerprint=b"other")))
    call = await desk.decider.next()
    assert desk.group.count == 3
    with pytest.raises(Overloaded):
        await desk.group.submit(desk.decider, "lane", Wish("a", identity="key"))
    call.accept()
    (await desk.decider.next()).accept()
    assert await everybody(tasks) == ["did a", "did a", "did b"]
    assert desk.has_forgotten_everything


async def test_a_database_that_cannot_decide_refuses_the_batch_without_retry() -> None:
    desk = Desk()
    tasks = desk.ask("a b")
    (await desk.decider.next()).fail(asyncpg.TooManyConnectionsError("full"))
    first, second = await everybody(tasks)
    assert type(first) is type(second) is Unavailable
    assert first is not second
    assert isinstance(first.__cause__, asyncpg.TooManyConnectionsError)
    assert desk.has_forgotten_everything


async def test_the_word_of_an_unavailable_decider_reaches_everybody() -> None:
    desk = Desk()
    tasks = desk.ask("a b")
    (await desk.decider.next()).fail(Unavailable("No connection.", pool="full"))
    refusals = await everybody(tasks)
    assert [str(error) for error in refusals] == ["No connection."] * 2
    assert refusals[0] is not refusals[1]
    assert isinstance(refusals[0], Unavailable)
    assert refusals[0].extra == {"pool": "full"}
