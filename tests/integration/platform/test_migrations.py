"""Migrations wait for each other, fail in a sentence, and a start notices what is missing."""

import asyncio
import json
import unicodedata
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from boxoffice.errors import BoxofficeError, SettingsInvalid
from boxoffice.outbox.rules import Event, to_message
from boxoffice.outbox.store import OutboxStore
from boxoffice.platform.postgres import migrations
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.postgres.migrations import migrate, numbered, require_current
from boxoffice.settings import Settings
from tests.support.waiting import until


@pytest.mark.parametrize("pooler", ["none", "transaction"])
async def test_a_migration_waits_for_another_one(
    settings: Settings, db: Database, pooler: str
) -> None:
    """Longer than any lock timeout of the settings, or of the role."""
    impatient = settings.replace(lock_timeout_ms=100, db_pooler=pooler)
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


async def test_a_migrated_database_raises_nothing(db: Database) -> None:
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


async def test_a_newer_database_raises_nothing(db: Database) -> None:
    await db.fetch("INSERT INTO schema_migrations (version) VALUES ('9999')")
    await require_current(db)


async def test_a_server_that_goes_away_is_a_sentence(settings: Settings, db: Database) -> None:
    async with db.transaction() as other:
        await other.fetch("SELECT pg_advisory_xact_lock($1)", migrations._LOCK_KEY)
        waiting = asyncio.create_task(migrate(settings))
        connection = await asyncpg.connect(settings.database.database_url)

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


_AT = datetime(2026, 1, 1, tzinfo=UTC)
_OLD_EVENT = """INSERT INTO outbox (scope_id, topic, subject_id, user_id, payload, created_at)
VALUES ($1, $2, $3, $4, $5, $6) RETURNING event_id"""


async def _back_to(settings: Settings, migration: migrations.Migration) -> None:
    """Leave the database as it was when `migration` was the last one, without a row."""
    connection = await asyncpg.connect(settings.database.database_url)
    await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public;")
    await connection.execute(migrations._QUERIES["create_tables"])
    for one in numbered():
        if one.version <= migration.version:
            await connection.execute(f"BEGIN; {one.statements}; COMMIT")
            await connection.execute(migrations._QUERIES["record"], one.version)
    await connection.close()


async def test_events_that_wait_are_told_alike_and_under_new_ids(
    settings: Settings, db: Database
) -> None:
    await _back_to(settings, numbered()[0])
    await db.fetch("ALTER TABLE outbox ALTER COLUMN event_id RESTART WITH 200000")
    schedule, subject, person, reservation = (uuid4() for _ in range(4))
    payloads: dict[str, dict[str, Any]] = {
        "reservation.held": {
            "seat_ids": ["A-1", "A-2"],
            "amount": 5,
            "currency": "KRW",
            "expires_at": "2026-01-01T00:05:00+00:00",
        },
        "payment.succeeded": {
            "reservation": str(reservation),
            "seat_ids": ["A-1"],
            "amount": 5,
            "currency": "KRW",
        },
        "reservation.cancelled": {"seat_ids": ["A-1"]},
        "wallet.charged": {"amount": 5, "currency": "KRW"},
    }
    told = []
    for topic, payload in payloads.items():
        text = json.dumps(payload)
        [row] = await db.fetch(_OLD_EVENT, schedule, topic, subject, person, text, _AT)
        event_id = row["event_id"]
        told.append(Event(event_id, schedule, topic, subject, person, text, _AT))
    assert await migrate(settings) > 0
    await require_current(db)
    waiting = await OutboxStore(db).oldest(100)
    assert min(event.event_id for event in waiting) > told[-1].event_id
    for before, after in zip(map(to_message, told), map(to_message, waiting), strict=True):
        assert (before.topic, before.created_at) == (after.topic, after.created_at)
        assert json.loads(before.data) == json.loads(after.data)


_SCHEDULES = """
INSERT INTO users (user_id, email, name, password_hash, role)
VALUES ($1, 'o@example.org', 'O', '-', 'organizer');
INSERT INTO concerts (concert_id, organizer_id, title, artist, venue)
VALUES ($1, $1, 'T', 'A', 'V');
INSERT INTO schedules (schedule_id, concert_id, starts_at, sale_opens_at, status, currency, hold_ttl_s,
                       ticket_limit, created_at)
SELECT o.id, $1, o.starts_at, o.opens_at, 'OPEN', 'KRW', 300, 4, o.starts_at + o.nth * interval '1 s'
  FROM (VALUES ($2::uuid, 1, '2031-01-01Z'::timestamptz, '2030-01-01Z'::timestamptz),
               ($3::uuid, 2, '2031-01-01Z', '2030-01-01Z'),
               ($4::uuid, 3, '2031-02-01Z', '2031-02-01Z')) o (id, nth, starts_at, opens_at)
"""


async def test_schedules_from_before_the_rules_of_an_instant_stay_as_they_are(
    settings: Settings, db: Database
) -> None:
    """They can still be closed; what is new keeps the rules beside them."""
    before = next(one for one in numbered() if "schedules_one_per_instant" in one.statements)
    await _back_to(settings, [one for one in numbered() if one.version < before.version][-1])
    concert, first, second, late = (uuid4() for _ in range(4))
    for statement in _SCHEDULES.split(";\n"):
        ids = [concert, first, second, late][: 4 if "$2" in statement else 1]
        await db.fetch(statement, *ids)
    assert await migrate(settings) > 0
    rows = await db.fetch("SELECT schedule_id FROM schedules WHERE predates_rules")
    assert {row["schedule_id"] for row in rows} == {second, late}
    await db.fetch("UPDATE schedules SET status = 'CLOSED'")
    copy = (
        "INSERT INTO schedules SELECT (jsonb_populate_record(s, $2)).*"
        " FROM schedules s WHERE s.schedule_id = $1"
    )
    for change, broken in (
        ({}, asyncpg.UniqueViolationError),
        ({"starts_at": "2029-01-01Z"}, asyncpg.CheckViolationError),
    ):
        with pytest.raises(broken):
            await db.fetch(copy, first, json.dumps({"schedule_id": str(uuid4()), **change}))


_TYPED = """
INSERT INTO users (user_id, email, name, password_hash, role)
VALUES ($1, $1::uuid || '@example.org', $2, '-', 'organizer');
INSERT INTO concerts (concert_id, organizer_id, title, artist, venue, description)
VALUES ($1, $1, $2, $2, $2, $2)
"""


async def test_text_from_before_there_was_one_form_takes_it(
    settings: Settings, db: Database
) -> None:
    before = next(one for one in numbered() if "IS NOT NORMALIZED" in one.statements)
    await _back_to(settings, [one for one in numbered() if one.version < before.version][-1])
    typed = {uuid4(): text for text in (unicodedata.normalize("NFD", "가각 é"), "가각 é", "Plain")}
    for person, text in typed.items():
        for statement in _TYPED.split(";\n"):
            await db.fetch(statement, person, text)
    assert await migrate(settings) > 0
    kept = await db.fetch(
        "SELECT u.user_id, u.name, c.title, c.artist, c.venue, c.description, c.taken_down_at"
        " FROM users u JOIN concerts c ON c.concert_id = u.user_id"
    )
    assert {row["user_id"]: tuple(row)[1:] for row in kept} == {
        person: (*[unicodedata.normalize("NFC", text)] * 5, None) for person, text in typed.items()
    }
    await db.fetch("UPDATE users SET role = 'operator'")
