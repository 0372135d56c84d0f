"""What a shop begins with: money that the ledger agrees with, and a demo that can be made again."""

import asyncpg
import pytest
from rich.console import Console

from boxoffice import seeding
from boxoffice.accounts.rules import ORGANIZER
from boxoffice.app import open_application
from boxoffice.audit import audit
from boxoffice.audit.report import render
from boxoffice.errors import BoxofficeError
from boxoffice.payments import store as payment_store
from boxoffice.platform.postgres import Database
from boxoffice.settings import Settings

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
        await app.payments.seed(ids[:10], 50_000)
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
    queries["seed_charges"] += " WHERE l.leg = 1"
    monkeypatch.setattr(payment_store, "_QUERIES", queries)
    async with open_application(settings) as app:
        with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="not balanced"):
            await seeding.people(app, 2, 100, "t1")
    assert await _count(db, "transfers") == 0


@pytest.mark.parametrize("done", ["nothing", "organizer", "role", "buyer", "money", "all"])
async def test_a_demo_that_was_interrupted_is_made_whole(
    settings: Settings, db: Database, done: str
) -> None:
    steps = ["nothing", "organizer", "role", "buyer", "money", "all"].index(done)
    password = seeding.DEMO_PASSWORD
    async with open_application(settings) as app:
        if steps >= 1:
            await app.accounts.sign_up(seeding.DEMO_ORGANIZER, password, "Organizer")
        if steps >= 2:
            await app.accounts.grant_role(seeding.DEMO_ORGANIZER, ORGANIZER)
        if steps >= 3:
            buyer_id = await app.accounts.sign_up(seeding.DEMO_BUYER, password, "Demo Buyer")
        if steps >= 4:
            await app.payments.charge(buyer_id, "demo", seeding.DEMO_BALANCE_MINOR)
    if steps >= 5:
        await seeding.demo(settings, QUIET)

    made = await seeding.demo(settings, QUIET)
    assert await seeding.demo(settings, QUIET) == made
    rows = await db.fetch(
        "SELECT u.email, u.role, w.balance_minor FROM users u JOIN wallets w USING (user_id)"
        " ORDER BY u.email"
    )
    assert [tuple(row) for row in rows] == [
        (seeding.DEMO_BUYER, "buyer", seeding.DEMO_BALANCE_MINOR),
        (seeding.DEMO_ORGANIZER, "organizer", 0),
    ]
    assert await _count(db, "schedules") == 1
    report = await audit(settings)
    assert report.ok, render(report)


@pytest.mark.parametrize("email", [seeding.DEMO_ORGANIZER, seeding.DEMO_BUYER])
async def test_somebody_elses_account_becomes_no_demo(
    settings: Settings, db: Database, email: str
) -> None:
    async with open_application(settings) as app:
        await app.accounts.sign_up(email, "another-password", "Somebody")
    with pytest.raises(BoxofficeError, match=rf"{email} is somebody's account"):
        await seeding.demo(settings, QUIET)
    [row] = await db.fetch(
        "SELECT role, balance_minor FROM users JOIN wallets USING (user_id) WHERE email = $1", email
    )
    assert tuple(row) == ("buyer", 0)


async def test_a_demo_of_long_ago_is_followed_by_another_one(
    db: Database, settings: Settings
) -> None:
    """It is over, and nothing can be bought there any more."""
    made = await seeding.demo(settings, QUIET)
    await db.fetch(
        "UPDATE schedules SET starts_at = now() WHERE schedule_id = $1", made.schedule_id
    )
    assert (await seeding.demo(settings, QUIET)).schedule_id != made.schedule_id
