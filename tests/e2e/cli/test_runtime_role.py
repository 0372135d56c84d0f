"""The role that serves: the whole shop runs as it, and it alters nothing that keeps a shop honest."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest

import boxoffice
from boxoffice.app import open_application
from boxoffice.archive.archivist import archive_once
from boxoffice.archive.store import ArchiveStore
from boxoffice.audit import audit
from boxoffice.audit.auditor import audit_once
from boxoffice.audit.report import render
from boxoffice.audit.runs import AuditRuns
from boxoffice.cli import seeding
from boxoffice.cli.printing import terminal
from boxoffice.errors import SettingsInvalid
from boxoffice.notifications import messenger
from boxoffice.outbox.service import Relay
from boxoffice.payments.notices.store import NoticeStore
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.postgres.runtime_role import grant
from boxoffice.platform.valkey import Valkey
from boxoffice.reservations.store import ReservationStore
from boxoffice.reservations.sweeper import sweep_once
from boxoffice.settings import Settings
from boxoffice.waiting_room.rules import Mode, WaitingRoomChange
from faults.workload.fixtures import create_fixtures
from tests.support.members import member
from tests.support.shop import Crowd, pods

QUIET = terminal(quiet=True)
PASSWORD = "of-this-test"


@pytest.fixture
def role(settings: Settings) -> Iterator[str]:
    """A role of this test's own, with its rights in this test's database."""
    name = f"rt_{uuid4().hex[:12]}"
    asyncio.run(grant(settings, name, password=PASSWORD))
    yield name

    async def forget() -> None:
        connection = await asyncpg.connect(settings.database.database_url)
        await connection.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")
        await connection.close()

    asyncio.run(forget())


@pytest.fixture
def runtime(settings: Settings, role: str) -> Settings:
    """The settings of a process that serves as the role."""
    parts = urlsplit(settings.database.database_url)
    netloc = f"{role}:{PASSWORD}@{parts.hostname}:{parts.port}"
    return settings.replace(
        database_url=parts._replace(netloc=netloc).geturl(), hold_ttl_default_s=300
    )


async def test_the_whole_shop_runs_as_it(runtime: Settings, tmp_path: Path) -> None:
    fixtures = await create_fixtures(runtime, tmp_path, seats=12, users=6, hold_ttl_s=1)
    lasting = await create_fixtures(runtime, tmp_path, seats=12, users=6)
    with pods(runtime, 1, log_level="error") as [pod]:
        async with Crowd([pod.url], fixtures.schedule_id) as crowd:
            assert await crowd.hold(fixtures.people[0], fixtures.seat_ids[:2])
        async with Crowd([pod.url], lasting.schedule_id) as crowd:
            for person, seat_id in zip(lasting.people, lasting.seat_ids, strict=False):
                assert await crowd.hold(person, [seat_id])
            for reservation_id, (person, _) in list(crowd.record.holds.items())[:4]:
                assert await crowd.pay(person, reservation_id)
            topped_up, _ = await crowd.post(
                "/v1/me/wallet/top-ups", lasting.people[0], "c", {"amount": 5}
            )
            assert topped_up == 201
    await _roles(runtime.replace(mailbox_dir=str(tmp_path / "mailbox")))
    report = await audit(runtime)
    assert report.ok, render(report)


async def _roles(runtime: Settings) -> None:
    db, valkey = Database(runtime), Valkey(runtime.valkey)
    await db.open()
    try:
        async with asyncio.timeout(20):
            while not await sweep_once(ReservationStore(db), 100):  # noqa: ASYNC110 — the database ends it
                await asyncio.sleep(0.2)
        relay = Relay(db, valkey, runtime.outbox)
        assert await relay.relay_once()
        await relay.release()
        await _send_mail(runtime, db)
        assert await archive_once(ArchiveStore(db), 0.0, 100)
        assert await NoticeStore(db).drop_old(1.0) == 0
        runs = AuditRuns(db, 1)
        assert await audit_once(runs, runtime)
    finally:
        await valkey.close()
        await db.close()


async def _send_mail(runtime: Settings, db: Database) -> None:
    """Run the messenger until the receipts of the sale are sent."""
    stop = asyncio.Event()
    role = asyncio.create_task(messenger.run(runtime, stop))
    waiting = "SELECT FROM mails WHERE state <> 'SENT'"
    async with asyncio.timeout(20):
        assert await db.fetch("SELECT FROM mails")
        while await db.fetch(waiting):  # noqa: ASYNC110 — the messenger ends it
            await asyncio.sleep(0.1)
    stop.set()
    await role


async def test_accounts_keys_concerts_and_waiting_rooms_work(runtime: Settings) -> None:
    async with open_application(runtime) as shop:
        user_id = await shop.services.accounts.sign_up("o@example.test", "a-long-password-1", "O")
        await shop.services.accounts.grant_role("o@example.test", "organizer")
        await shop.services.accounts.log_in("o@example.test", "a-long-password-1", "127.0.0.1")
        services = shop.services.account_services
        [device] = await services.devices.of(user_id)
        await services.devices.end(user_id, device.session_id)
        await services.links.request_reset("o@example.test", "127.0.0.1", None)
        await services.own.request_verification(user_id, "127.0.0.1")
        await shop.services.accounts.log_out_everywhere(user_id)
        await shop.services.accounts.rotate_keys(60)
        plan = seeding.Plan(20, 0, 0, organizer="o@example.test", queue_rate_per_s=5)
        made = await seeding.seed(runtime, plan, None, QUIET)
        room = await shop.services.waiting_room.service.configure(
            member(user_id), made.schedule_id, WaitingRoomChange(mode=Mode.OFF)
        )
        assert room is not None


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE seats", "DROP TABLE ledger_entries CASCADE", "DROP SCHEMA public CASCADE",
        "ALTER TABLE seats ADD COLUMN x int", "ALTER TABLE ledger_entries DISABLE TRIGGER ALL",
        "ALTER TABLE tickets OWNER TO CURRENT_USER", "TRUNCATE seats", "TRUNCATE outbox",
        "UPDATE ledger_entries SET amount_minor = 1", "DELETE FROM ledger_entries",
        "UPDATE transfers SET amount_minor = 1", "DELETE FROM transfers",
        "UPDATE logbook SET written_at = now()", "DELETE FROM logbook",
        "UPDATE provider_calls SET begun_at = now()", "DELETE FROM provider_answers",
        "UPDATE provider_transactions SET amount_minor = 1", "DELETE FROM provider_transactions",
        "DELETE FROM payment_intents", "DELETE FROM provider_notices", "DELETE FROM refunds",
        "UPDATE refund_policies SET version = 2", "DELETE FROM refund_policies", "DELETE FROM disputes",
        "UPDATE seat_price_changes SET version = 2", "DELETE FROM seat_price_changes",
        "UPDATE order_numbers SET order_number = ''", "DELETE FROM order_numbers",
        "DELETE FROM statement_lines", "DELETE FROM statement_findings",
        "DELETE FROM reservations_archive", "UPDATE queue_archive SET record_id = NULL",
        "DELETE FROM users", "DELETE FROM wallets", "DELETE FROM tickets", "DELETE FROM payments",
        "DELETE FROM seats", "DELETE FROM concerts", "DELETE FROM schedules",
        "INSERT INTO schema_migrations VALUES ('x')", "DELETE FROM schema_migrations",
        "UPDATE schema_functions SET digest = ''", "DELETE FROM restores", "CREATE TABLE x (y int)",
        "CREATE TEMPORARY TABLE seats (y int)",
        "DROP INDEX tickets_one_live_per_seat", "CREATE INDEX x ON seats (seat_id)",
        "CREATE FUNCTION x() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "SET session_replication_role = replica", "CREATE ROLE x", "ALTER SYSTEM SET fsync = off",
        "COPY users TO PROGRAM 'cat'", "REINDEX TABLE users",
    ],
)  # fmt: skip
async def test_it_can_alter_nothing(runtime: Settings, statement: str) -> None:
    connection = await asyncpg.connect(runtime.database.database_url)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    finally:
        await connection.close()


async def test_no_function_can_be_replaced(runtime: Settings) -> None:
    connection = await asyncpg.connect(runtime.database.database_url)
    try:
        text = await connection.fetchval(
            "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname LIKE 'reservations_hold_v%'"
            " LIMIT 1"
        )
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(text)
    finally:
        await connection.close()


async def test_what_comes_later_is_included(
    runtime: Settings, settings: Settings, role: str
) -> None:
    owner = await asyncpg.connect(settings.database.database_url)
    await owner.execute("CREATE TABLE later (n int GENERATED ALWAYS AS IDENTITY, x int)")
    served = await asyncpg.connect(runtime.database.database_url)
    await served.execute("INSERT INTO later (x) VALUES (1); UPDATE later SET x = 2")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await served.execute("TRUNCATE later")
    await grant(settings, role)
    assert await served.fetchval("SELECT x FROM later") == 2
    await served.close()
    await owner.close()


async def test_an_owner_is_no_runtime_role(settings: Settings) -> None:
    owner = urlsplit(settings.database.database_url).username
    assert owner is not None
    with pytest.raises(SettingsInvalid, match=f"the role {owner} is a superuser"):
        await grant(settings, owner)


_DELETED = re.compile(r"\bDELETE\s+FROM\s+([a-z_]+)")


def _tables_that_lose_rows() -> list[str]:
    """Return the tables from which a statement of the product deletes under the role's own rights."""
    files = (file.read_text() for file in Path(boxoffice.__file__).parent.rglob("*.sql"))
    parts = (part for text in files for part in text.split("CREATE OR REPLACE FUNCTION"))
    own = (part for part in parts if "\nSECURITY DEFINER\n" not in part)
    return sorted({table for part in own for table in _DELETED.findall(part)})


async def test_every_table_from_which_a_statement_deletes_may_lose_rows(runtime: Settings) -> None:
    connection = await asyncpg.connect(runtime.database.database_url)
    may = "SELECT to_regclass($1) IS NULL OR has_table_privilege($1, 'DELETE')"
    tables = _tables_that_lose_rows()
    assert len(tables) > 10
    refused = [table for table in tables if not await connection.fetchval(may, table)]
    await connection.close()
    assert refused == []
