"""A lost answer is looked up, never guessed."""

import asyncpg
import pytest

from boxoffice.errors import OutcomeUnknown, Overloaded
from tests.unit.batching.scripted import Harness, results, until

LOST = asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")


@pytest.mark.parametrize(
    "error",
    [
        LOST,
        asyncpg.AdminShutdownError("terminating connection"),
        asyncpg.CrashShutdownError("crash"),
        asyncpg.InterfaceError("connection is closed"),
        ConnectionResetError(),
        TimeoutError(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_is_found_is_the_outcome_and_the_rest_is_decided_anew(error: Exception) -> None:
    harness = Harness()
    tasks = harness.ask("a b c")
    (await harness.handler.next()).fail(error)
    look_up = await harness.handler.next("look_up")
    assert look_up.names == ["a", "b", "c"]
    look_up.say("found a", None, "found c")
    again = await harness.handler.next()
    assert again.names == ["b"]
    again.accept()
    assert await results(tasks) == ["found a", "did b", "found c"]


async def test_the_search_goes_on_until_the_database_is_back() -> None:
    harness = Harness(unknown_outcome_timeout_s=5.0)
    tasks = harness.ask("a")
    (await harness.handler.next()).fail(LOST)
    for _ in range(3):
        harness.clock.now += 1.0
        (await harness.handler.next("look_up")).fail(asyncpg.CannotConnectNowError("starting up"))
    (await harness.handler.next("look_up")).say("found a")
    assert await results(tasks) == ["found a"]


async def test_after_its_time_the_search_ends_with_an_honest_answer() -> None:
    harness = Harness(unknown_outcome_timeout_s=5.0)
    tasks = harness.ask("a b")
    (await harness.handler.next()).fail(LOST)
    (await harness.handler.next("look_up")).fail(OSError("refused"))
    last = await harness.handler.next("look_up")
    harness.clock.now += 5.0
    last.fail(OSError("refused"))
    first, second = await results(tasks)
    assert isinstance(first, OutcomeUnknown)
    assert isinstance(second, OutcomeUnknown)
    assert first is not second
    assert isinstance(first.__cause__, OSError)
    assert harness.is_empty


async def test_a_long_search_leaves_time_for_one_more_round_of_retries() -> None:
    harness = Harness(retry_for_s=1.5, unknown_outcome_timeout_s=5.0)
    tasks = harness.ask("a")
    (await harness.handler.next()).fail(LOST)
    look_up = await harness.handler.next("look_up")
    harness.clock.now += 4.0
    look_up.say(None)
    (await harness.handler.next()).accept()
    assert await results(tasks) == ["did a"]


async def test_a_command_that_crashes_the_server_does_not_do_so_for_ever() -> None:
    harness = Harness(retry_for_s=1.5)
    tasks = harness.ask("a")
    for _ in range(2):
        (await harness.handler.next()).fail(LOST)
        harness.clock.now += 2.0
        (await harness.handler.next("look_up")).say(None)
    (refusal,) = await results(tasks)
    assert isinstance(refusal, OutcomeUnknown)


@pytest.mark.parametrize(
    "error", [asyncpg.TooManyConnectionsError("full"), asyncpg.LockNotAvailableError("waited")]
)
async def test_a_command_in_doubt_is_not_refused_as_undone(error: Exception) -> None:
    harness = Harness(retry_for_s=1.5)
    tasks = harness.ask("a")
    (await harness.handler.next()).fail(LOST)
    (await harness.handler.next("look_up")).say(None)
    await until(lambda: not harness.group._in_flight)
    again = await harness.handler.next()
    harness.clock.now += 2.0
    again.fail(error)
    (refusal,) = await results(tasks)
    assert isinstance(refusal, OutcomeUnknown)
    assert not isinstance(refusal, Overloaded)


async def test_a_question_that_the_database_refuses_is_split_as_well() -> None:
    harness = Harness()
    tasks = harness.ask("a b")
    (await harness.handler.next()).fail(LOST)
    refused = asyncpg.CharacterNotInRepertoireError("NUL")
    (await harness.handler.next("look_up")).fail(refused)
    (await harness.handler.next("look_up")).fail(refused)
    (await harness.handler.next("look_up")).say("found b")
    first, second = await results(tasks)
    assert isinstance(first, OutcomeUnknown)
    assert first.__cause__ is refused
    assert second == "found b"


async def test_findings_of_the_wrong_number_are_not_believed() -> None:
    harness = Harness()
    tasks = harness.ask("a")
    (await harness.handler.next()).fail(LOST)
    (await harness.handler.next("look_up")).say("found a", "found what?")
    (refusal,) = await results(tasks)
    assert isinstance(refusal, OutcomeUnknown)
