"""Batches form without a timer, in the order of arrival, within their bounds."""

from collections.abc import Sequence
from contextvars import ContextVar

from boxoffice.batching import Outcome, Pending, Retry
from tests.unit.batching.scripted import Desk, Scripted, Wish, everybody, until


async def test_a_lone_request_waits_for_nothing() -> None:
    desk = Desk()
    (task,) = desk.ask("a")
    call = await desk.handler.next()
    assert call.names == ["a"]
    call.accept()
    assert await task == "did a"
    assert desk.has_forgotten_everything


async def test_requests_of_the_same_moment_share_a_batch() -> None:
    desk = Desk()
    tasks = desk.ask("a b c")
    call = await desk.handler.next()
    assert call.names == ["a", "b", "c"]
    call.say("first", "second", "third")
    assert await everybody(tasks) == ["first", "second", "third"]


async def test_a_batch_takes_what_arrived_meanwhile_up_to_its_bound() -> None:
    desk = Desk(batch_max=3, batches_in_flight=1)
    first = desk.ask("a")
    call = await desk.handler.next()
    later = desk.ask("b c d e f")
    await until(lambda: desk.group.count == 6)
    assert desk.handler.is_quiet
    call.accept()
    for names in (["b", "c", "d"], ["e", "f"]):
        call = await desk.handler.next()
        assert call.names == names
        call.accept()
    assert await everybody(first + later) == [f"did {name}" for name in "abcdef"]


async def test_at_most_so_many_batches_are_at_the_database() -> None:
    desk = Desk(batch_max=1, batches_in_flight=2)
    tasks = desk.ask("a b c d")
    first, second = await desk.handler.next(), await desk.handler.next()
    assert [first.names, second.names] == [["a"], ["b"]]
    await until(lambda: desk.waiting() == ["c", "d"])
    assert desk.handler.is_quiet
    second.accept()
    third = await desk.handler.next()
    assert third.names == ["c"]
    assert desk.handler.is_quiet
    first.accept()
    third.accept()
    (await desk.handler.next()).accept()
    assert await everybody(tasks) == ["did a", "did b", "did c", "did d"]


async def test_what_is_tried_again_goes_before_what_arrived_later() -> None:
    desk = Desk(batch_max=2, batches_in_flight=1)
    tasks = desk.ask("a b")
    call = await desk.handler.next()
    tasks += desk.ask("c d", "lane")
    busy = desk.ask("x", "elsewhere")
    await until(lambda: desk.group.count == 5)
    call.say(Retry("in the way"), Retry("in the way"))
    (await desk.handler.next()).accept()  # c and d did not wait for the back-off
    elsewhere = await desk.handler.next()
    tasks += desk.ask("e f")
    await until(lambda: desk.waiting() == ["a", "b", "e", "f"])
    elsewhere.accept()
    for names in (["a", "b"], ["e", "f"]):
        call = await desk.handler.next()
        assert call.names == names
        call.accept()
    assert await everybody(tasks + busy) == [f"did {name}" for name in "abcdefx"]


async def test_a_newer_batch_that_comes_back_last_does_not_jump_the_line() -> None:
    desk = Desk(batch_max=2, batches_in_flight=2)
    delays = iter([0.0, 20.0])
    desk.group._runner._jitter = lambda: next(delays)
    tasks = desk.ask("a b c d")
    older, newer = await desk.handler.next(), await desk.handler.next()
    tasks += desk.ask("x", "one") + desk.ask("y", "two")
    await until(lambda: desk.group.count == 6)
    older.say(Retry("in the way"), Retry("in the way"))
    busy = [await desk.handler.next()]
    newer.say(Retry("in the way"), Retry("in the way"))
    busy.append(await desk.handler.next())
    await until(lambda: desk.waiting() == ["a", "b"])
    await until(lambda: desk.waiting() == ["a", "b", "c", "d"])
    for call in busy:
        call.accept()
    for names in (["a", "b"], ["c", "d"]):
        call = await desk.handler.next()
        assert call.names == names
        call.accept()
    assert await everybody(tasks) == [f"did {name}" for name in "abcdxy"]


async def test_a_batch_does_not_run_in_the_context_of_the_request_that_started_it() -> None:
    request_id: ContextVar[str] = ContextVar("request_id", default="nobody's")
    seen = []

    class Curious(Scripted):
        async def handle(
            self, key: str, batch: Sequence[Pending[Wish, str]]
        ) -> Sequence[Outcome[str]]:
            seen.append(request_id.get())
            return await super().handle(key, batch)

    desk = Desk()
    desk.handler = Curious()
    request_id.set("a's")
    (task,) = desk.ask("a")
    (await desk.handler.next()).accept()
    await task
    assert seen == ["nobody's"]
