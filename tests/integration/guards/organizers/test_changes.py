"""What an organizer changes, and what the locks exclude."""

from uuid import uuid4

import asyncpg
import pytest

from boxoffice.catalog import store as catalog
from boxoffice.catalog.rules import NewSeat
from boxoffice.catalog.store import CatalogStore, ScheduleRow
from boxoffice.platform.postgres.database import Database
from tests.integration.guards.organizers.changes import (
    change_row,
    close_sale,
    concurrent_transaction,
    make_draft,
    open_sale,
    publish,
    statuses,
)
from tests.support.hall import Hall, open_hall


async def test_a_draft_with_seats_is_published_once_and_by_its_organizer(
    db: Database, mine: Hall, other: Hall
) -> None:
    here, there = mine.schedule_id, other.schedule_id
    empty = await open_hall(db, seats=0, people=0)
    for hall in (mine, other, empty):
        await make_draft(hall)
    assert not await publish(mine, here, there)
    assert not await publish(mine, uuid4(), here)
    assert not await publish(mine, empty.schedule_id, empty.schedule_id)
    assert await publish(mine, here, here)
    assert not await publish(mine, here, here)
    assert await statuses(other) == ("DRAFT", "DRAFT")


async def test_a_schedule_with_seats_is_opened_once_and_by_its_organizer(
    db: Database, mine: Hall, other: Hall
) -> None:
    here, there = mine.schedule_id, other.schedule_id
    empty = await open_hall(db, seats=0, people=0)
    await make_draft(mine)
    await change_row(empty, "schedules", "status = 'DRAFT'")
    assert not await open_sale(mine, here, here), "its concert is a draft"
    await publish(mine, here, here)
    await change_row(other, "schedules", "status = 'DRAFT'")
    assert not await open_sale(mine, here, there)
    assert not await open_sale(mine, empty.schedule_id, empty.schedule_id)
    assert not await open_sale(mine, uuid4(), here)
    assert await open_sale(mine, here, here)
    assert not await open_sale(mine, here, here)
    assert await statuses(other) == ("PUBLISHED", "DRAFT")


async def test_a_schedule_is_closed_once_and_by_its_organizer(mine: Hall, other: Hall) -> None:
    here, there = mine.schedule_id, other.schedule_id
    assert not await close_sale(mine, here, there)
    assert not await close_sale(mine, uuid4(), here)
    assert await close_sale(mine, here, here)
    assert not await close_sale(mine, here, here)
    assert await statuses(other) == ("PUBLISHED", "OPEN")


async def test_a_seat_map_keeps_the_schedule_from_being_opened(
    db: Database, mine: Hall, other: Hall, database_url: str
) -> None:
    here, there = mine.schedule_id, other.schedule_id
    change = "UPDATE schedules SET status = status WHERE schedule_id = $1"
    async with db.writing() as connection, concurrent_transaction(database_url) as stranger:
        assert await catalog.lock_schedule(connection, here, [there]) is None
        assert await catalog.lock_schedule(connection, uuid4(), [here]) is None
        await stranger.execute(change, here)
    async with db.writing() as connection, concurrent_transaction(database_url) as stranger:
        assert await catalog.lock_schedule(connection, here, [here]) == ScheduleRow(
            here, "OPEN", here
        )
        await stranger.execute(change, there)
        with pytest.raises(asyncpg.LockNotAvailableError):
            await stranger.execute(change, here)


async def test_one_schedule_at_a_time_is_added_to_a_concert(
    db: Database, mine: Hall, other: Hall, database_url: str
) -> None:
    here, there = mine.schedule_id, other.schedule_id
    change = "UPDATE concerts SET title = title WHERE concert_id = $1"
    async with db.writing() as connection, concurrent_transaction(database_url) as stranger:
        assert not await catalog.lock_concert(connection, here, [there])
        assert not await catalog.lock_concert(connection, uuid4(), [here])
        await stranger.execute(change, here)
    async with db.writing() as connection, concurrent_transaction(database_url) as stranger:
        assert await catalog.lock_concert(connection, here, [here])
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
