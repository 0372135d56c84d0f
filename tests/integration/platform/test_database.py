"""The pool: batches find their connection free, and failures are said in our words."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from boxoffice.errors import OutcomeUnknown, Overloaded, Unavailable
from boxoffice.platform.postgres.database import Database
from boxoffice.settings import Settings
from tests.support.waiting import until

_LOCKED = "SELECT pg_advisory_xact_lock(7)"


@pytest.fixture
async def small(settings: Settings) -> AsyncIterator[Database]:
    """A pool with two connections for batches and one beside them, for which five may wait."""
    database = Database(
        settings.replace(
            db_pool_max=3, batches_in_flight=2, db_reads_waiting_max=5, lock_timeout_ms=10_000
        )
    )
    await database.open()
    yield database
    await database.close()


async def test_slow_reads_leave_the_batches_their_connections(
    small: Database, db: Database
) -> None:
    async with db.transaction() as blocker:
        await blocker.fetch(_LOCKED)
        reads = [asyncio.create_task(small.read(_LOCKED)) for _ in range(6)]
        await until(lambda: _waiting_for_locks(db))
        async with asyncio.timeout(10):
            await asyncio.gather(*(small.fetch("SELECT pg_sleep(0.01)") for _ in range(2)))
        with pytest.raises(Overloaded):
            await small.read("SELECT 1")
        with pytest.raises(Overloaded):
            async with small.writing():
                pass
        assert await _waiting_for_locks(db) == 1
    assert len(await asyncio.gather(*reads)) == 6
    assert await small.read("SELECT 1"), "everybody who waited gave the place back"


async def test_who_waits_too_long_for_a_place_is_told(settings: Settings, db: Database) -> None:
    bounds = {"db_pool_max": 3, "batches_in_flight": 2, "db_acquire_timeout_ms": 300}
    hasty = Database(settings.replace(**bounds, lock_timeout_ms=10_000))
    await hasty.open()
    async with db.transaction() as blocker:
        await blocker.fetch(_LOCKED)
        first = asyncio.create_task(hasty.read(_LOCKED))
        await until(lambda: _waiting_for_locks(db))
        with pytest.raises(Overloaded):
            await hasty.read("SELECT 1")
    await first
    await hasty.close()


async def _waiting_for_locks(db: Database) -> int:
    rows = await db.fetch(
        "SELECT FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    return len(rows)


async def test_a_lost_commit_is_unknown_and_a_refusal_is_not(db: Database) -> None:
    with pytest.raises(OutcomeUnknown):
        async with db.writing() as connection:
            await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    with pytest.raises(asyncpg.UndefinedTableError):
        async with db.writing() as connection:
            await connection.execute("SELECT FROM nothing_of_the_kind")
    with pytest.raises(Unavailable) as caught:
        async with db.writing() as connection:
            await connection.execute("SET LOCAL statement_timeout = 10; SELECT pg_sleep(5)")
    assert not isinstance(caught.value, OutcomeUnknown)


async def test_the_batches_connections_are_there_from_the_start(
    small: Database, db: Database
) -> None:
    rows = await db.fetch("SELECT FROM pg_stat_activity WHERE datname = current_database()")
    assert len(rows) >= 2 + 2, "two of each pool"


@pytest.mark.parametrize("pooler", ["none", "transaction"])
async def test_a_pool_opens_in_both_modes(settings: Settings, pooler: str) -> None:
    database = Database(settings.replace(db_pooler=pooler))
    await database.open()
    assert await database.read("SELECT 1")
    await database.close()
