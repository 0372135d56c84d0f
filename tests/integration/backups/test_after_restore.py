"""What a restored database raises before it serves."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from boxoffice.backups import after_restore
from boxoffice.backups.catalog import BackupCatalog
from boxoffice.backups.errors import BackupError
from boxoffice.backups.stores.folder import FolderStorage
from boxoffice.platform.lease.lease import Lease
from boxoffice.platform.lease.store import LeaseStore
from boxoffice.platform.postgres.database import Database
from boxoffice.settings import Settings

EVENT = """
    INSERT INTO outbox (scope_id, topic, subject_ids, user_ids, created_at)
    VALUES (gen_random_uuid(), 'wallet.topped_up', ARRAY[gen_random_uuid()], ARRAY[gen_random_uuid()],
            clock_timestamp())
    RETURNING batch_id
"""
INCARNATION_BITS = 46 - 16


def begin(
    settings: Settings,
    catalog: BackupCatalog | None = None,
    *,
    is_ending_sessions: bool = False,
    ago: timedelta = timedelta(minutes=1),
) -> after_restore.Incarnation:
    """Note a restore to a minute ago."""
    return after_restore.begin(
        settings,
        catalog,
        recovered_to=datetime.now(UTC) - ago,
        backup_label="b",
        target="latest",
        is_ending_sessions=is_ending_sessions,
    )


def fetch(settings: Settings, statement: str, *args: object) -> list[asyncpg.Record]:
    """Run a statement on a connection of its own."""

    async def run() -> list[asyncpg.Record]:
        connection = await asyncpg.connect(settings.database.database_url)
        try:
            return await connection.fetch(statement, *args)
        finally:
            await connection.close()

    return asyncio.run(run())


def test_event_ids_begin_anew_above_all_that_were_given_out(settings: Settings) -> None:
    [[before]] = fetch(settings, EVENT)
    begun = begin(settings)
    [[after]] = fetch(settings, EVENT)
    assert begun.number == 1
    assert (before >> INCARNATION_BITS, after) == (0, 1 << INCARNATION_BITS)
    # Events are integers below 2^53 (docs/events.md), in the last incarnation too.
    last = after_restore.INCARNATION_MAX
    assert ((last + 1) << INCARNATION_BITS << 16) <= 1 << 53


def test_a_second_restore_from_one_backup_has_another_incarnation(
    settings: Settings, tmp_path: Path
) -> None:
    """Both databases know no incarnation; the store has given out the first."""
    catalog = BackupCatalog(FolderStorage(tmp_path / "store"))
    assert catalog.next_incarnation(b"{}") == 1
    assert begin(settings, catalog).number == 2
    assert begin(settings, catalog).number == 3
    assert [row[0] for row in fetch(settings, "SELECT incarnation FROM restores")] == [2, 3]


def test_what_used_up_an_incarnation_is_in_the_next_one(settings: Settings) -> None:
    sequence = "pg_get_serial_sequence('outbox', 'batch_id')"
    fetch(settings, f"SELECT setval({sequence}, {5 << INCARNATION_BITS})")
    assert begin(settings).number == 6


def test_a_restore_to_a_time_that_this_clock_has_not_reached_ends_now(settings: Settings) -> None:
    """The commit that it ends with is dated by a clock that was ahead."""
    for number in range(1, 6):
        assert begin(settings, ago=-timedelta(minutes=1)).number == number
    rows = fetch(settings, "SELECT restored_at = recovered_to FROM restores")
    assert [row[0] for row in rows] == [True] * 5


def test_the_incarnations_end(settings: Settings) -> None:
    fetch(
        settings,
        "INSERT INTO restores SELECT 127, n, n, 'b', 'latest' FROM clock_timestamp() n",
    )
    with pytest.raises(BackupError, match="restores_incarnation_fits"):
        begin(settings)
    [[after]] = fetch(settings, EVENT)
    assert after >> INCARNATION_BITS == 0


def test_fencing_tokens_are_above_those_that_were_lost(settings: Settings) -> None:
    async def take(count: int) -> list[int | None]:
        db = Database(settings)
        await db.open()
        try:
            tokens = []
            for _ in range(count):
                lease = Lease(LeaseStore(db, "relay", uuid4()), 60_000)
                tokens.append(await lease.keep())
                await lease.release()
            return tokens
        finally:
            await db.close()

    assert asyncio.run(take(1)) == [1]
    # The time that is lost: the lease changes hands, and the database forgets it.
    lost = asyncio.run(take(5))
    fetch(settings, "UPDATE leases SET token = 1, expires_at = 'infinity'")
    begin(settings)
    [again] = asyncio.run(take(1))
    assert again is not None
    assert again > max(token for token in lost if token is not None)
    assert again < 1 << 53, "Valkey compares them as doubles"


def test_open_payments_are_looked_up(settings: Settings) -> None:
    fetch(
        settings,
        """
        INSERT INTO payment_intents (user_id, intent_id, amount_minor, created_at, changed_at,
               session_ends_at, closed_at, purpose, provider, currency, status, idempotency_key,
               fingerprint)
        SELECT gen_random_uuid(), gen_random_uuid(), 1, now(), now(), now(), closed_at, 'top_up',
               'toss', 'KRW', status, status, ''
          FROM (VALUES ('OPEN', NULL), ('EXPIRED', now())) x (status, closed_at)
        """,
    )
    assert begin(settings).payments_looked_up == 1
    rows = fetch(
        settings,
        """
        SELECT w.kind, i.status FROM cashier_work w
          JOIN payment_intents i ON i.intent_id = w.subject_id
        """,
    )
    assert [tuple(row) for row in rows] == [("look_up", "OPEN")]


def test_sessions_end_where_that_is_asked_for(settings: Settings) -> None:
    fetch(
        settings,
        """
        WITH people AS (
            INSERT INTO users (user_id, email, name, password_hash)
            SELECT gen_random_uuid(), x || '@example.org', 'B', '-' FROM generate_series(1, 2) x
            RETURNING user_id, email)
        INSERT INTO token_versions (user_id, version) SELECT user_id, 7 FROM people WHERE email < '2'
        """,
    )
    versions = "SELECT version FROM token_versions ORDER BY version"
    begin(settings)
    assert [row[0] for row in fetch(settings, versions)] == [7]
    begin(settings, is_ending_sessions=True)
    assert [row[0] for row in fetch(settings, versions)] == [1_000, 1_007]
