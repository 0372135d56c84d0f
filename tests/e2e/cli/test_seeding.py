"""What a shop begins with: money that the ledger agrees with, and a concert with an organizer."""

from dataclasses import replace
from io import StringIO

import asyncpg
import pytest
from rich.console import Console

from boxoffice.accounts.rules import ORGANIZER
from boxoffice.app import open_application, open_services
from boxoffice.cli import seeding
from boxoffice.cli.printing import terminal
from boxoffice.errors import BoxofficeError
from boxoffice.payments import store as payment_store
from boxoffice.platform.postgres.database import Database
from boxoffice.settings import Settings
from boxoffice_embedded import demo, demo_concerts

QUIET = Console(quiet=True)
LEDGER = """
SELECT u.user_id, w.balance_minor, w.currency,
       (SELECT sum(e.amount_minor) FROM ledger_entries e
         WHERE e.user_id = u.user_id AND e.account = 'wallet') AS wallet_entries,
       (SELECT sum(e.amount_minor) FROM ledger_entries e
         WHERE e.user_id = u.user_id) AS all_entries,
       (SELECT max(t.balance_after_minor) FROM transfers t WHERE t.user_id = u.user_id) AS after
  FROM users u JOIN wallets w USING (user_id) ORDER BY u.user_id
"""


async def _count(db: Database, table: str) -> int:
    [row] = await db.fetch(f"SELECT count(*)::int AS n FROM {table}")  # noqa: S608 — our own names
    count: int = row["n"]
    return count


async def test_seeded_people_have_the_money_that_the_ledger_says(
    settings: Settings, db: Database
) -> None:
    told: list[int] = []
    async with open_application(settings) as app:
        ids = await seeding.people(app, 2_500, 50_000, "t1", told.append)
        await app.services.payments.seed(ids[:10], 50_000)
    rows = await db.read(LEDGER)
    assert sorted(ids) == [row["user_id"] for row in rows]
    assert told == [2_000, 2_500]
    for row in rows:
        assert row["balance_minor"] == row["wallet_entries"] == row["after"] == 50_000
        assert (row["all_entries"], row["currency"]) == (0, "KRW")
    assert await _count(db, "outbox") == 0


async def test_people_without_money_have_no_transfers(settings: Settings, db: Database) -> None:
    async with open_application(settings) as app:
        assert await seeding.people(app, 0, 0, "t1") == []
        await seeding.people(app, 2, 0, "t2")
    assert (await _count(db, "wallets"), await _count(db, "transfers")) == (2, 0)


async def test_a_seed_that_does_not_balance_is_refused_by_the_database(
    settings: Settings, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Negative control of the ledger: one leg alone must not get through.
    queries = dict(payment_store._QUERIES)
    queries["seed_top_ups"] += " WHERE l.leg = 1"
    monkeypatch.setattr(payment_store, "_QUERIES", queries)
    async with open_application(settings) as app:
        with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="not balanced"):
            await seeding.people(app, 2, 100, "t1")
    assert await _count(db, "transfers") == 0


async def test_a_seeded_concert_is_the_demos_unless_told_otherwise(
    settings: Settings, db: Database
) -> None:
    owners = (
        "SELECT u.email FROM concerts c JOIN users u ON u.user_id = c.organizer_id"
        " ORDER BY c.created_at"
    )
    said = StringIO()
    plan = seeding.Plan(5, 0, 0)
    await seeding.seed(settings, plan, None, terminal(file=said))
    assert "--organizer" in said.getvalue(), "nobody can log in as the organizer"
    await demo.make(settings, "a-demo-password", QUIET)
    await seeding.seed(settings, plan, None, QUIET)
    async with open_services(settings) as app:
        await app.services.accounts.sign_up("me@example.test", "a-long-password-1", "Me")
        named = replace(plan, organizer="me@example.test")
        with pytest.raises(
            BoxofficeError, match=r"me@example\.test is no organizer: `boxoffice grant"
        ):
            await seeding.seed(settings, named, None, QUIET)
        with pytest.raises(BoxofficeError, match="no account"):
            await seeding.seed(settings, replace(plan, organizer="x@example.test"), None, QUIET)
        await app.services.accounts.grant_role("me@example.test", ORGANIZER)
        await seeding.seed(settings, named, None, QUIET)
    emails = [row["email"] for row in await db.fetch(owners)]
    assert emails[0].startswith("organizer-")
    of_demo = 1 + len(demo_concerts.catalog().concerts)
    assert emails[1:] == [*[seeding.DEMO_ORGANIZER] * (of_demo + 1), "me@example.test"]


async def test_the_concert_begins_at_an_hour_at_which_concerts_begin(
    settings: Settings, db: Database
) -> None:
    await seeding.seed(settings, seeding.Plan(5, 0, 0), None, QUIET)
    [row] = await db.fetch(
        "SELECT starts_at AT TIME ZONE 'Asia/Seoul' AS at, sale_opens_at AT TIME ZONE 'Asia/Seoul'"
        " AS sale, starts_at - now() AS ahead, now() - sale_opens_at AS open_for FROM schedules"
    )
    assert (row["at"].hour, row["at"].minute, row["at"].second) == (19, 0, 0)
    assert (row["sale"].hour, row["sale"].minute, row["sale"].second) == (10, 0, 0)
    assert 28 < row["ahead"].total_seconds() / 86_400 < 32
    assert row["open_for"].total_seconds() > 86_400
