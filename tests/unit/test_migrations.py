"""Migrations wait for each other, fail in a sentence, and a start notices what is missing."""

import asyncio

import asyncpg
import msgspec
import pytest

from boxoffice.errors import BoxofficeError, SettingsInvalid
from boxoffice.platform import migrations
from boxoffice.platform.migrations import migrate, numbered, require_current
from boxoffice.platform.postgres import Database
from boxoffice.settings import Settings
from tests.support.waiting import until


@pytest.mark.parametrize("pooler", ["none", "transaction"])
async def test_a_migration_waits_for_another_one(
    settings: Settings, db: Database, pooler: str
) -> None:
    """Longer than any lock timeout of the settings, or of the role."""
    impatient = msgspec.structs.replace(settings, lock_timeout_ms=100, db_pooler=pooler)
    [row] = await db.fetch("SELECT current_database() AS name")
    await db.fetch(f"ALTER DATABASE {row['name']} SET lock_timeout = '100ms'")
    async with db.transaction() as other:
        await other.fetch("SELECT pg_advisory_xact_lock($1)", migrations._LOCK_KEY)
        waiting = asyncio.create_task(migrate(impatient))

        async def waits_for_a_second() -> bool:
            rows = await db.fetch(
                "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
                " AND waitstart < clock_timestamp() - interval '1.1 s'"
            )
            return bool(rows) or waiting.done()

        await until(waits_for_a_second)
        assert not waiting.done()
    assert await waiting == 0


async def test_what_postgresql_refuses_is_a_sentence(settings: Settings, db: Database) -> None:
    await db.fetch("ALTER TABLE schema_functions DROP COLUMN digest")
    with pytest.raises(BoxofficeError, match=r"the migration: .*digest.* does not exist"):
        await migrate(settings)


async def test_a_migrated_database_is_current(db: Database) -> None:
    await require_current(db)


async def test_a_start_names_the_function_that_is_missing(db: Database) -> None:
    await db.fetch("DROP FUNCTION payments_charge_v1")
    with pytest.raises(SettingsInvalid, match=r"payments_charge_v1: run `boxoffice migrate`"):
        await require_current(db)


async def test_a_start_names_the_file_that_is_missing(db: Database) -> None:
    last = numbered()[-1]
    await db.fetch("DELETE FROM schema_migrations WHERE version = $1", last.version)
    with pytest.raises(SettingsInvalid, match=last.name):
        await require_current(db)


async def test_an_empty_database_lacks_everything(db: Database) -> None:
    await db.fetch("DROP TABLE schema_migrations")
    with pytest.raises(SettingsInvalid, match=numbered()[0].name):
        await require_current(db)


async def test_a_newer_database_is_good_enough(db: Database) -> None:
    await db.fetch("INSERT INTO schema_migrations (version) VALUES ('9999')")
    await require_current(db)


async def test_a_server_that_goes_away_is_a_sentence(settings: Settings, db: Database) -> None:
    async with db.transaction() as other:
        await other.fetch("SELECT pg_advisory_xact_lock($1)", migrations._LOCK_KEY)
        waiting = asyncio.create_task(migrate(settings))
        connection = await asyncpg.connect(settings.database_url)

        async def ended() -> bool:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks"
                " WHERE locktype = 'advisory' AND NOT granted"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
            return waiting.done()

        await until(ended)
        with pytest.raises(BoxofficeError, match="the migration"):
            await waiting
        await connection.close()
