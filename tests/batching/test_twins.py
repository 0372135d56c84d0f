"""One request sent twice is decided once; another request under its identity waits for it."""

import asyncpg

from tests.batching.scripted import Desk, Wish, everybody, until


async def test_twins_share_the_outcome() -> None:
    desk = Desk()
    tasks = [desk.send(Wish("a", identity="key")) for _ in range(50)]
    call = await desk.decider.next()
    assert call.names == ["a"]
    call.accept()
    assert await everybody(tasks) == ["did a"] * 50
    assert desk.decider.is_quiet
    assert desk.has_forgotten_everything


async def test_twins_share_a_refusal() -> None:
    desk = Desk()
    tasks = [desk.send(Wish("a", identity="key")) for _ in range(3)]
    (await desk.decider.next()).fail(asyncpg.CheckViolationError("no"))
    refusals = await everybody(tasks)
    assert all(isinstance(refusal, asyncpg.CheckViolationError) for refusal in refusals)
    assert [str(refusal) for refusal in refusals] == ["no"] * 3
    assert len({id(refusal) for refusal in refusals}) == 3, "each raises an exception of its own"


async def test_without_an_identity_everybody_is_decided() -> None:
    desk = Desk()
    tasks = desk.ask("a a")
    call = await desk.decider.next()
    assert call.names == ["a", "a"]
    call.say("one", "two")
    assert await everybody(tasks) == ["one", "two"]


async def test_an_identity_counts_within_its_lane() -> None:
    desk = Desk()
    tasks = [desk.send(Wish("a", identity="key"), key) for key in ("one", "two")]
    for _ in tasks:
        (await desk.decider.next()).accept()
    assert await everybody(tasks) == ["did a", "did a"]


async def test_another_request_waits_and_the_two_are_never_in_one_batch() -> None:
    desk = Desk()
    first = desk.send(Wish("a", identity="key"))
    others = [desk.send(Wish(name, "key", name.encode())) for name in "bc"]
    neighbour = desk.send(Wish("n"))
    call = await desk.decider.next()
    assert call.names == ["a", "n"]
    await until(lambda: desk.group.count == 4)
    call.accept()
    for name in "bc":
        call = await desk.decider.next()
        assert call.names == [name]
        call.accept()
    assert await everybody([first, neighbour, *others]) == ["did a", "did n", "did b", "did c"]
    assert desk.has_forgotten_everything


async def test_another_request_is_decided_although_the_first_was_refused() -> None:
    desk = Desk()
    tasks = [desk.send(Wish("a", "key")), desk.send(Wish("b", "key", b"other"))]
    (await desk.decider.next()).fail(asyncpg.CheckViolationError("no"))
    (await desk.decider.next()).accept()
    refusal, outcome = await everybody(tasks)
    assert isinstance(refusal, asyncpg.CheckViolationError)
    assert outcome == "did b"
