"""Edits of concerts and schedules: what may change when, versions, deletes, and two editors."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from boxoffice.accounts.tokens import Caller
from boxoffice.catalog.edits.errors import (
    NotDeletable,
    NotEditable,
    NotUnpublishable,
    ScheduleCancelled,
    ScheduleSold,
)
from boxoffice.catalog.edits.service import Editor, Edits
from boxoffice.catalog.edits.store import EditStore
from boxoffice.catalog.edits.views import ConcertEdit, ScheduleEdit
from boxoffice.errors import ConcertNotFound, Invalid, ScheduleNotFound
from boxoffice.payments.refunds.jobs import RefundJobs
from boxoffice.payments.refunds.service import Refunds
from boxoffice.payments.refunds.store import RefundStore
from boxoffice.platform.conditional import PreconditionFailed
from boxoffice.venues.errors import VenueNotFound
from boxoffice.venues.rules import LocalTime
from boxoffice.venues.service import Venues
from boxoffice.venues.store import VenueStore
from boxoffice.venues.views import VenueBody
from tests.support.locks import until_waiting
from tests.support.members import member
from tests.support.refunds import ZONE

from .support import CONCERT, Shop, schedule

DAY = timedelta(days=1)


def edits_of(shop: Shop) -> Edits:
    refunds = RefundStore(shop.db)
    jobs = RefundJobs(refunds, Refunds(refunds, ZONE), 1_000)
    return Edits(EditStore(shop.db), shop.catalog, jobs, "Asia/Seoul", "KRW")


def editor(who: Caller) -> Editor:
    return Editor(who.user_id, who.organization_ids or (), "request")


@pytest.fixture
def edits(shop: Shop) -> Edits:
    """The use cases."""
    return edits_of(shop)


@pytest.fixture
def me(shop: Shop) -> Editor:
    """The organizer."""
    return editor(shop.organizer)


async def logged(shop: Shop) -> list[tuple[str, Any]]:
    rows = await shop.db.fetch("SELECT action, details::text FROM logbook ORDER BY entry_id")
    return [(row["action"], msgspec.json.decode(row["details"])) for row in rows]


async def set_schedule(shop: Shop, schedule_id: UUID, values: str) -> None:
    query = f"UPDATE schedules SET {values} WHERE schedule_id = $1"  # noqa: S608
    await shop.db.fetch(query, schedule_id)


async def schedule_of(shop: Shop, schedule_id: UUID) -> Any:
    return await shop.catalog.own_schedule(shop.organizer.organization_ids, schedule_id)


async def test_a_concert_changes_with_its_version(shop: Shop, edits: Edits, me: Editor) -> None:
    sale, beside = await shop.on_sale(), await shop.on_sale()
    untouched = await shop.catalog.own_concert(shop.organizer.organization_ids, beside.concert_id)
    before = await shop.catalog.own_concert(shop.organizer.organization_ids, sale.concert_id)
    edit = ConcertEdit(title="Encore", title_ko="앙코르", faq="x" * 900, running_time_min=120)
    await edits.edit_concert(me, sale.concert_id, edit, before.version)
    public = (await shop.lookups.concert(sale.concert_id)).found
    assert (public.title, public.title_ko, public.running_time_min) == ("Encore", "앙코르", 120)
    assert public.artist == before.artist
    assert public.version == before.version + 1
    assert (
        await shop.catalog.own_concert(shop.organizer.organization_ids, beside.concert_id)
        == untouched
    )
    action, details = (await logged(shop))[-1]
    assert (action, details["changed"]["title"]) == ("concert.changed", [before.title, "Encore"])
    assert len(details["changed"]["faq"][1]) == 201
    with pytest.raises(PreconditionFailed):
        await edits.edit_concert(me, sale.concert_id, ConcertEdit(title="Old"), before.version)
    await edits.edit_concert(me, sale.concert_id, ConcertEdit(title="Encore"), public.version)
    cleared = ConcertEdit(running_time_min=None)
    await edits.edit_concert(me, sale.concert_id, cleared, public.version)
    assert (await shop.lookups.concert(sale.concert_id)).found.running_time_min is None
    for who, what in ((shop.other, sale.concert_id), (shop.organizer, uuid4())):
        with pytest.raises(ConcertNotFound):
            await edits.edit_concert(editor(who), what, ConcertEdit(title="Mine"), public.version)


async def test_of_two_editors_of_a_schedule_one_is_refused(shop: Shop, me: Editor) -> None:
    sale = await shop.on_sale()
    version = (await schedule_of(shop, sale.schedule_id)).version
    tried = [
        edits_of(shop).edit_schedule(me, sale.schedule_id, ScheduleEdit(ticket_limit=n), version)
        for n in range(1, 9)
    ]
    done = await asyncio.gather(*tried, return_exceptions=True)
    assert [one is None for one in done].count(True) == 1
    assert [type(one) for one in done].count(PreconditionFailed) == 7
    after = await schedule_of(shop, sale.schedule_id)
    assert after.ticket_limit == done.index(None) + 1
    assert after.version == version + 1


async def test_a_schedule_changes_where_that_harms_no_buyer(
    shop: Shop, edits: Edits, me: Editor
) -> None:
    sale, beside = await shop.on_sale(), await shop.on_sale()
    other = await schedule_of(shop, beside.schedule_id)

    async def change(schedule_id: UUID = sale.schedule_id, **members: Any) -> Any:
        version = (await schedule_of(shop, schedule_id)).version
        await edits.edit_schedule(me, schedule_id, ScheduleEdit(**members), version)
        return await schedule_of(shop, schedule_id)

    after = await change(ticket_limit=2, hold_ttl_s=60, seats_return_delay_max_s=5)
    assert (after.ticket_limit, after.hold_ttl_s, after.seats_return_delay_max_s) == (2, 60, 5)
    starts_at = after.starts_at + DAY
    assert (await change(starts_at=starts_at)).starts_at == starts_at
    assert (await change(sale_closes_at=starts_at - DAY)).sale_closes_at == starts_at - DAY
    assert (await change(sale_closes_at=None)).sale_closes_at is None
    assert (await change(doors_at=starts_at - timedelta(hours=1))).doors_at is not None
    with pytest.raises(Invalid):
        await change(doors_at=starts_at + DAY)
    with pytest.raises(Invalid):
        await change(starts_at=datetime.now(UTC) - timedelta(minutes=1))
    # The sale has opened, the seats have prices, and a hold is for this date.
    fixed: tuple[dict[str, Any], ...] = (
        {"sale_opens_at": datetime.now(UTC) + DAY},
        {"currency": "USD"},
    )
    for members in fixed:
        with pytest.raises(NotEditable):
            await change(**members)
    await shop.hold(sale.schedule_id, ["1-1-1"], uuid4())
    with pytest.raises(ScheduleSold):
        await change(starts_at=starts_at + DAY)
    assert (await change(ticket_limit=3)).ticket_limit == 3
    await set_schedule(
        shop,
        sale.schedule_id,
        "starts_at = now(), sale_opens_at = now() - interval '1 day', doors_at = NULL",
    )
    with pytest.raises(NotEditable):
        await change(ticket_limit=4)
    await set_schedule(
        shop,
        sale.schedule_id,
        "starts_at = now() + interval '1 day', status = 'CANCELLED', cancelled_at = now()",
    )
    with pytest.raises(ScheduleCancelled):
        await change(ticket_limit=4)
    assert await schedule_of(shop, beside.schedule_id) == other
    for who, what in ((shop.other, sale.schedule_id), (shop.organizer, uuid4())):
        with pytest.raises(ScheduleNotFound):
            await edits.edit_schedule(editor(who), what, ScheduleEdit(ticket_limit=1), 1)


async def test_a_draft_changes_freely(shop: Shop, edits: Edits, me: Editor) -> None:
    draft = await shop.draft(seats=0)
    # Of a shop that has another currency since.
    await set_schedule(shop, draft.schedule_id, "currency = 'USD'")
    edit = ScheduleEdit(currency="KRW", sale_opens_at=datetime.now(UTC) - DAY)
    await edits.edit_schedule(me, draft.schedule_id, edit, 1)
    assert (await schedule_of(shop, draft.schedule_id)).currency == "KRW"
    for other in ("USD", "XXX"):
        with pytest.raises(Invalid):
            await edits.edit_schedule(me, draft.schedule_id, ScheduleEdit(currency=other), 2)
    assert await edits.changes_of(shop.organizer.organization_ids, draft.schedule_id) == []


async def test_an_edit_decides_on_what_it_waited_for(shop: Shop, edits: Edits, me: Editor) -> None:
    draft = await shop.draft(seats=0)
    await set_schedule(shop, draft.schedule_id, "currency = 'USD'")
    async with shop.db.transaction() as connection:
        await connection.fetch(
            "SELECT FROM schedules WHERE schedule_id = $1 FOR NO KEY UPDATE", draft.schedule_id
        )
        await connection.execute(
            """INSERT INTO seats (schedule_id, ordinal, seat_id, section, row_label, number, grade,
                                  price_minor) VALUES ($1, 0, 'A', 'A', '1', 1, 'R', 5)""",
            draft.schedule_id,
        )
        edit = ScheduleEdit(currency="KRW")
        edited = asyncio.create_task(edits.edit_schedule(me, draft.schedule_id, edit, 1))
        await until_waiting(shop.db, edited)
    with pytest.raises(NotEditable):
        await edited


async def test_a_change_is_dated_after_the_lock_that_it_waited_for(
    shop: Shop, edits: Edits, me: Editor
) -> None:
    sale = await shop.on_sale()
    version = (await schedule_of(shop, sale.schedule_id)).version
    async with shop.db.transaction() as connection:
        await connection.fetch(
            "SELECT FROM schedules WHERE schedule_id = $1 FOR NO KEY UPDATE", sale.schedule_id
        )
        edit = ScheduleEdit(starts_at=datetime.now(UTC) + 40 * DAY)
        edited = asyncio.create_task(edits.edit_schedule(me, sale.schedule_id, edit, version))
        await until_waiting(shop.db, edited)
        sold_at = await connection.fetchval("SELECT clock_timestamp()")
    await edited
    [change] = await edits.changes_of(None, sale.schedule_id)
    assert change.created_at > sold_at


async def test_a_venue_is_of_the_organization_of_its_concert(
    shop: Shop, edits: Edits, me: Editor
) -> None:
    """A member of two organizations keeps them apart, too."""
    body = VenueBody(name="Hall 2", country="JP", time_zone="Asia/Tokyo")
    theirs = await Venues(VenueStore(shop.db)).create(shop.other, body, "key")
    own, others = shop.organizer.organization_ids or (), shop.other.organization_ids or ()
    both = Editor(me.user_id, [*own, *others])
    sale = await shop.on_sale()
    version = (await schedule_of(shop, sale.schedule_id)).version
    edit = ScheduleEdit(venue_id=theirs.venue_id)
    with pytest.raises(VenueNotFound):
        await edits.edit_schedule(both, sale.schedule_id, edit, version)
    with pytest.raises(VenueNotFound):
        await shop.catalog.create_schedule(
            member(me.user_id, *both.organization_ids),
            sale.concert_id,
            schedule(venue_id=theirs.venue_id),
        )


async def test_buyers_are_told_where_it_is_without_the_venue(
    shop: Shop, edits: Edits, me: Editor
) -> None:
    body = VenueBody(name="Hall 2", country="KR", time_zone="Asia/Seoul")
    venue = await Venues(VenueStore(shop.db)).create(shop.organizer, body, "key")
    sale = await shop.on_sale()
    for venue_id in (venue.venue_id, None):
        version = (await schedule_of(shop, sale.schedule_id)).version
        await edits.edit_schedule(me, sale.schedule_id, ScheduleEdit(venue_id=venue_id), version)
    [change, _] = await edits.changes_of(None, sale.schedule_id)
    assert (change.venue_before, change.venue_after) == ("Hall 2", CONCERT.venue)


async def test_buyers_are_told_of_another_venue(shop: Shop, edits: Edits, me: Editor) -> None:
    venues = Venues(VenueStore(shop.db))
    body = VenueBody(name="Hall 2", country="JP", time_zone="Asia/Tokyo")
    theirs = await venues.create(shop.other, body, "key")
    venue = await venues.create(shop.organizer, body, "key")
    sale = await shop.on_sale()
    version = (await schedule_of(shop, sale.schedule_id)).version
    for unknown in (theirs.venue_id, uuid4()):
        edit = ScheduleEdit(venue_id=unknown)
        with pytest.raises(VenueNotFound):
            await edits.edit_schedule(me, sale.schedule_id, edit, version)
    year = datetime.now(UTC).year + 1
    until = LocalTime(local=f"{datetime.now(UTC) + 3 * DAY:%Y-%m-%d}T12:00")
    edit = ScheduleEdit(
        venue_id=venue.venue_id,
        starts_at=LocalTime(local=f"{year}-07-04T19:00"),
        refundable_until=until,
        reason="Water",
    )
    await edits.edit_schedule(me, sale.schedule_id, edit, version)
    after = await schedule_of(shop, sale.schedule_id)
    assert (after.venue.name, after.time_zone) == ("Hall 2", "Asia/Tokyo")
    assert after.starts_at == datetime(year, 7, 4, 10, tzinfo=UTC)
    [change] = await edits.changes_of(shop.organizer.organization_ids, sale.schedule_id)
    assert (change.kind, change.venue_before, change.venue_after, change.reason) == (
        "CHANGED",
        "Hall 1",
        "Hall 2",
        "Water",
    )
    assert change.refundable_until == after.refundable_until
    assert after.refundable_until.hour == 3
    assert after.changed_at == change.created_at
    assert await edits.changes_of(shop.other.organization_ids, sale.schedule_id) == []
    [work] = await shop.db.fetch("SELECT kind, subject_id FROM cashier_work")
    assert tuple(work) == ("schedule_change", change.change_id)
    [event] = await shop.db.fetch("SELECT topic FROM outbox WHERE topic LIKE 'schedule%'")
    assert event["topic"] == "schedule.changed"


async def test_only_what_buyers_never_knew_is_deleted(shop: Shop, edits: Edits, me: Editor) -> None:
    draft, beside, sale = await shop.draft(), await shop.draft(), await shop.on_sale()
    with pytest.raises(PreconditionFailed):
        await edits.delete_schedule(me, draft.schedule_id, 9)
    second = await shop.catalog.create_schedule(
        shop.organizer, draft.concert_id, schedule(starts_at=datetime.now(UTC) + 40 * DAY)
    )
    await edits.delete_schedule(me, second.schedule_id, 1)
    with pytest.raises(ScheduleNotFound):
        await schedule_of(shop, second.schedule_id)
    assert (await schedule_of(shop, draft.schedule_id)).seats_total == 10
    with pytest.raises(NotDeletable):
        await edits.delete_schedule(
            me, sale.schedule_id, (await schedule_of(shop, sale.schedule_id)).version
        )
    with pytest.raises(NotDeletable):
        await edits.delete_concert(me, sale.concert_id, 2)
    with pytest.raises(ConcertNotFound):
        await edits.delete_concert(editor(shop.other), draft.concert_id, 1)
    await edits.delete_concert(me, draft.concert_id, 1)
    with pytest.raises(ConcertNotFound):
        await shop.catalog.own_concert(shop.organizer.organization_ids, draft.concert_id)
    assert (await schedule_of(shop, beside.schedule_id)).seats_total == 10
    assert [action for action, _ in await logged(shop)][-2:] == [
        "schedule.deleted",
        "concert.deleted",
    ]


async def test_a_schedule_with_a_hold_is_not_deleted(shop: Shop, edits: Edits, me: Editor) -> None:
    sale = await shop.on_sale()
    await shop.hold(sale.schedule_id, ["1-1-1"], uuid4())
    # As an earlier release may have left it.
    await set_schedule(shop, sale.schedule_id, "status = 'DRAFT'")
    version = (await schedule_of(shop, sale.schedule_id)).version
    with pytest.raises(NotDeletable):
        await edits.delete_schedule(me, sale.schedule_id, version)


async def test_a_concert_is_unpublished_while_nothing_is_held(
    shop: Shop, edits: Edits, me: Editor
) -> None:
    held, free = await shop.on_sale(), await shop.on_sale()
    await shop.hold(held.schedule_id, ["1-1-1"], uuid4())

    async def unpublish(concert_id: UUID) -> None:
        version = (
            await shop.catalog.own_concert(shop.organizer.organization_ids, concert_id)
        ).version
        await edits.unpublish(me, concert_id, version)

    for sale in (held, free):
        with pytest.raises(NotUnpublishable):
            await unpublish(sale.concert_id)
        await shop.catalog.close(shop.organizer, sale.schedule_id)
    with pytest.raises(NotUnpublishable):
        await unpublish(held.concert_id)
    await unpublish(free.concert_id)
    with pytest.raises(ConcertNotFound):
        await shop.lookups.concert(free.concert_id)
    assert (await shop.lookups.concert(held.concert_id)).found.status == "PUBLISHED"
    with pytest.raises(NotUnpublishable):
        await unpublish(free.concert_id)
    version = (
        await shop.catalog.own_concert(shop.organizer.organization_ids, free.concert_id)
    ).version
    await edits.delete_concert(me, free.concert_id, version)


async def test_a_hold_in_flight_keeps_its_date(shop: Shop, edits: Edits, me: Editor) -> None:
    """The edit waits for a hold that has locked its seat, and then sees it."""
    sale = await shop.on_sale()
    version = (await schedule_of(shop, sale.schedule_id)).version
    edit = ScheduleEdit(starts_at=datetime.now(UTC) + 60 * DAY)
    lock = "SELECT FROM seats WHERE schedule_id = $1 AND seat_id = '1-1-1' FOR UPDATE"
    hold = """UPDATE seats SET state = 'HELD', reservation_id = $1, user_id = $1,
                     expires_at = now() + interval '1 hour'
               WHERE schedule_id = $1 AND seat_id = '1-1-1'"""
    async with shop.db.writing() as connection:
        await connection.execute(lock, sale.schedule_id)
        editing = asyncio.create_task(edits.edit_schedule(me, sale.schedule_id, edit, version))
        done, _ = await asyncio.wait([editing], timeout=0.3)
        assert not done
        await connection.execute(hold, sale.schedule_id)
    with pytest.raises(ScheduleSold):
        await editing
