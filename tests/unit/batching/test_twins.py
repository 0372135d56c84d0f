"""One request sent twice is decided once; another request under its identity is refused."""

import asyncpg
import pytest

from boxoffice.errors import IdempotencyInFlight
from tests.unit.batching.scripted import Harness, NamedCommand, results


async def test_twins_share_the_outcome() -> None:
    harness = Harness()
    tasks = [harness.send(NamedCommand("a", identity="key")) for _ in range(50)]
    call = await harness.handler.next()
    assert call.names == ["a"]
    call.accept()
    assert await results(tasks) == ["did a"] * 50
    assert harness.handler.is_quiet
    assert harness.is_empty


async def test_twins_share_a_refusal() -> None:
    harness = Harness()
    tasks = [harness.send(NamedCommand("a", identity="key")) for _ in range(3)]
    (await harness.handler.next()).fail(asyncpg.CheckViolationError("no"))
    refusals = await results(tasks)
    assert all(isinstance(refusal, asyncpg.CheckViolationError) for refusal in refusals)
    assert [str(refusal) for refusal in refusals] == ["no"] * 3
    assert len({id(refusal) for refusal in refusals}) == 3, "each raises an exception of its own"


async def test_without_an_identity_every_command_is_decided() -> None:
    harness = Harness()
    tasks = harness.ask("a a")
    call = await harness.handler.next()
    assert call.names == ["a", "a"]
    call.say("one", "two")
    assert await results(tasks) == ["one", "two"]


async def test_an_identity_counts_within_its_lane() -> None:
    harness = Harness()
    tasks = [harness.send(NamedCommand("a", identity="key"), key) for key in ("one", "two")]
    for _ in tasks:
        (await harness.handler.next()).accept()
    assert await results(tasks) == ["did a", "did a"]


async def test_another_request_is_refused_while_the_first_has_no_outcome() -> None:
    harness = Harness()
    first, twin = (harness.send(NamedCommand("a", identity="key")) for _ in range(2))
    call = await harness.handler.next()
    with pytest.raises(IdempotencyInFlight):
        await harness.group.submit(harness.handler, "lane", NamedCommand("b", "key", b"other"))
    assert harness.group.count == 2, "it takes no place in the queue"
    call.accept()
    assert await results([first, twin]) == ["did a", "did a"]
    # Then it is decided, if only to hear that its key was used.
    later = harness.send(NamedCommand("b", "key", b"other"))
    (await harness.handler.next()).accept()
    assert await results([later]) == ["did b"]
    assert harness.is_empty


async def test_a_thousand_other_requests_cost_nothing() -> None:
    harness = Harness(queue_max=3)
    first = harness.send(NamedCommand("a", identity="key"))
    call = await harness.handler.next()
    others = [harness.send(NamedCommand(f"o{at}", "key", b"%d" % at)) for at in range(1_000)]
    refusals = await results(others)
    assert {type(refusal) for refusal in refusals} == {IdempotencyInFlight}
    assert harness.group.count == 1
    neighbour = harness.send(NamedCommand("n"))
    (await harness.handler.next()).accept()
    call.accept()
    assert await results([first, neighbour]) == ["did a", "did n"]
    assert harness.handler.is_quiet


async def test_another_request_is_decided_once_the_first_was_refused() -> None:
    harness = Harness()
    first = harness.send(NamedCommand("a", "key"))
    (await harness.handler.next()).fail(asyncpg.CheckViolationError("no"))
    (refusal,) = await results([first])
    assert isinstance(refusal, asyncpg.CheckViolationError)
    second = harness.send(NamedCommand("b", "key", b"other"))
    (await harness.handler.next()).accept()
    assert await results([second]) == ["did b"]
