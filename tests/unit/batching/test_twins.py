"""One request sent twice is decided once; another request under its identity is refused."""

import asyncpg
import pytest

from boxoffice.errors import IdempotencyInFlight
from tests.unit.batching.scripted import Desk, Wish, everybody


async def test_twins_share_the_outcome() -> None:
    desk = Desk()
    tasks = [desk.send(Wish("a", identity="key")) for _ in range(50)]
    call = await desk.handler.next()
    assert call.names == ["a"]
    call.accept()
    assert await everybody(tasks) == ["did a"] * 50
    assert desk.handler.is_quiet
    assert desk.has_forgotten_everything


async def test_twins_share_a_refusal() -> None:
    desk = Desk()
    tasks = [desk.send(Wish("a", identity="key")) for _ in range(3)]
    (await desk.handler.next()).fail(asyncpg.CheckViolationError("no"))
    refusals = await everybody(tasks)
    assert all(isinstance(refusal, asyncpg.CheckViolationError) for refusal in refusals)
    assert [str(refusal) for refusal in refusals] == ["no"] * 3
    assert len({id(refusal) for refusal in refusals}) == 3, "each raises an exception of its own"


async def test_without_an_identity_everybody_is_decided() -> None:
    desk = Desk()
    tasks = desk.ask("a a")
    call = await desk.handler.next()
    assert call.names == ["a", "a"]
    call.say("one", "two")
    assert await everybody(tasks) == ["one", "two"]


async def test_an_identity_counts_within_its_lane() -> None:
    desk = Desk()
    tasks = [desk.send(Wish("a", identity="key"), key) for key in ("one", "two")]
    for _ in tasks:
        (await desk.handler.next()).accept()
    assert await everybody(tasks) == ["did a", "did a"]


async def test_another_request_is_refused_while_the_first_has_no_outcome() -> None:
    desk = Desk()
    first, twin = (desk.send(Wish("a", identity="key")) for _ in range(2))
    call = await desk.handler.next()
    with pytest.raises(IdempotencyInFlight):
        await desk.group.submit(desk.handler, "lane", Wish("b", "key", b"other"))
    assert desk.group.count == 2, "it takes no place in the queue"
    call.accept()
    assert await everybody([first, twin]) == ["did a", "did a"]
    # Then it is decided, if only to hear that its key was used.
    later = desk.send(Wish("b", "key", b"other"))
    (await desk.handler.next()).accept()
    assert await everybody([later]) == ["did b"]
    assert desk.has_forgotten_everything


async def test_a_thousand_other_requests_cost_nothing() -> None:
    desk = Desk(queue_max=3)
    first = desk.send(Wish("a", identity="key"))
    call = await desk.handler.next()
    others = [desk.send(Wish(f"o{at}", "key", b"%d" % at)) for at in range(1_000)]
    refusals = await everybody(others)
    assert {type(refusal) for refusal in refusals} == {IdempotencyInFlight}
    assert desk.group.count == 1
    neighbour = desk.send(Wish("n"))
    (await desk.handler.next()).accept()
    call.accept()
    assert await everybody([first, neighbour]) == ["did a", "did n"]
    assert desk.handler.is_quiet


async def test_another_request_is_decided_once_the_first_was_refused() -> None:
    desk = Desk()
    first = desk.send(Wish("a", "key"))
    (await desk.handler.next()).fail(asyncpg.CheckViolationError("no"))
    (refusal,) = await everybody([first])
    assert isinstance(refusal, asyncpg.CheckViolationError)
    second = desk.send(Wish("b", "key", b"other"))
    (await desk.handler.next()).accept()
    assert await everybody([second]) == ["did b"]
