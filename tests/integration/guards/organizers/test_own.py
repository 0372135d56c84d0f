"""What is an organizer's own."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

from boxoffice.backoffice.store import BackofficeSchedule, BackofficeStore
from boxoffice.catalog.store import CatalogStore, ScheduleRow
from boxoffice.platform.postgres.database import Database
from boxoffice.sales_stats.store import SalesStatsStore
from boxoffice.waiting_room.store import QueueStore
from tests.integration.guards.organizers.changes import change_row
from tests.support.hall import Hall


async def test_an_organizer_sees_no_concerts_of_another(
    db: Database, mine: Hall, other: Hall
) -> None:
    store, here, there = CatalogStore(db), mine.schedule_id, other.schedule_id
    await change_row(other, "schedules", "status = 'CLOSED'")
    [own] = await store.own_concerts([here], None, 9)
    assert (own.concert_id, own.schedules_total, own.schedules_open) == (here, 1, 1)
    assert await store.own_concert([here], here) == own
    [others] = await store.own_concerts([there], None, 9)
    assert (others.schedules_total, others.schedules_open) == (1, 0)
    assert await store.own_concert([there], there) == others
    assert await store.concert_status(here, [here]) == ("PUBLISHED", False)
    assert await store.own_schedule(here, [here]) == ScheduleRow(here, "OPEN", here)
    asked: list[Callable[[UUID, list[UUID]], Any]] = [
        lambda what, who: store.own_concert(who, what),
        store.concert_status,
        store.own_schedule,
        SalesStatsStore(db).schedule,
    ]
    for ask in asked:
        assert await ask(here, [here]) is not None
        assert await ask(here, [there]) is None
        assert await ask(uuid4(), [here]) is None
    backoffice = BackofficeStore(db)
    asked_for = ((here, [here]), (here, [there]), (uuid4(), [here]))
    owns = [await backoffice.own_schedule(*one) for one in asked_for]
    assert owns == [BackofficeSchedule(here, here, here), None, None]


async def test_an_operator_sees_all_concerts(db: Database, mine: Hall, other: Hall) -> None:
    store, here, there = CatalogStore(db), mine.schedule_id, other.schedule_id
    await change_row(other, "schedules", "status = 'CLOSED'")
    await change_row(mine, "organizations", "name = 'Me'")
    await change_row(other, "organizations", "name = 'Other'")
    newest, oldest = await store.own_concerts(None, None, 9)
    told = [
        (one.concert_id, one.organizer_name, one.schedules_total, one.schedules_open)
        for one in (newest, oldest)
    ]
    assert told == [(here, "Me", 1, 1), (there, "Other", 1, 0)]
    assert await store.own_concerts(None, (newest.created_at, newest.concert_id), 9) == [oldest]
    assert await store.own_concerts(None, None, 1) == [newest]
    assert await store.own_concerts([there], None, 9) == [oldest]
    assert await store.own_concert(None, there) == oldest
    assert await store.own_concert(None, uuid4()) is None
    assert await store.own_schedule(there, None) == ScheduleRow(there, "CLOSED", there)
    assert await BackofficeStore(db).own_schedule(there, None) == BackofficeSchedule(
        there, there, there
    )
    rooms = QueueStore(db)
    for ask in (SalesStatsStore(db).schedule, rooms.sale):
        assert await ask(here, None) == await ask(here, [here]) is not None
        assert await ask(uuid4(), None) is None
