"""A lost answer is looked up, never guessed."""

import asyncpg
import pytest

from boxoffice.errors import OutcomeUnknown, Overloaded
from tests.unit.batching.scripted import Desk, everybody, until

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
    desk = Desk()
    tasks = desk.ask("a b c")
    (await desk.handler.next()).fail(error)
    look_up = await desk.handler.next("look_up")
    assert look_up.names == ["a", "b", "c"]
    look_up.say("found a", None, "found c")
    again = await desk.handler.next()
    assert again.names == ["b"]
    again.accept()
    assert await everybody(tasks) == ["found a", "did b", "found c"]


async def test_the_search_goes_on_until_the_database_is_back() -> None:
    desk = Desk(unknown_outcome_timeout_s=5.0)
    tasks = desk.ask("a")
    (await desk.handler.next()).fail(LOST)
    for _ in range(3):
        desk.clock.now += 1.0
        (await desk.handler.next("look_up")).fail(asyncpg.CannotConnectNowError("starting up"))
    (await desk.handler.next("look_up")).say("found a")
    assert await everybody(tasks) == ["found a"]


async def test_after_its_time_the_search_ends_with_an_honest_answer() -> None:
    desk = Desk(unknown_outcome_timeout_s=5.0)
    tasks = desk.ask("a b")
    (await desk.handler.next()).fail(LOST)
    (await desk.handler.next("look_up")).fail(OSError("refused"))
    last = await desk.handler.next("look_up")
    desk.clock.now += 5.0
    last.fail(OSError("refused"))
    first, second = await everybody(tasks)
    assert isinstance(first, OutcomeUnknown)
    assert isinstance(second, OutcomeUnknown)
    assert first is not second
    assert isinstance(first.__cause__, OSError)
    assert desk.has_forgotten_everything


async def test_a_long_search_leaves_time_for_one_more_round_of_retries() -> None:
    desk = Desk(retry_for_s=1.5, unknown_outcome_timeout_s=5.0)
    tasks = desk.ask("a")
    (await desk.handler.next()).fail(LOST)
    look_up = await desk.handler.next("look_up")
    desk.clock.now += 4.0
    look_up.say(None)
    (await desk.handler.next()).accept()
    assert await everybody(tasks) == ["did a"]


async def test_a_command_that_crashes_the_server_does_not_do_so_for_ever() -> None:
    desk = Desk(retry_for_s=1.5)
    tasks = desk.ask("a")
    for _ in range(2):
        (await desk.handler.next()).fail(LOST)
        desk.clock.now += 2.0
        (await desk.handler.next("look_up")).say(None)
    (refusal,) = await everybody(tasks)
    assert isinstance(refusal, OutcomeUnknown)


@pytest.mark.parametrize(
    "error", [asyncpg.TooManyConnectionsError("full"), asyncpg.LockNotAvailableError("waited")]
)
async def test_in_doubt_nobody_hears_that_nothing_was_done(error: Exception) -> None:
    desk = Desk(retry_for_s=1.5)
    tasks = desk.ask("a")
    (await desk.handler.next()).fail(LOST)
    (await desk.handler.next("look_up")).say(None)
    await until(lambda: not desk.group._in_flight)
    again = await desk.handler.next()
    desk.clock.now += 2.0
    again.fail(error)
    (refusal,) = await everybody(tasks)
    assert isinstance(refusal, OutcomeUnknown)
    assert not isinstance(refusal, Overloaded)


async def test_a_question_that_the_database_refuses_is_split_as_well() -> None:
    desk = Desk()
    tasks = desk.ask("a b")
    (await desk.handler.next()).fail(LOST)
    refused = asyncpg.CharacterNotInRepertoireError("NUL")
    (await desk.handler.next("look_up")).fail(refused)
    (await desk.handler.next("look_up")).fail(refused)
    (await desk.handler.next("look_up")).say("found b")
    first, second = await everybody(tasks)
    assert isinstance(first, OutcomeUnknown)
    assert first.__cause__ is refused
    assert second == "found b"


async def test_findings_of_the_wrong_number_are_not_believed() -> None:
    desk = Desk()
    tasks = desk.ask("a")
    (await desk.handler.next()).fail(LOST)
    (await desk.handler.next("look_up")).say("found a", "found what?")
    (refusal,) = await everybody(tasks)
    assert isinstance(refusal, OutcomeUnknown)
