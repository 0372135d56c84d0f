"""Batches form without a timer, in the order of arrival, within their bounds."""

from collections.abc import Sequence
from contextvars import ContextVar

from boxoffice.batching import Outcome, Pending, Retry
from tests.unit.batching.scripted import Harness, NamedCommand, ScriptedHandler, results, until


async def test_a_lone_request_waits_for_nothing() -> None:
    harness = Harness()
    (task,) = harness.ask("a")
    call = await harness.handler.next()
    assert call.names == ["a"]
    call.accept()
    assert await task == "did a"
    assert harness.is_empty


async def test_requests_of_the_same_moment_share_a_batch() -> None:
    harness = Harness()
    tasks = harness.ask("a b c")
    call = await harness.handler.next()
    assert call.names == ["a", "b", "c"]
    call.say("first", "second", "third")
    assert await results(tasks) == ["first", "second", "third"]


async def test_a_batch_takes_what_arrived_meanwhile_up_to_its_bound() -> None:
    harness = Harness(batch_max=3, batches_in_flight=1)
    first = harness.ask("a")
    call = await harness.handler.next()
    later = harness.ask("b c d e f")
    await until(lambda: harness.group.count == 6)
    assert harness.handler.is_quiet
    call.accept()
    for names in (["b", "c", "d"], ["e", "f"]):
        call = await harness.handler.next()
        assert call.names == names
        call.accept()
    assert await results(first + later) == [f"did {name}" for name in "abcdef"]


async def test_at_most_so_many_batches_are_at_the_database() -> None:
    harness = Harness(batch_max=1, batches_in_flight=2)
    tasks = harness.ask("a b c d")
    first, second = await harness.handler.next(), await harness.handler.next()
    assert [first.names, second.names] == [["a"], ["b"]]
    await until(lambda: harness.waiting() == ["c", "d"])
    assert harness.handler.is_quiet
    second.accept()
    third = await harness.handler.next()
    assert third.names == ["c"]
    assert harness.handler.is_quiet
    first.accept()
    third.accept()
    (await harness.handler.next()).accept()
    assert await results(tasks) == ["did a", "did b", "did c", "did d"]


async def test_what_is_tried_again_goes_before_what_arrived_later() -> None:
    harness = Harness(batch_max=2, batches_in_flight=1)
    tasks = harness.ask("a b")
    call = await harness.handler.next()
    tasks += harness.ask("c d", "lane")
    busy = harness.ask("x", "elsewhere")
    await until(lambda: harness.group.count == 5)
    call.say(Retry("in the way"), Retry("in the way"))
    (await harness.handler.next()).accept()  # c and d did not wait for the back-off
    elsewhere = await harness.handler.next()
    tasks += harness.ask("e f")
    await until(lambda: harness.waiting() == ["a", "b", "e", "f"])
    elsewhere.accept()
    for names in (["a", "b"], ["e", "f"]):
        call = await harness.handler.next()
        assert call.names == names
        call.accept()
    assert await results(tasks + busy) == [f"did {name}" for name in "abcdefx"]


async def test_a_newer_batch_that_returns_last_does_not_jump_the_queue() -> None:
    harness = Harness(batch_max=2, batches_in_flight=2)
    delays = iter([0.0, 20.0])
    harness.group._recovery._jitter = lambda: next(delays)
    tasks = harness.ask("a b c d")
    older, newer = await harness.handler.next(), await harness.handler.next()
    tasks += harness.ask("x", "one") + harness.ask("y", "two")
    await until(lambda: harness.group.count == 6)
    older.say(Retry("in the way"), Retry("in the way"))
    busy = [await harness.handler.next()]
    newer.say(Retry("in the way"), Retry("in the way"))
    busy.append(await harness.handler.next())
    await until(lambda: harness.waiting() == ["a", "b"])
    await until(lambda: harness.waiting() == ["a", "b", "c", "d"])
    for call in busy:
        call.accept()
    for names in (["a", "b"], ["c", "d"]):
        call = await harness.handler.next()
        assert call.names == names
        call.accept()
    assert await results(tasks) == [f"did {name}" for name in "abcdxy"]


async def test_a_batch_does_not_run_in_the_context_of_the_request_that_started_it() -> None:
    request_id: ContextVar[str] = ContextVar("request_id", default="none")
    seen = []

    class Curious(ScriptedHandler):
        async def handle(
            self, lane_key: str, batch: Sequence[Pending[NamedCommand, str]]
        ) -> Sequence[Outcome[str]]:
            seen.append(request_id.get())
            return await super().handle(lane_key, batch)

    harness = Harness()
    harness.handler = Curious()
    request_id.set("a's")
    (task,) = harness.ask("a")
    (await harness.handler.next()).accept()
    await task
    assert seen == ["none"]
