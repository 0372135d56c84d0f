"""The organizer's commands and the lookups of the public, on a real database."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID, uuid4

import pytest

from boxoffice.catalog import store
from boxoffice.catalog.lookups import Lookup
from boxoffice.catalog.rules import check_csv, hall
from boxoffice.catalog.views import Concert, ConcertPage
from boxoffice.errors import (
    AlreadyPublished,
    ConcertNotFound,
    Invalid,
    NotFound,
    NotOnSale,
    NotPublishable,
    OutcomeUnknown,
    ScheduleLimit,
    ScheduleNotFound,
    ScheduleNotOpenable,
    SeatExists,
    SeatMapInvalid,
    SeatMapLocked,
    Unavailable,
)
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.values import Money
from boxoffice.settings import Settings

from .support import CONCERT, Shop, schedule, seat


async def listed(shop: Shop) -> list[UUID]:
    return [one.concert_id for one in (await shop.lookups.concerts(100, None)).found]


async def seat_count(shop: Shop, schedule_id: UUID) -> int:
    (row,) = await shop.db.fetch(
        "SELECT count(*) AS n FROM seats WHERE schedule_id = $1", schedule_id
    )
    count: int = row["n"]
    return count


async def wait_for_lock(db: Database, waiters: int = 1) -> None:
    """Return once `waiters` statements of this database wait for a row lock."""
    waiting = 0
    async with asyncio.timeout(5):
        while waiting < waiters:
            (row,) = await db.fetch(
                """SELECT count(*) AS n FROM pg_stat_activity
                    WHERE datname = current_database() AND wait_event_type = 'Lock'"""
            )
            waiting = row["n"]


def shown(page: Lookup[ConcertPage]) -> Concert:
    """Return the concert of a page, without what lists and other texts add."""
    return Concert(**{name: getattr(page.found, name) for name in Concert.__struct_fields__})


async def test_a_draft_is_invisible_until_it_is_published(shop: Shop) -> None:
    made = await shop.draft()
    with pytest.raises(ConcertNotFound):
        await shop.lookups.concert(made.concert_id)
    with pytest.raises(ConcertNotFound):
        await shop.lookups.schedules(made.concert_id)
    assert await listed(shop) == []
    published = await shop.catalog.publish(shop.organizer, made.concert_id)
    assert published.status == "PUBLISHED"
    assert shown(await shop.lookups.concert(made.concert_id)) == published
    assert await listed(shop) == [made.concert_id]
    # No buyer finds a schedule that was never opened, at any address with its id.
    assert (await shop.lookups.schedules(made.concert_id)).found == []
    with pytest.raises(ScheduleNotFound):
        await shop.lookups.schedule(made.schedule_id)
    with pytest.raises(ScheduleNotFound):
        await shop.seats.rendered(made.schedule_id)
    await shop.catalog.open(shop.organizer, made.schedule_id)
    (found,) = (await shop.lookups.schedules(made.concert_id)).found
    assert (found.status, found.on_sale) == ("OPEN", True)
    assert await shop.seats.rendered(made.schedule_id)


async def test_another_organizer_finds_nothing(shop: Shop) -> None:
    made = await shop.draft()
    commands: list[tuple[type[NotFound], Any]] = [
        (ConcertNotFound, shop.catalog.create_schedule(shop.other, made.concert_id, schedule())),
        (ConcertNotFound, shop.catalog.publish(shop.other, made.concert_id)),
        (ScheduleNotFound, shop.catalog.add_seats(shop.other, made.schedule_id, [seat(99)])),
        (ScheduleNotFound, shop.catalog.open(shop.other, made.schedule_id)),
        (ScheduleNotFound, shop.catalog.close(shop.other, made.schedule_id)),
        (ConcertNotFound, shop.catalog.create_schedule(shop.organizer, uuid4(), schedule())),
        (ConcertNotFound, shop.catalog.publish(shop.organizer, uuid4())),
        (ScheduleNotFound, shop.catalog.add_seats(shop.organizer, uuid4(), [seat(99)])),
        (ScheduleNotFound, shop.catalog.open(shop.organizer, uuid4())),
        (ScheduleNotFound, shop.catalog.close(shop.organizer, uuid4())),
    ]
    for problem, command in commands:
        with pytest.raises(problem):
            await command
    assert await seat_count(shop, made.schedule_id) == 10


async def test_publishing_needs_seats_and_happens_once(shop: Shop) -> None:
    concert = await shop.catalog.create_concert(shop.organizer, CONCERT)
    with pytest.raises(NotPublishable):
        await shop.catalog.publish(shop.organizer, concert.concert_id)
    made = await shop.catalog.create_schedule(shop.organizer, concert.concert_id, schedule())
    with pytest.raises(NotPublishable):
        await shop.catalog.publish(shop.organizer, concert.concert_id)
    await shop.catalog.add_seats(shop.organizer, made.schedule_id, hall(1))
    first = await shop.catalog.publish(shop.organizer, concert.concert_id)
    with pytest.raises(AlreadyPublished):
        await shop.catalog.publish(shop.organizer, concert.concert_id)
    assert shown(await shop.lookups.concert(concert.concert_id)) == first


async def test_opening_and_closing(shop: Shop) -> None:
    made = await shop.draft()
    with pytest.raises(ScheduleNotOpenable):
        await shop.catalog.open(shop.organizer, made.schedule_id)
    with pytest.raises(NotOnSale):
        await shop.catalog.close(shop.organizer, made.schedule_id)
    await shop.catalog.publish(shop.organizer, made.concert_id)
    for command, status, on_sale in [
        (shop.catalog.open, "OPEN", True),
        (shop.catalog.open, "OPEN", True),
        (shop.catalog.close, "CLOSED", False),
        (shop.catalog.close, "CLOSED", False),
        (shop.catalog.open, "OPEN", True),
    ]:
        assert (await command(shop.organizer, made.schedule_id)).status == status
        (found,) = (await shop.lookups.schedules(made.concert_id)).found
        assert (found.status, found.on_sale) == (status, on_sale)


async def test_a_schedule_without_seats_cannot_be_opened(shop: Shop) -> None:
    sold = await shop.on_sale()
    bare = await shop.catalog.create_schedule(shop.organizer, sold.concert_id, schedule())
    with pytest.raises(ScheduleNotOpenable):
        await shop.catalog.open(shop.organizer, bare.schedule_id)


async def test_on_sale_goes_by_the_window(shop: Shop) -> None:
    now = datetime.now(UTC)
    for opens_in_s, closes_in_s, on_sale in [
        (-60, None, True), (60, None, False), (-60, 60, True), (-60, -30, False),
    ]:  # fmt: skip
        sold = await shop.on_sale(
            1,
            sale_opens_at=now + timedelta(seconds=opens_in_s),
            sale_closes_at=None if closes_in_s is None else now + timedelta(seconds=closes_in_s),
        )
        (found,) = (await shop.lookups.schedules(sold.concert_id)).found
        assert found.on_sale is on_sale, (opens_in_s, closes_in_s)


async def test_schedules_count_their_seats(shop: Shop) -> None:
    sold = await shop.on_sale(100)
    later = await shop.catalog.create_schedule(
        shop.organizer, sold.concert_id, schedule(starts_at=datetime(2031, 1, 1, tzinfo=UTC))
    )
    seat_ids = [one.seat_id for one in hall(100)]
    await shop.hold(sold.schedule_id, seat_ids[:3], uuid4())
    lapsed = await shop.hold(sold.schedule_id, seat_ids[3:5], uuid4())
    await shop.lapse(sold.schedule_id, lapsed)
    own = await shop.catalog.own_concert(shop.organizer.organization_ids, sold.concert_id)
    first, second = own.schedules
    assert (first.seats_total, first.seats_available) == (100, 97)
    assert (first.price_min, first.price_max) == (Money(88_000, "KRW"), Money(165_000, "KRW"))
    assert second.schedule_id == later.schedule_id
    assert (second.seats_total, second.price_min, second.price_max) == (0, None, None)


async def test_a_seat_map_is_added_whole_or_not_at_all(shop: Shop) -> None:
    made = await shop.draft(0)
    added = await shop.catalog.add_seats(shop.organizer, made.schedule_id, [seat(1), seat(2)])
    assert (added.seats_added, added.seats_total) == (2, 2)
    with pytest.raises(SeatExists) as caught:
        await shop.catalog.add_seats(
            shop.organizer,
            made.schedule_id,
            [seat(3), seat(4, seat_id="A-1-1"), seat(2, seat_id="other")],
        )
    assert sorted(caught.value.extra["seat_ids"]) == ["A-1-1", "other"]  # type: ignore[call-overload]
    assert await seat_count(shop, made.schedule_id) == 2
    added = await shop.catalog.add_seats(shop.organizer, made.schedule_id, [seat(3)])
    assert (added.seats_added, added.seats_total) == (1, 3)


async def test_repetitions_without_a_look_up_are_refused_by_the_database(shop: Shop) -> None:
    made = await shop.draft(1)
    with pytest.raises(SeatExists):
        async with shop.store.transaction() as connection:
            await store.insert_seats(connection, made.schedule_id, 1, hall(1))


async def test_the_number_of_seats_is_limited_over_all_uploads(
    make_shop: Callable[[], Shop],
) -> None:
    shop = make_shop()
    limit = shop.settings.replace(seats_per_schedule_max=12)
    made = await shop.draft(10)
    limited = type(shop.catalog)(limit, shop.store, shop.applier)
    with pytest.raises(SeatMapInvalid):
        await limited.add_seats(shop.organizer, made.schedule_id, [seat(n) for n in range(1, 4)])
    await limited.add_seats(shop.organizer, made.schedule_id, [seat(n) for n in range(1, 3)])


async def test_a_map_without_a_good_seat_is_looked_at_where_the_limit_was_lowered(
    make_shop: Callable[[], Shop],
) -> None:
    shop = make_shop()
    limit = shop.settings.replace(seats_per_schedule_max=5)
    made = await shop.draft(10)
    limited = type(shop.catalog)(limit, shop.store, shop.applier)
    header = "section,row,number,grade,price\n"
    broken = check_csv(header + "A,1,x,VIP,9\n", 5, 100)
    shown = await limited.preview_seats(shop.organizer.organization_ids, made.schedule_id, broken)
    assert [(one.line, one.reason) for one in shown.errors] == [
        (2, broken.errors[0].extra["reason"])
    ]
    one_more = check_csv(header + "B,1,1,VIP,9\n", 5, 100)
    shown = await limited.preview_seats(shop.organizer.organization_ids, made.schedule_id, one_more)
    assert [(one.line, one.reason) for one in shown.errors] == [(2, "too_many")]


async def test_the_number_of_schedules_is_limited(make_shop: Callable[[], Shop]) -> None:
    shop = make_shop()
    limit = shop.settings.replace(schedules_per_concert_max=3)
    limited = type(shop.catalog)(limit, shop.store, shop.applier)
    concert = await shop.catalog.create_concert(shop.organizer, CONCERT)
    results = await asyncio.gather(
        *(
            limited.create_schedule(shop.organizer, concert.concert_id, schedule())
            for _ in range(6)
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(result, ScheduleLimit) for result in results) == 3


async def test_a_schedule_is_checked(shop: Shop) -> None:
    concert = await shop.catalog.create_concert(shop.organizer, CONCERT)
    with pytest.raises(Invalid):
        await shop.catalog.create_schedule(
            shop.organizer, concert.concert_id, schedule(currency="won")
        )


async def test_a_concert_is_performed_once_at_an_instant(make_shop: Callable[[], Shop]) -> None:
    """Also where the second one is added at the same time, or through another process."""
    one, two = make_shop(), make_shop()
    concert = (await one.catalog.create_concert(one.organizer, CONCERT)).concert_id
    seoul = timezone(timedelta(hours=9))
    evening = datetime(2031, 1, 1, 10, tzinfo=UTC)
    same = [schedule(starts_at=evening), schedule(starts_at=evening.astimezone(seoul))]
    results = await asyncio.gather(
        *(
            shop.catalog.create_schedule(shop.organizer, concert, given)
            for shop in (one, two)
            for given in same
        ),
        return_exceptions=True,
    )
    refused = [result for result in results if isinstance(result, Invalid)]
    assert len(refused) == 3
    for refusal in refused:
        errors: Any = refusal.extra["errors"]
        assert [error["path"] for error in errors] == ["$.starts_at"]
    later = schedule(starts_at=evening + timedelta(minutes=1))
    await two.catalog.create_schedule(two.organizer, concert, later)
    other = (await one.catalog.create_concert(one.organizer, CONCERT)).concert_id
    await one.catalog.create_schedule(one.organizer, other, same[0])


async def test_no_seats_once_it_was_opened(shop: Shop) -> None:
    sold = await shop.on_sale(2)
    with pytest.raises(SeatMapLocked):
        await shop.catalog.add_seats(shop.organizer, sold.schedule_id, [seat(99)])
    await shop.catalog.close(shop.organizer, sold.schedule_id)
    with pytest.raises(SeatMapLocked):
        await shop.catalog.add_seats(shop.organizer, sold.schedule_id, [seat(99)])


async def test_an_upload_that_is_under_way_is_part_of_what_is_opened(shop: Shop) -> None:
    made = await shop.draft(2)
    await shop.catalog.publish(shop.organizer, made.concert_id)
    async with shop.store.transaction() as connection:
        await store.lock_schedule(connection, made.schedule_id, shop.organizer.organization_ids)
        await store.insert_seats(connection, made.schedule_id, 2, [seat(99)])
        opening = asyncio.create_task(shop.catalog.open(shop.organizer, made.schedule_id))
        await wait_for_lock(shop.db)
        assert not opening.done()
    await opening
    assert len((await shop.seats.layout(made.schedule_id)).seats) == 3


async def test_without_the_lock_seats_would_come_after_the_opening(shop: Shop) -> None:
    """The negative control of the test above: the lock is what makes the opening wait."""
    made = await shop.draft(2)
    await shop.catalog.publish(shop.organizer, made.concert_id)
    async with shop.store.transaction() as connection:
        await store.insert_seats(connection, made.schedule_id, 2, [seat(99)])
        await shop.catalog.open(shop.organizer, made.schedule_id)
        layout = await shop.seats.layout(made.schedule_id)
        assert len(layout.seats) == 2
    assert await seat_count(shop, made.schedule_id) == 3


async def test_an_upload_waits_for_an_opening_and_is_refused(shop: Shop) -> None:
    made = await shop.draft(2)
    await shop.catalog.publish(shop.organizer, made.concert_id)
    async with shop.store.transaction() as connection:
        await connection.execute(
            "UPDATE schedules SET status = 'OPEN' WHERE schedule_id = $1", made.schedule_id
        )
        upload = asyncio.create_task(
            shop.catalog.add_seats(shop.organizer, made.schedule_id, [seat(99)])
        )
        await wait_for_lock(shop.db)
    with pytest.raises(SeatMapLocked):
        await upload
    assert await seat_count(shop, made.schedule_id) == 2


async def test_uploads_and_openings_that_race(shop: Shop) -> None:
    made = await shop.draft(1)
    await shop.catalog.publish(shop.organizer, made.concert_id)
    uploads = [
        shop.catalog.add_seats(shop.organizer, made.schedule_id, [seat(n)]) for n in range(1, 11)
    ]
    results = await asyncio.gather(
        *uploads[:5],
        shop.catalog.open(shop.organizer, made.schedule_id),
        *uploads[5:],
        return_exceptions=True,
    )
    refused = [result for result in results if isinstance(result, SeatMapLocked)]
    assert all(not isinstance(result, Exception) for result in results if result not in refused)
    layout = await shop.seats.layout(made.schedule_id)
    assert len(layout.seats) == 11 - len(refused) == await seat_count(shop, made.schedule_id)


async def test_a_large_map_is_inserted_in_parts_that_are_one(shop: Shop) -> None:
    made = await shop.draft(0)
    seats = hall(11_000)
    with pytest.raises(SeatExists):
        await shop.catalog.add_seats(shop.organizer, made.schedule_id, [*seats, seats[0]])
    assert await seat_count(shop, made.schedule_id) == 0
    await shop.catalog.add_seats(shop.organizer, made.schedule_id, seats)
    await shop.catalog.publish(shop.organizer, made.concert_id)
    await shop.catalog.open(shop.organizer, made.schedule_id)
    layout = await shop.seats.layout(made.schedule_id)
    assert [one.seat_id for one in layout.seats] == [one.seat_id for one in seats]


async def test_pages_go_on_where_the_last_one_ended(shop: Shop) -> None:
    made = [(await shop.on_sale(1)).concert_id for _ in range(5)]
    seen: list[UUID] = []
    after = None
    for _ in range(3):
        found = (await shop.lookups.concerts(2, after)).found
        seen += [one.concert_id for one in found[:2]]
        after = (found[:2][-1].published_at, found[:2][-1].concert_id)
    assert seen == made[::-1]
    assert (await shop.lookups.concerts(2, after)).found == []


async def test_lookups_are_kept_for_their_time_and_local_writes_show_at_once(
    make_shop: Callable[[], Shop],
) -> None:
    here, there = make_shop(), make_shop()
    sold = await here.on_sale(1)
    kept = await there.lookups.schedules(sold.concert_id)
    assert await there.lookups.schedules(sold.concert_id) is kept
    await here.lookups.schedules(sold.concert_id)
    await here.catalog.close(here.organizer, sold.schedule_id)
    assert (await here.lookups.schedules(sold.concert_id)).found[0].status == "CLOSED"
    assert (await there.lookups.schedules(sold.concert_id)).found[0].status == "OPEN"
    there.clock.advance(there.settings.catalog.catalog_cache_ms / 1000)
    assert (await there.lookups.schedules(sold.concert_id)).found[0].status == "CLOSED"


async def test_a_database_that_is_away_is_unavailable(shop: Shop, settings: Settings) -> None:
    sold = await shop.on_sale(1)
    await shop.db.close()
    with pytest.raises(Unavailable):
        await shop.catalog.open(shop.organizer, sold.schedule_id)
    with pytest.raises(Unavailable):
        await shop.lookups.schedules(sold.concert_id)


async def test_a_lost_answer_is_said_to_be_unknown(shop: Shop) -> None:
    made = await shop.draft(1)

    async def lose_the_connection() -> None:
        async with shop.store.transaction() as connection:
            pid = connection.get_server_pid()
            await shop.db.fetch("SELECT pg_terminate_backend($1, 5000)", pid)
            await store.insert_seats(connection, made.schedule_id, 1, [seat(9)])

    with pytest.raises(OutcomeUnknown):
        await lose_the_connection()


async def test_unknown_ids_cost_one_read_each_and_a_publication_is_seen_at_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await shop.draft(1)
    reads = 0
    read = shop.db.read

    async def counted(query: str, *args: object) -> Any:
        nonlocal reads
        reads += 1
        return await read(query, *args)

    monkeypatch.setattr(shop.db, "read", counted)
    for _ in range(5):
        with pytest.raises(ConcertNotFound):
            await shop.lookups.concert(made.concert_id)
        with pytest.raises(ScheduleNotFound):
            await shop.seats.layout(made.schedule_id)
        with pytest.raises(ScheduleNotFound):
            await shop.seats.rendered(made.schedule_id)
    assert reads == 2
    await shop.catalog.publish(shop.organizer, made.concert_id)
    assert await shop.lookups.concert(made.concert_id)
    await shop.catalog.open(shop.organizer, made.schedule_id)
    assert await shop.seats.rendered(made.schedule_id)
