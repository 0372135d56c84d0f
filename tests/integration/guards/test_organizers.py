"""Each condition of the organizers' statements, tried with two halls.

Organizer, concert and schedule of a hall have the same id.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from boxoffice.activity_log import Action, record
from boxoffice.activity_log.store import ActivityStore
from boxoffice.backoffice.store import BackofficeStore
from boxoffice.catalog import store as catalog
from boxoffice.catalog.rules import NewSeat
from boxoffice.catalog.store import CatalogStore, ScheduleRow
from boxoffice.platform.postgres.database import Database, Record
from boxoffice.sales_stats.store import SalesStatsStore
from boxoffice.seats.store import SeatStore
from boxoffice.waiting_room.store import QueueStore
from tests.support.hall import Hall, open_hall

_LOCK_TIMEOUT = "SET LOCAL lock_timeout = '300ms'"


@pytest.fixture
async def other(db: Database) -> Hall:
    """An older hall, which no test changes."""
    return await open_hall(db, seats=3, people=2, balance_minor=5_000)


@pytest.fixture
async def mine(db: Database, other: Hall) -> Hall:
    """A hall with four seats, published and on sale."""
    assert other
    return await open_hall(db, seats=4, people=2, balance_minor=5_000)


async def _change(hall: Hall, table: str, change: str) -> None:
    key = f"{table.removesuffix('s')}_id"
    statement = f"UPDATE {table} SET {change} WHERE {key} = $1"  # noqa: S608 — our own words
    await hall.db.fetch(statement, hall.schedule_id)


# What everybody sees -------------------------------------------------------------------------------


async def test_only_what_is_published_is_shown(db: Database, mine: Hall, other: Hall) -> None:
    store, here, there = CatalogStore(db), mine.schedule_id, other.schedule_id
    await _change(other, "concerts", "status = 'DRAFT', published_at = NULL")
    await _change(mine, "concerts", "title = 'Mine'")
    await _change(mine, "schedules", "currency = 'EUR'")
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

    [own] = await store.own_concerts(mine.schedule_id, None, 9)
    assert await store.own_concerts(mine.schedule_id, (own.created_at, own.concert_id), 9) == []
    later = own.created_at + timedelta(seconds=1)
    assert len(await store.own_concerts(mine.schedule_id, (later, own.concert_id), 9)) == 1
    assert await store.own_concerts(mine.schedule_id, None, 0) == []


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
    await _change(mine, "schedules", change)
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
    await _change(mine, "schedules", change)
    [listed] = await store.own_concerts(me, None, 9)
    [of_all] = await store.own_concerts(None, None, 1)
    alone = await store.own_concert(me, me)
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
    await _change(mine, "schedules", "starts_at = clock_timestamp() - interval '1 minute'")
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
    await _change(other, "schedules", "status = 'CLOSED'")
    there = await SeatStore(db).seat_states(other.schedule_id)
    assert there is not None
    assert (there.seats, there.is_open) == (3, False)
    assert [len(rows) async for rows in SeatStore(db).seats(mine.schedule_id)] == [4]


# What is an organizer's own ------------------------------------------------------------------------


async def test_an_organizer_sees_no_concerts_of_another(
    db: Database, mine: Hall, other: Hall
) -> None:
    store, here, there = CatalogStore(db), mine.schedule_id, other.schedule_id
    await _change(other, "schedules", "status = 'CLOSED'")
    [own] = await store.own_concerts(here, None, 9)
    assert (own.concert_id, own.schedules_total, own.schedules_open) == (here, 1, 1)
    assert await store.own_concert(here, here) == own
    [others] = await store.own_concerts(there, None, 9)
    assert (others.schedules_total, others.schedules_open) == (1, 0)
    assert await store.own_concert(there, there) == others
    assert await store.concert_status(here, here) == ("PUBLISHED", False)
    assert await store.own_schedule(here, here) == ScheduleRow(here, "OPEN")
    asked: list[Callable[[UUID, UUID], Any]] = [
        lambda what, who: store.own_concert(who, what),
        store.concert_status,
        store.own_schedule,
        SalesStatsStore(db).schedule,
    ]
    for ask in asked:
        assert await ask(here, here) is not None
        assert await ask(here, there) is None
        assert await ask(uuid4(), here) is None
    backoffice = BackofficeStore(db)
    owns = [await backoffice.is_own(*one) for one in ((here, here), (here, there), (uuid4(), here))]
    assert owns == [True, False, False]


async def test_an_operator_sees_all_concerts(db: Database, mine: Hall, other: Hall) -> None:
    store, here, there = CatalogStore(db), mine.schedule_id, other.schedule_id
    await _change(other, "schedules", "status = 'CLOSED'")
    await _change(mine, "users", "name = 'Me'")
    await _change(other, "users", "name = 'Other'")
    newest, oldest = await store.own_concerts(None, None, 9)
    told = [
        (one.concert_id, one.organizer_name, one.schedules_total, one.schedules_open)
        for one in (newest, oldest)
    ]
    assert told == [(here, "Me", 1, 1), (there, "Other", 1, 0)]
    assert await store.own_concerts(None, (newest.created_at, newest.concert_id), 9) == [oldest]
    assert await store.own_concerts(None, None, 1) == [newest]
    assert await store.own_concerts(there, None, 9) == [oldest]
    assert await store.own_concert(None, there) == oldest
    assert await store.own_concert(None, uuid4()) is None
    assert await store.own_schedule(there, None) == ScheduleRow(there, "CLOSED")
    assert await BackofficeStore(db).is_own(there, None)
    rooms = QueueStore(db)
    for ask in (SalesStatsStore(db).schedule, rooms.sale):
        assert await ask(here, None) == await ask(here, here) is not None
        assert await ask(uuid4(), None) is None


async def _draft(hall: Hall) -> None:
    await _change(hall, "concerts", "status = 'DRAFT', published_at = NULL")
    await _change(hall, "schedules", "status = 'DRAFT'")


async def _published(hall: Hall, concert_id: UUID, organizer_id: UUID) -> bool:
    async with hall.db.writing() as connection:
        return await catalog.publish(connection, concert_id, organizer_id) is not None


async def _opened(hall: Hall, schedule_id: UUID, organizer_id: UUID) -> bool:
    async with hall.db.writing() as connection:
        return await catalog.open_sale(connection, schedule_id, organizer_id) is not None


async def _closed(hall: Hall, schedule_id: UUID, organizer_id: UUID) -> bool:
    async with hall.db.writing() as connection:
        return await catalog.close_sale(connection, schedule_id, organizer_id) is not None


async def _statuses(hall: Hall) -> tuple[str, str]:
    (row,) = await hall.db.fetch(
        "SELECT c.status AS concert, s.status AS schedule FROM concerts c JOIN schedules s"
        " ON s.concert_id = c.concert_id WHERE c.concert_id = $1",
        hall.schedule_id,
    )
    return row["concert"], row["schedule"]


async def test_a_draft_with_seats_is_published_once_and_by_its_organizer(
    db: Database, mine: Hall, other: Hall
) -> None:
    here, there = mine.schedule_id, other.schedule_id
    empty = await open_hall(db, seats=0, people=0)
    for hall in (mine, other, empty):
        await _draft(hall)
    assert not await _published(mine, here, there)
    assert not await _published(mine, uuid4(), here)
    assert not await _published(mine, empty.schedule_id, empty.schedule_id)
    assert await _published(mine, here, here)
    assert not await _published(mine, here, here)
    assert await _statuses(other) == ("DRAFT", "DRAFT")


async def test_a_schedule_with_seats_is_opened_once_and_by_its_organizer(
    db: Database, mine: Hall, other: Hall
) -> None:
    here, there = mine.schedule_id, other.schedule_id
    empty = await open_hall(db, seats=0, people=0)
    await _draft(mine)
    await _change(empty, "schedules", "status = 'DRAFT'")
    assert not await _opened(mine, here, here), "its concert is a draft"
    await _published(mine, here, here)
    await _change(other, "schedules", "status = 'DRAFT'")
    assert not await _opened(mine, here, there)
    assert not await _opened(mine, empty.schedule_id, empty.schedule_id)
    assert not await _opened(mine, uuid4(), here)
    assert await _opened(mine, here, here)
    assert not await _opened(mine, here, here)
    assert await _statuses(other) == ("PUBLISHED", "DRAFT")


async def test_a_schedule_is_closed_once_and_by_its_organizer(mine: Hall, other: Hall) -> None:
    here, there = mine.schedule_id, other.schedule_id
    assert not await _closed(mine, here, there)
    assert not await _closed(mine, uuid4(), here)
    assert await _closed(mine, here, here)
    assert not await _closed(mine, here, here)
    assert await _statuses(other) == ("PUBLISHED", "OPEN")


@asynccontextmanager
async def _stranger(database_url: str) -> AsyncIterator["asyncpg.Connection[Record]"]:
    """A concurrent transaction with a short lock timeout."""
    connection: asyncpg.Connection[Record] = await asyncpg.connect(database_url)
    try:
        async with connection.transaction():
            await connection.execute(_LOCK_TIMEOUT)
            yield connection
    finally:
        await connection.close()


async def test_a_seat_map_keeps_the_schedule_from_being_opened(
    db: Database, mine: Hall, other: Hall, database_url: str
) -> None:
    here, there = mine.schedule_id, other.schedule_id
    change = "UPDATE schedules SET status = status WHERE schedule_id = $1"
    async with db.writing() as connection, _stranger(database_url) as stranger:
        assert await catalog.lock_schedule(connection, here, there) is None
        assert await catalog.lock_schedule(connection, uuid4(), here) is None
        await stranger.execute(change, here)
    async with db.writing() as connection, _stranger(database_url) as stranger:
        assert await catalog.lock_schedule(connection, here, here) == ScheduleRow(here, "OPEN")
        await stranger.execute(change, there)
        with pytest.raises(asyncpg.LockNotAvailableError):
            await stranger.execute(change, here)


async def test_one_schedule_at_a_time_is_added_to_a_concert(
    db: Database, mine: Hall, other: Hall, database_url: str
) -> None:
    here, there = mine.schedule_id, other.schedule_id
    change = "UPDATE concerts SET title = title WHERE concert_id = $1"
    async with db.writing() as connection, _stranger(database_url) as stranger:
        assert not await catalog.lock_concert(connection, here, there)
        assert not await catalog.lock_concert(connection, uuid4(), here)
        await stranger.execute(change, here)
    async with db.writing() as connection, _stranger(database_url) as stranger:
        assert await catalog.lock_concert(connection, here, here)
        await stranger.execute(change, there)
        with pytest.raises(asyncpg.LockNotAvailableError):
            await stranger.execute(change, here)


async def test_a_hall_has_as_many_seats_and_a_concert_as_many_schedules_as_it_has(
    db: Database, mine: Hall, other: Hall
) -> None:
    async with db.writing() as connection:
        for hall, seats in ((mine, 4), (other, 3)):
            assert await catalog.count_seats(connection, hall.schedule_id) == seats
            assert await catalog.count_schedules(connection, hall.schedule_id) == 1


async def test_conflicting_seats_have_the_id_or_the_place(
    db: Database, mine: Hall, other: Hall
) -> None:
    """In the other hall, seats S001 to S003 are in row 1 of section S."""
    store = CatalogStore(db)
    await db.fetch("DELETE FROM seats WHERE schedule_id = $1", mine.schedule_id)

    def seat(seat_id: str, section: str, row: str, number: int) -> NewSeat:
        return NewSeat(seat_id, section, row, number, "R", 10)

    new = [
        seat("S001", "T", "9", 99),
        seat("N1", "S", "1", 2),
        seat("N2", "T", "1", 1),
        seat("N3", "S", "2", 1),
        seat("N4", "S", "1", 9),
    ]
    assert await store.conflicting_seats(other.schedule_id, new, 9) == ["S001", "N1"]
    assert len(await store.conflicting_seats(other.schedule_id, new, 1)) == 1
    assert await store.conflicting_seats(mine.schedule_id, new, 9) == []


async def test_labels_are_those_of_one_hall(db: Database, mine: Hall, other: Hall) -> None:
    await db.fetch("UPDATE seats SET grade = 'X' WHERE schedule_id = $1", other.schedule_id)
    [here] = await CatalogStore(db).labels(mine.schedule_id)
    [there] = await CatalogStore(db).labels(other.schedule_id)
    assert (here.section, here.row, there.grade) == (there.section, there.row, "X")
    assert here.grade != "X"
    async with db.writing() as connection:
        assert await catalog.labels(connection, mine.schedule_id) == [here]


# What an operator takes down -----------------------------------------------------------------------


async def _taken_down(
    hall: Hall, concert_id: UUID, reason: str = "Fraud"
) -> tuple[Any, list[UUID]]:
    async with hall.db.writing() as connection:
        taken = await catalog.take_down(connection, concert_id, reason)
        return taken, await catalog.close_sales(connection, concert_id) if taken else []


async def test_a_concert_that_was_taken_down_is_not_shown(
    db: Database, mine: Hall, other: Hall
) -> None:
    store, here, there = CatalogStore(db), mine.schedule_id, other.schedule_id
    draft = await open_hall(db, seats=1, people=0)
    await _draft(draft)

    async def shown() -> list[bool]:
        return [
            here in [one.concert_id for one in await store.published_concerts(None, 9)],
            await store.published_concert(here) is not None,
            await store.published_schedule(here) is not None,
            await SeatStore(db).public_schedule(here) == ("KRW", True),
            await SeatStore(db).seat_states(here) is not None,
        ]

    assert await shown() == [True] * 5
    assert await _taken_down(mine, uuid4()) == (None, [])
    assert await _taken_down(mine, here) == ((here, "Title"), [here])
    assert await _taken_down(mine, here, "Again") == (None, [])
    assert await shown() == [False] * 5
    assert await SeatStore(db).public_schedule(here) == ("KRW", False), "for those who have tickets"
    own = await store.own_concert(here, here)
    assert own is not None
    assert (own.taken_down_reason, own.taken_down_at is None) == ("Fraud", False)
    [listed] = await store.own_concerts(here, None, 9)
    assert listed == own == (await store.own_concerts(None, None, 9))[1]
    assert await store.concert_status(here, here) == ("PUBLISHED", True)
    assert await _statuses(mine) == ("PUBLISHED", "CLOSED")
    assert await _statuses(other) == ("PUBLISHED", "OPEN")
    assert not await _opened(mine, here, here)
    assert (await _taken_down(draft, draft.schedule_id))[1] == [], "a draft is not on sale"
    assert await _statuses(draft) == ("DRAFT", "DRAFT")
    assert not await _published(draft, draft.schedule_id, draft.schedule_id)
    untouched = await store.own_concert(there, there)
    assert untouched is not None
    assert untouched.taken_down_at is None

    async with db.writing() as connection:
        assert await catalog.restore(connection, there) is None
        assert await catalog.restore(connection, here) == (here, "Title")
        assert await catalog.restore(connection, here) is None
    assert await shown() == [True] * 5
    assert await _statuses(mine) == ("PUBLISHED", "CLOSED")
    assert await store.concert_status(draft.schedule_id, draft.schedule_id) == ("DRAFT", True)
    assert await _opened(mine, here, here)


async def test_a_sale_is_not_opened_beside_a_take_down(
    db: Database, mine: Hall, other: Hall, database_url: str
) -> None:
    """Opening the sale prevents a take-down of this concert until it is done."""
    here = mine.schedule_id
    await _change(other, "concerts", f"organizer_id = '{here}'")
    await _change(mine, "schedules", "status = 'CLOSED'")
    down = (
        "UPDATE concerts SET taken_down_at = now(), taken_down_reason = 'x' WHERE concert_id = $1"
    )
    async with db.writing() as connection, _stranger(database_url) as stranger:
        assert await catalog.open_sale(connection, here, here) == here
        await stranger.execute(down, other.schedule_id)
        with pytest.raises(asyncpg.LockNotAvailableError):
            await stranger.execute(down, here)
    assert (await _taken_down(mine, here))[1] == [here]


# The backoffice and the activity log ---------------------------------------------------------------


async def test_the_backoffice_finds_the_reservations_of_one_hall(
    db: Database, mine: Hall, other: Hall
) -> None:
    backoffice, here = BackofficeStore(db), mine.schedule_id
    one, two = mine.people
    await other.held(other.people[0], "S001")
    there = await db.fetch("SELECT email FROM users WHERE user_id = $1", one)
    email = there[0]["email"]
    first, second, third = [
        await mine.held(who, seat) for who, seat in ((one, "S001"), (two, "S002"), (one, "S003"))
    ]

    async def ids(before: UUID | None, seat: str | None, limit: int = 9) -> list[UUID]:
        seats = None if seat is None else ["S999", seat]
        found = await backoffice.of_schedule(here, before, seats, limit)
        return [one.reservation_id for one in found]

    async def of_one(before: UUID | None, seat: str | None, limit: int = 9) -> list[UUID]:
        seats = None if seat is None else [seat, "S999"]
        found = await backoffice.of_user(here, before, email, seats, limit)
        return [one.reservation_id for one in found]

    assert await ids(None, None) == [third, second, first]
    assert await ids(third, None) == [second, first]
    assert await ids(None, "S002") == [second]
    assert await ids(None, None, 1) == [third]
    assert await of_one(None, None) == [third, first]
    assert await of_one(third, None) == [first]
    assert await of_one(None, "S001") == [first]
    assert await of_one(None, None, 1) == [third]
    assert await backoffice.of_user(other.schedule_id, None, email, None, 9) == []

    found = await backoffice.reservation(here, second)
    assert found is not None
    assert (found.reservation_id, found.email) == (second, str(two) + "@example.org")
    assert await backoffice.reservation(other.schedule_id, second) is None
    assert await backoffice.reservation(here, uuid4()) is None


async def test_the_backoffice_shows_the_history_of_one_reservation(
    db: Database, mine: Hall, other: Hall
) -> None:
    backoffice, here, buyer = BackofficeStore(db), mine.schedule_id, mine.people[0]
    first, second = await mine.held(buyer, "S001"), await mine.held(buyer, "S002", "S003")
    for reservation in (first, second):
        await mine.pay(buyer, reservation)
    [payment] = await backoffice.payments(here, second)
    assert payment.amount_minor == 2_000
    assert await backoffice.payments(other.schedule_id, second) == []
    [moved] = await backoffice.transfers(buyer, [payment.payment_id])
    assert abs(moved.amount_minor) == 2_000
    assert await backoffice.transfers(mine.people[1], [payment.payment_id]) == []
    assert [ticket.seat_id for ticket in await backoffice.tickets(here, second)] == ["S002", "S003"]
    assert await backoffice.tickets(other.schedule_id, second) == []


async def test_an_organizer_reads_only_their_own_activity(
    db: Database, mine: Hall, other: Hall
) -> None:
    here, there = mine.schedule_id, other.schedule_id
    async with db.writing() as connection:
        for organizer, concert, schedule in (
            (there, there, there),
            (here, here, None),
            (here, there, here),
        ):
            await record(
                connection,
                Action(
                    organizer_id=organizer, actor_id=here, action="sale.opened", request_id="r",
                    concert_id=concert, schedule_id=schedule, details={},
                ),
            )  # fmt: skip
    await _change(mine, "concerts", "title = 'Mine'")

    async def entries(*asked: Any) -> list[int]:
        return [one.entry_id for one in await ActivityStore(db).entries(here, *asked)]

    newest, oldest = await entries(None, None, None, 9)
    assert newest > oldest
    assert await entries(newest, None, None, 9) == [oldest]
    assert await entries(None, here, None, 9) == [oldest]
    assert await entries(None, None, here, 9) == [newest]
    assert await entries(None, None, None, 1) == [newest]
    [_, told] = await ActivityStore(db).entries(here, None, None, None, 9)
    assert (told.concert_title, told.starts_at) == ("Mine", None)
    [told, _] = await ActivityStore(db).entries(here, None, None, None, 9)
    assert (told.concert_title, told.starts_at is None) == ("Title", False)


async def test_an_operator_reads_the_activity_of_all(db: Database, mine: Hall, other: Hall) -> None:
    here, there = mine.schedule_id, other.schedule_id
    await _change(mine, "users", "name = 'Me'")
    await _change(mine, "concerts", "title = 'Mine'")
    await _change(other, "schedules", "starts_at = starts_at + interval '1 year'")
    async with db.writing() as connection:
        for whose in (there, here):
            entry = Action(
                organizer_id=whose, actor_id=whose, action="sale.opened", request_id="r",
                concert_id=whose, schedule_id=whose, details={},
            )  # fmt: skip
            await record(connection, entry)
    store = ActivityStore(db)
    newest, oldest = await store.entries(None, None, None, None, 9)
    assert (newest.concert_id, newest.concert_title, newest.actor_name) == (here, "Mine", "Me")
    assert (oldest.concert_id, oldest.actor_name == "Me") == (there, False)
    assert newest.starts_at is not None
    assert oldest.starts_at is not None
    assert oldest.starts_at > newest.starts_at
    assert await store.entries(None, newest.entry_id, None, None, 9) == [oldest]
    assert await store.entries(None, None, here, None, 9) == [newest]
    assert await store.entries(None, None, None, there, 9) == [oldest]
    assert await store.entries(None, None, None, None, 1) == [newest]
