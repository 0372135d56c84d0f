"""What buyers see."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from boxoffice.catalog.store import CatalogStore
from boxoffice.platform.postgres.database import Database
from boxoffice.seats.store import SeatStore
from tests.integration.guards.organizers.changes import change_row
from tests.support.hall import Hall


async def test_only_what_is_published_is_shown(db: Database, mine: Hall, other: Hall) -> None:
    store, here, there = CatalogStore(db), mine.schedule_id, other.schedule_id
    await change_row(other, "concerts", "status = 'DRAFT', published_at = NULL")
    await change_row(mine, "concerts", "title = 'Mine'")
    await change_row(mine, "schedules", "currency = 'EUR'")
    assert [one.concert_id for one in await store.published_concerts(None, 9)] == [here]
    published = await store.published_concert(here)
    assert published is not None
    assert published.title == "Mine"
    schedule = await store.published_schedule(here)
    assert schedule is not None
    assert (schedule.schedule_id, schedule.concert.title) == (here, "Mine")
    public = await SeatStore(db).public_schedule(here)
    assert public is not None
    assert public.currency == "EUR"
    assert await store.published_concert(there) is None
    assert await store.published_schedule(there) is None
    assert await SeatStore(db).public_schedule(there) is None


async def test_a_page_of_concerts_goes_on_where_the_last_one_ended(
    db: Database, mine: Hall, other: Hall
) -> None:
    store = CatalogStore(db)
    late = datetime.now(UTC) + timedelta(days=400)
    await db.fetch(
        "UPDATE schedules SET starts_at = $2 WHERE schedule_id = $1", other.schedule_id, late
    )
    [first] = await store.published_concerts(None, 1)
    [second] = await store.published_concerts((first.published_at, first.concert_id), 9)
    assert [first.concert_id, second.concert_id] == [mine.schedule_id, other.schedule_id]
    assert (first.last_starts_at == late, second.first_starts_at == late) == (False, True)

    [own] = await store.own_concerts([mine.schedule_id], None, 9)
    assert await store.own_concerts([mine.schedule_id], (own.created_at, own.concert_id), 9) == []
    later = own.created_at + timedelta(seconds=1)
    assert len(await store.own_concerts([mine.schedule_id], (later, own.concert_id), 9)) == 1
    assert await store.own_concerts([mine.schedule_id], None, 0) == []


async def test_seats_are_counted_by_their_state_and_their_hall(
    db: Database, mine: Hall, other: Hall
) -> None:
    store = CatalogStore(db)
    await mine.held(mine.people[0], "S001")
    await mine.lapse(await mine.held(mine.people[1], "S002"))
    [one] = await store.schedules(mine.schedule_id)
    assert (one.schedule_id, one.seats_total, one.seats_available) == (mine.schedule_id, 4, 3)
    assert await store.schedules(mine.schedule_id, mine.schedule_id) == [one]
    assert await store.schedules(mine.schedule_id, other.schedule_id) == []
    [there] = await store.schedules(other.schedule_id)
    assert (there.seats_total, there.seats_available) == (3, 3)


@pytest.mark.parametrize(
    ("change", "is_on_sale"),
    [
        ("status = 'OPEN'", True),
        ("status = 'CLOSED'", False),
        ("sale_opens_at = clock_timestamp() + interval '1 hour'", False),
        ("sale_closes_at = clock_timestamp() + interval '1 hour'", True),
        ("sale_closes_at = clock_timestamp() - interval '1 hour'", False),
        ("starts_at = clock_timestamp() - interval '1 hour'", False),
        ("starts_at = now(), sale_closes_at = now() + interval '1 hour'", False),
        ("starts_at = now() + interval '1 hour'", True),
    ],
)
async def test_on_sale_depends_on_status_and_times(
    db: Database, mine: Hall, change: str, is_on_sale: bool
) -> None:
    store = CatalogStore(db)
    await change_row(mine, "schedules", change)
    [listed] = await store.schedules(mine.schedule_id)
    alone = await store.published_schedule(mine.schedule_id)
    assert alone is not None
    assert (listed.on_sale, alone.on_sale) == (is_on_sale, is_on_sale)


@pytest.mark.parametrize(
    ("change", "on_sale"),
    [
        ("status = 'OPEN'", 1),
        ("status = 'CLOSED'", 0),
        ("sale_opens_at = now() + interval '1 hour'", 0),
        ("sale_closes_at = now() - interval '1 hour'", 0),
        ("starts_at = now(), sale_closes_at = now() + interval '1 hour'", 0),
    ],
)
async def test_schedules_on_sale_are_counted(
    db: Database, mine: Hall, change: str, on_sale: int
) -> None:
    store, me = CatalogStore(db), mine.schedule_id
    await change_row(mine, "schedules", change)
    [listed] = await store.own_concerts([me], None, 9)
    [of_all] = await store.own_concerts(None, None, 1)
    alone = await store.own_concert([me], me)
    assert alone is not None
    told = [one.schedules_on_sale for one in (listed, of_all, alone)]
    assert (of_all.concert_id, told) == (me, [on_sale] * 3)


async def test_a_past_performance_and_a_draft_are_not_listed(
    db: Database, mine: Hall, other: Hall
) -> None:
    """A direct address shows past concerts too; drafts are shown nowhere."""
    store, here, there = CatalogStore(db), mine.schedule_id, other.schedule_id
    second = uuid4()
    await db.fetch(
        "INSERT INTO schedules (schedule_id, concert_id, starts_at, sale_opens_at, currency,"
        " hold_ttl_s, ticket_limit) SELECT $2, concert_id, starts_at + interval '1 day',"
        " sale_opens_at, currency, hold_ttl_s, ticket_limit FROM schedules WHERE schedule_id = $1",
        here,
        second,
    )

    async def listed() -> list[UUID]:
        return [one.concert_id for one in await store.published_concerts(None, 9)]

    async def offered() -> list[UUID]:
        return [one.schedule_id for one in await store.schedules(here, for_buyers=True)]

    # The draft is hidden, except from its organizer.
    assert await offered() == [here]
    assert [one.schedule_id for one in await store.schedules(here)] == [here, second]
    assert await store.published_schedule(second) is None
    assert await SeatStore(db).public_schedule(second) is None
    [told] = [one for one in await store.published_concerts(None, 9) if one.concert_id == here]
    assert told.first_starts_at == told.last_starts_at

    await db.fetch("UPDATE schedules SET status = 'OPEN' WHERE schedule_id = $1", second)
    assert await offered() == [here, second]
    assert await SeatStore(db).public_schedule(second) is not None

    # Past performances are not listed, nor concerts whose last one is past.
    await change_row(mine, "schedules", "starts_at = clock_timestamp() - interval '1 minute'")
    assert await offered() == [second]
    [concert] = [c for c in await store.published_concerts(None, 9) if c.concert_id == here]
    assert concert.first_starts_at == concert.last_starts_at
    assert set(await listed()) == {here, there}
    await db.fetch("UPDATE schedules SET starts_at = now() WHERE schedule_id = $1", second)
    assert await offered() == []
    assert await listed() == [there]
    assert await store.published_concert(here) is not None
    past = await store.published_schedule(here)
    assert past is not None
    assert not past.on_sale


async def test_a_reading_of_the_seats_is_of_one_hall(db: Database, mine: Hall, other: Hall) -> None:
    buyer = mine.people[0]
    await other.held(other.people[0], "S001")
    await mine.pay(buyer, await mine.held(buyer, "S002"))
    await mine.held(buyer, "S003")
    await db.fetch(
        "UPDATE seats SET state = 'BLOCKED' WHERE schedule_id = $1 AND seat_id = 'S004'",
        mine.schedule_id,
    )
    states = await SeatStore(db).seat_states(mine.schedule_id)
    assert states is not None
    # Eight bytes per seat, zeros for a free one; an ended reservation would follow.
    people = bytes(8) + buyer.bytes[8:] * 2 + bytes(8)
    assert (states.seats, states.states, states.people) == (4, b"\0\2\1\3", people)
    assert states.is_open
    await change_row(other, "schedules", "status = 'CLOSED'")
    there = await SeatStore(db).seat_states(other.schedule_id)
    assert there is not None
    assert (there.seats, there.is_open) == (3, False)
    assert [len(rows) async for rows in SeatStore(db).seats(mine.schedule_id)] == [4]
