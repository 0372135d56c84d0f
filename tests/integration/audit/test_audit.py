"""The audit is green after a normal run, and every check turns red when its invariant is violated."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import asyncpg
import msgspec
import pytest

from boxoffice.audit import audit, store
from boxoffice.audit.report import Check, Report, as_json, render
from boxoffice.errors import Unavailable
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database
from boxoffice.settings import Settings
from tests.support.database import copied_database

if TYPE_CHECKING:
    from tests.conftest import Servers

    Connection = asyncpg.Connection[asyncpg.Record]

_HERE = Path(__file__).parent
_NORMAL_RUN = (_HERE / "normal_run.sql").read_text(encoding="utf-8")
# Named after the check that has to see it, `__`, and what is violated.
_VIOLATIONS = sql_files.parse(
    (_HERE / "seeded_violations.sql").read_text(encoding="utf-8"), "seeded_violations.sql"
)

_STATES = """
    SELECT (SELECT jsonb_object_agg(x.state, x.n)
              FROM (SELECT state, count(*) AS n FROM seats GROUP BY 1) x)::text AS seats,
           (SELECT jsonb_object_agg(x.status, x.n)
              FROM (SELECT status, count(*) AS n FROM reservations GROUP BY 1) x)::text AS reservations,
           (SELECT count(*) FROM tickets) AS tickets,
           (SELECT count(*) FROM payments) AS payments,
           (SELECT count(*) FROM transfers) AS transfers,
           (SELECT count(DISTINCT topic) FROM outbox) AS topics
"""


@pytest.fixture(scope="module")
def violated_url(servers: "Servers", template: str) -> Iterator[str]:
    """The address of a database after a normal run, which all violations share."""

    async def run_normally(url: str) -> None:
        connection = await asyncpg.connect(url)
        await connection.execute(_NORMAL_RUN)
        await connection.close()

    with copied_database(servers.database_url, template) as url:
        asyncio.run(run_normally(url))
        yield url


@pytest.fixture
async def connection(violated_url: str) -> "AsyncIterator[Connection]":
    """A connection in a transaction that is rolled back, so that no violation outlives its test."""
    connection = await asyncpg.connect(violated_url)
    transaction = connection.transaction(isolation="repeatable_read")
    await transaction.start()
    yield connection
    await transaction.rollback()
    await connection.close()


@pytest.fixture
async def shop(db: Database) -> Database:
    """A database after a normal run."""
    async with db.connection() as connection:
        await connection.execute(_NORMAL_RUN)
    return db


async def test_an_empty_database_is_clean(db: Database, settings: Settings) -> None:
    report = await audit(settings)
    assert report.ok, render(report)


async def test_a_normal_run_is_clean_and_reaches_every_state(
    shop: Database, settings: Settings
) -> None:
    [states] = await shop.fetch(_STATES)
    assert msgspec.json.decode(states["seats"]) == {
        "AVAILABLE": 6,
        "BLOCKED": 1,
        "HELD": 6,
        "SOLD": 8,
    }
    assert msgspec.json.decode(states["reservations"]) == {
        "HELD": 7,
        "CONFIRMED": 7,
        "EXPIRED": 1,
        "CANCELLED": 1,
        "REFUNDED": 3,
    }
    counts = {name: states[name] for name in ("tickets", "payments", "transfers", "topics")}
    assert counts == {"tickets": 12, "payments": 9, "transfers": 25, "topics": 15}

    report = await audit(settings)
    assert report.ok, render(report)


@pytest.mark.parametrize("violation", list(_VIOLATIONS))
async def test_a_seeded_violation_is_found(violation: str, connection: "Connection") -> None:
    await connection.execute(_VIOLATIONS[violation])

    snapshot = store.Snapshot(connection, await connection.fetchval("SELECT clock_timestamp()"))
    checks = [await snapshot.check(name) for name in store.names()]
    red = {check.name: check for check in checks if not check.ok}
    name, _, _ = violation.partition("__")
    assert name in red, f"seen by {sorted(red)}"
    assert len(red[name].samples) == red[name].violations >= 1


def test_every_check_has_a_seeded_violation() -> None:
    assert {violation.partition("__")[0] for violation in _VIOLATIONS} == set(store.names())


def test_every_check_is_described_and_bounded() -> None:
    text = sql_files.read("boxoffice.audit", "queries.sql")
    statements = sql_files.load("boxoffice.audit")
    assert len(statements) == text.count("-- name:") >= 30
    for name, statement in statements.items():
        assert statement.endswith("LIMIT 20"), name
        assert "count(*) OVER () AS violations" in statement, name


async def test_samples_are_bounded_and_the_count_is_not(shop: Database, settings: Settings) -> None:
    async with shop.connection() as connection:
        await connection.execute(
            "ALTER TABLE wallets DROP CONSTRAINT wallets_never_negative;"
            "INSERT INTO wallets (user_id, currency, balance_minor)"
            " SELECT gen_random_uuid(), 'KRW', -1 FROM generate_series(1, 50)"
        )
    report = await audit(settings)
    [check] = [check for check in report.broken if check.name == "wallet_is_not_negative"]
    assert (check.violations, len(check.samples)) == (50, 20)


async def test_the_whole_audit_sees_one_snapshot(shop: Database, settings: Settings) -> None:
    """Commits during the audit are not part of its snapshot."""
    async with store.snapshot(settings, 60_000) as snapshot:
        await shop.fetch("ALTER TABLE wallets DROP CONSTRAINT wallets_never_negative")
        await shop.fetch("UPDATE wallets SET balance_minor = -1")
        assert (await snapshot.check("wallet_is_not_negative")).ok
    async with store.snapshot(settings, 60_000) as snapshot:
        assert not (await snapshot.check("wallet_is_not_negative")).ok


async def test_the_audit_cannot_write(settings: Settings) -> None:
    async with store.snapshot(settings, 60_000) as snapshot:
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await snapshot._connection.execute("DELETE FROM seats")


async def test_a_check_that_does_not_end_in_time_is_no_verdict(
    shop: Database, settings: Settings
) -> None:
    async with shop.transaction() as blocker:
        await blocker.execute("LOCK TABLE wallets IN ACCESS EXCLUSIVE MODE")
        async with store.snapshot(settings, 50) as snapshot:
            with pytest.raises(Unavailable, match="wallet_is_not_negative"):
                await snapshot.check("wallet_is_not_negative")


@pytest.mark.parametrize("pooler", ["none", "transaction"])
async def test_sessions_are_judged_by_what_they_get_without_asking(
    shop: Database, settings: Settings, pooler: Literal["none", "transaction"]
) -> None:
    """The service sets `synchronous_commit` at connect; other clients may not."""
    [row] = await shop.fetch("SELECT current_database() AS name")
    await shop.fetch(f"ALTER DATABASE {row['name']} SET synchronous_commit = off")

    [check] = (await audit(settings.replace(db_pooler=pooler))).broken
    assert check.name == "sessions_are_durable"
    assert check.samples[0]["setting"] == "synchronous_commit"


async def test_what_is_told_on_the_way_is_the_report(shop: Database, settings: Settings) -> None:
    told: list[Check] = []
    report = await audit(settings, told.append)
    assert told == report.checks


async def test_a_broken_report_for_people_and_for_programs(
    shop: Database, settings: Settings
) -> None:
    await shop.fetch("DELETE FROM tickets WHERE seat_id = 'S01'")
    report = await audit(settings)

    lines = render(report)
    assert "ok      wallet_is_not_negative  No wallet balance is negative." in lines
    at = next(
        i for i, line in enumerate(lines) if line.startswith("BROKEN  sold_seat_has_its_sale")
    )
    assert "  1×  " in lines[at]
    assert "seat_id=S01" in lines[at + 1]
    assert lines[-1] == f"5 of {len(report.checks)} invariants are broken."

    told = msgspec.json.decode(as_json(report))
    assert told["ok"] is False
    [red] = [check for check in told["checks"] if check["name"] == "sold_seat_has_its_sale"]
    assert (red["violations"], red["samples"][0]["seat_id"]) == (1, "S01")


def test_a_report_without_checks_is_not_ok() -> None:
    assert not Report([]).ok
