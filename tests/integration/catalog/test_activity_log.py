"""The activity log: an action and its entry commit together, and entries are never removed."""

from uuid import UUID

import asyncpg
import pytest

from boxoffice.accounts.tokens import Caller
from boxoffice.activity_log.store import ActivityStore, RecordedAction
from boxoffice.catalog import service as catalog_service
from boxoffice.catalog.rules import hall
from boxoffice.errors import AlreadyPublished, SeatExists
from boxoffice.platform.postgres.database import Database

from .support import CONCERT, Shop, schedule, seat


async def told(shop: Shop, organizer: Caller | None = None, **about: UUID) -> list[RecordedAction]:
    """Return the entries, oldest first."""
    store = ActivityStore(shop.db)
    entries = await store.entries(
        (organizer or shop.organizer).organization_ids,
        None,
        about.get("concert_id"),
        about.get("schedule_id"),
        100,
    )
    return entries[::-1]


async def test_every_action_is_recorded(shop: Shop) -> None:
    catalog, me = shop.catalog, shop.organizer
    concert = await catalog.create_concert(me, CONCERT, request_id="request-1")
    made = await catalog.create_schedule(me, concert.concert_id, schedule(), request_id="request-2")
    await catalog.add_seats(me, made.schedule_id, hall(4), request_id="request-3")
    await catalog.publish(me, concert.concert_id, request_id="request-4")
    await catalog.open(me, made.schedule_id, request_id="request-5")
    await catalog.close(me, made.schedule_id, request_id="request-6")

    entries = await told(shop)
    assert [(entry.action, entry.request_id) for entry in entries] == [
        ("concert.created", "request-1"),
        ("schedule.created", "request-2"),
        ("seats.imported", "request-3"),
        ("concert.published", "request-4"),
        ("schedule.opened", "request-5"),
        ("schedule.closed", "request-6"),
    ]
    assert {entry.actor_id for entry in entries} == {me.user_id}
    assert {entry.concert_id for entry in entries} == {concert.concert_id}
    assert entries[2].details == {"seats_added": 4, "seats_total": 4}
    assert entries[1].details["hold_ttl_s"] == made.hold_ttl_s
    [now] = await shop.db.fetch("SELECT clock_timestamp() AS at")
    assert all(0 <= (now["at"] - entry.written_at).total_seconds() < 600 for entry in entries)
    assert len(await told(shop, schedule_id=made.schedule_id)) == 4


async def test_what_changes_nothing_is_not_told(shop: Shop) -> None:
    sold = await shop.on_sale(2)
    before = await told(shop)
    await shop.catalog.open(shop.organizer, sold.schedule_id)
    with pytest.raises(AlreadyPublished):
        await shop.catalog.publish(shop.organizer, sold.concert_id)
    draft = await shop.draft(0)
    await shop.catalog.add_seats(shop.organizer, draft.schedule_id, [seat(1)])
    with pytest.raises(SeatExists):
        await shop.catalog.add_seats(shop.organizer, draft.schedule_id, [seat(1), seat(2)])
    actions = [entry.action for entry in (await told(shop))[len(before) :]]
    assert actions == ["concert.created", "schedule.created", "seats.imported"]


async def test_no_action_commits_without_its_entry(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the entry cannot be written, the concert stays a draft; with the entry it does not."""
    made = await shop.draft(2)

    async def refuse(*_: object) -> None:
        raise asyncpg.DiskFullError("disk full")

    async def status() -> str:
        own = shop.organizer.organization_ids
        return (await shop.catalog.own_concert(own, made.concert_id)).status

    with monkeypatch.context() as patched:
        patched.setattr(catalog_service, "record", refuse)
        with pytest.raises(Exception, match="could not do this"):
            await shop.catalog.publish(shop.organizer, made.concert_id)
    assert await status() == "DRAFT"

    await shop.catalog.publish(shop.organizer, made.concert_id)
    assert await status() == "PUBLISHED"


async def test_the_concerts_of_another_organizer_have_no_entries_here(shop: Shop) -> None:
    made = await shop.draft(2)
    assert await told(shop, shop.other) == []
    assert await told(shop, shop.other, concert_id=made.concert_id) == []
    assert await told(shop, shop.other, schedule_id=made.schedule_id) == []


@pytest.mark.parametrize(
    "statement",
    ["UPDATE logbook SET action = 'a.b'", "DELETE FROM logbook", "TRUNCATE logbook"],
)
async def test_nothing_is_unwritten(shop: Shop, db: Database, statement: str) -> None:
    await shop.draft(2)
    before = await told(shop)
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="append-only"):
        await db.fetch(statement)
    assert await told(shop) == before != []


async def test_without_the_trigger_it_would_be(shop: Shop, db: Database) -> None:
    """The control of the test above."""
    await shop.draft(2)
    await db.fetch("ALTER TABLE logbook DISABLE TRIGGER logbook_append_only")
    await db.fetch("DELETE FROM logbook")
    assert await told(shop) == []
