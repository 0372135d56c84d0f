"""PgBouncer as Debian has it: what the service refuses behind it, and what it sells."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from boxoffice.errors import SettingsInvalid, Unavailable
from boxoffice.platform.postgres.database import Database, connect
from boxoffice.platform.postgres.migrations import migrate
from boxoffice.reservations.store import ReservationStore
from boxoffice.settings import Settings
from faults.cluster.pooler import PgBouncer, can_track
from tests.programs import debian_program
from tests.support.hall import open_hall
from tests.support.invariants import broken


@asynccontextmanager
async def pooled(settings: Settings, **options: str) -> AsyncIterator[Settings]:
    """Run a pooler, and return settings with its address."""
    program = debian_program("pgbouncer")
    if can_track([program]):
        options.setdefault("max_prepared_statements", "0")
    url = settings.database.database_url
    async with PgBouncer([program], url, options) as pooler:
        yield settings.replace(database_url=pooler.url, db_pool_max=3)


async def _refusal(settings: Settings) -> str:
    db = Database(settings)
    with pytest.raises(SettingsInvalid) as refused:
        await db.open()
    await db.close()
    return str(refused.value)


async def test_a_mode_that_the_pooler_does_not_keep_is_refused(settings: Settings) -> None:
    ignored = (
        "synchronous_commit, client_min_messages, jit, lock_timeout, statement_timeout, "
        "idle_in_transaction_session_timeout"
    )
    # The pooler is judged before the server behind it, which has no standby.
    strict = settings.replace(db_standby="required")
    async with pooled(strict, ignore_startup_parameters=ignored) as behind:
        assert "a pooler stands before PostgreSQL" in await _refusal(behind)
        with pytest.raises(SettingsInvalid):
            await migrate(behind)
        with pytest.raises(SettingsInvalid):
            await connect(behind, plain=True)
        prepared = behind.replace(db_pooler="transaction_prepared")
        assert "does not track prepared statements" in await _refusal(prepared)
        for _ in range(2):
            with pytest.raises(SettingsInvalid):
                await connect(prepared, plain=True)


async def test_a_pooler_that_refuses_settings_of_a_session_is_named(settings: Settings) -> None:
    async with pooled(settings) as behind:
        db = Database(behind)
        with pytest.raises(Unavailable, match="behind a pooler set BOXOFFICE_DB_POOLER"):
            await db.open()
        await db.close()


async def test_what_pods_hold_behind_it_is_what_they_answer(
    db: Database, settings: Settings
) -> None:
    hall = await open_hall(db, people=40, seats=40)
    async with (
        pooled(settings, default_pool_size="3") as behind,
        AsyncExitStack() as pods,
    ):
        stores = []
        for _ in range(3):
            pod = Database(behind.replace(db_pooler="transaction"))
            await pod.open()
            pods.push_async_callback(pod.close)
            stores.append(ReservationStore(pod))
        commands = [
            hall.hold_command(person, hall.seat_ids[at]) for at, person in enumerate(hall.people)
        ]
        answers = await asyncio.gather(
            *(
                stores[at % 3].hold(hall.schedule_id, [command])
                for at, command in enumerate(commands)
            )
        )
    for command, [answer] in zip(commands, answers, strict=True):
        assert answer.name == "held"
        assert answer.held is not None
        assert answer.held.seat_ids == command.seat_ids
    assert not await broken(db, hall.schedule_id)
