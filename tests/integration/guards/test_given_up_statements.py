"""A statement begins before its number is given up, or never."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import asyncpg
import pytest

from boxoffice.platform.postgres.database import Database
from boxoffice.platform.postgres.outcomes import StatementForbidden
from boxoffice.platform.postgres.pooler.statements import LostStatements
from boxoffice.settings import Settings

_BEGIN = "SELECT statements_begin_v1($1)"
_PERMITTED = "SELECT statements_permitted_v1($1)"
_GIVE_UP = "SELECT statements_give_up_v1($1)"


@pytest.fixture
async def two(settings: Settings) -> AsyncIterator[list[Any]]:
    """Two sessions that wait for locks for a short time."""
    async with AsyncExitStack() as stack:
        made = []
        for _ in range(2):
            one = await asyncpg.connect(
                settings.database.database_url, server_settings={"lock_timeout": "100"}
            )
            stack.push_async_callback(one.close)
            made.append(one)
        yield made


async def test_a_number_that_was_given_up_does_not_begin(two: list[Any]) -> None:
    one, other = two
    assert await one.fetchval(_BEGIN, 1)
    await other.execute("BEGIN")
    await other.fetch(_GIVE_UP, [2, 1])
    asking = asyncio.create_task(one.fetchval(_BEGIN, 1))
    await asyncio.sleep(0)
    await other.execute("COMMIT")
    with pytest.raises(asyncpg.ObjectNotInPrerequisiteStateError):
        await asking
    with pytest.raises(asyncpg.ObjectNotInPrerequisiteStateError):
        await one.fetchval(_BEGIN, 2)
    assert await one.fetchval(_BEGIN, 3)
    await other.fetch(_GIVE_UP, [1])


async def test_one_that_has_begun_is_waited_for(two: list[Any]) -> None:
    one, other = two
    await one.execute("BEGIN")
    assert await one.fetchval(_BEGIN, 1)
    with pytest.raises(asyncpg.LockNotAvailableError):
        await other.fetch(_GIVE_UP, [1])
    await one.execute("COMMIT")
    await other.fetch(_GIVE_UP, [1])
    assert await other.fetchval("SHOW synchronous_commit") == "on"


async def test_a_batch_with_a_number_that_was_given_up_is_not_permitted(two: list[Any]) -> None:
    one, other = two
    assert await one.fetchval(_PERMITTED, [1, 2])
    await other.execute("BEGIN")
    await other.fetch(_GIVE_UP, [2])
    asking = asyncio.create_task(one.fetchval(_PERMITTED, [1, 2]))
    await asyncio.sleep(0)
    await other.execute("COMMIT")
    assert await asking is False
    assert await one.fetchval(_PERMITTED, [1, 3])


async def test_batches_of_one_number_run_together_and_are_waited_for(two: list[Any]) -> None:
    one, other = two
    await one.execute("BEGIN")
    assert await one.fetchval(_PERMITTED, [1])
    assert await other.fetchval(_PERMITTED, [1])
    with pytest.raises(asyncpg.LockNotAvailableError):
        await other.fetch(_GIVE_UP, [1])
    await one.execute("COMMIT")
    await other.fetch(_GIVE_UP, [1])


async def test_a_batch_that_is_not_permitted_is_no_empty_answer(db: Database) -> None:
    await db.fetch(_GIVE_UP, [1])
    with pytest.raises(StatementForbidden):
        await db.decide("SELECT 1", numbers=[1, 2])
    assert await db.decide("SELECT 1", numbers=[2, 3])


async def test_the_number_of_another_process_is_given_up_for_good(two: list[Any]) -> None:
    """Its statement may be sent after a crash of the server, which ends only those that run."""
    one, other = two
    statements = LostStatements()
    statements.forbid(1)
    async with one.transaction():
        await statements.give_up(one)
        assert await one.fetchval("SHOW synchronous_commit") == "on"
    assert await other.fetchval(_PERMITTED, [1]) is False


async def test_numbers_are_forgotten_after_a_day(db: Database) -> None:
    await db.fetch(_GIVE_UP, [1, 2])
    await db.fetch(
        "UPDATE given_up_statements SET given_up_at = given_up_at - interval '25 h' WHERE number = 1"
    )
    await db.fetch(_GIVE_UP, [3])
    rows = await db.fetch("SELECT number FROM given_up_statements ORDER BY number")
    assert [row["number"] for row in rows] == [2, 3]
