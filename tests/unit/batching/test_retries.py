"""A loser whose winner failed for another reason is tried again, not refused; but not for ever."""

import asyncpg

from boxoffice.batching import Retry
from boxoffice.errors import Overloaded
from tests.unit.batching.scripted import Harness, results, until

DEADLOCK = asyncpg.DeadlockDetectedError("deadlock")


async def test_a_loser_is_decided_again_when_its_winner_has_failed() -> None:
    harness = Harness(batch_max=1, batches_in_flight=2)
    winner, loser = harness.ask("winner loser")
    at_database = await harness.handler.next()
    (await harness.handler.next()).say(Retry("the winner's transaction is open"))
    at_database.fail(asyncpg.CheckViolationError("the winner's own fault"))
    again = await harness.handler.next()
    assert again.names == ["loser"]
    again.accept()
    assert await loser == "did loser"
    (refusal,) = await results([winner])
    assert isinstance(refusal, asyncpg.CheckViolationError)


async def test_only_those_in_the_way_are_tried_again() -> None:
    harness = Harness()
    tasks = harness.ask("a b c")
    (await harness.handler.next()).say("done", Retry("in the way"), "done")
    again = await harness.handler.next()
    assert again.names == ["b"]
    again.accept()
    assert await results(tasks) == ["done", "did b", "done"]


async def test_retries_end_when_their_time_is_over() -> None:
    harness = Harness(retry_for_s=1.5)
    tasks = harness.ask("a")
    harness.clock.now += 60  # waiting for the first try costs nothing of the time for retries
    for passing_s in (1.0, 0.4, 0.1):
        (await harness.handler.next()).say(Retry("in the way"))
        await until(lambda: not harness.group._in_flight)
        harness.clock.now += passing_s
    (await harness.handler.next()).say(Retry("in the way"))
    (refusal,) = await results(tasks)
    assert isinstance(refusal, Overloaded)
    assert harness.is_empty


async def test_the_commands_of_a_batch_that_lost_to_others_are_tried_alone() -> None:
    harness = Harness()
    tasks = harness.ask("a b c d")
    (await harness.handler.next()).fail(DEADLOCK)
    for name in "abcd":
        call = await harness.handler.next()
        assert call.names == [name]
        if name == "c":
            call.fail(DEADLOCK)
        else:
            call.accept()
    again = await harness.handler.next()
    assert again.names == ["c"]
    again.accept()
    assert await results(tasks) == ["did a", "did b", "did c", "did d"]


async def test_neighbours_are_decided_although_the_culprits_time_is_over() -> None:
    harness = Harness(retry_for_s=1.5, isolation_timeout_s=4.0)
    names = [f"c{number}" for number in range(64)]
    tasks = harness.ask(" ".join(names))
    locked = {"c0", "c20", "c21", "c40", "c63"}
    tries = 0
    while not all(task.done() for task in tasks):
        call = await harness.handler.next()
        tries += 1
        if locked & set(call.names):
            harness.clock.now += 0.5
            call.fail(asyncpg.LockNotAvailableError("waited"))
        else:
            call.accept()
        await until(lambda: not harness.handler.is_quiet or all(task.done() for task in tasks))
    outcomes = dict(zip(names, await results(tasks), strict=True))
    refused = {name for name, outcome in outcomes.items() if isinstance(outcome, Overloaded)}
    assert refused == locked
    assert all(outcomes[name] == f"did {name}" for name in outcomes.keys() - locked)
    assert tries < 64 + 20


async def test_a_stalled_database_is_not_asked_once_per_command() -> None:
    harness = Harness(retry_for_s=1.5)
    tasks = harness.ask(" ".join(f"c{number}" for number in range(64)))
    for _ in range(2):
        call = await harness.handler.next()
        harness.clock.now += 5.0
        call.fail(asyncpg.QueryCanceledError("statement timeout"))
    refusals = await results(tasks)
    assert all(isinstance(refusal, Overloaded) for refusal in refusals)
    assert len({id(refusal) for refusal in refusals}) == 64
    assert harness.handler.is_quiet


async def test_the_back_off_is_bounded_however_often_a_command_was_tried() -> None:
    harness = Harness()
    assert 0 < harness.group._recovery._backoff_s(1) < harness.group._recovery._backoff_s(4) <= 0.1
    assert harness.group._recovery._backoff_s(100_000) <= 0.1
