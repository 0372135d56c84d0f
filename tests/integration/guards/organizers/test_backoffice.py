"""The backoffice and the activity log."""

from typing import Any
from uuid import UUID, uuid4

from boxoffice.activity_log import Action, ReadLog, record
from boxoffice.activity_log.store import ActivityStore
from boxoffice.backoffice.service import Backoffice, ReservationFilter
from boxoffice.backoffice.store import BackofficeStore
from boxoffice.platform.ids import ScopedId
from boxoffice.platform.postgres.database import Database
from tests.integration.guards.organizers.changes import change_row
from tests.support.hall import Hall
from tests.support.members import member


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
    for reservation in (first, second):
        found = await backoffice.reservation(here, reservation)
        assert found is not None
        assert found.order_number is not None
        assert await backoffice.by_number(found.order_number) == (here, reservation)
    service = Backoffice(backoffice, ReadLog(db))

    async def named(number: str, reservation_id: str = "") -> list[UUID]:
        wanted = ReservationFilter(order_number=number, reservation_id=reservation_id)
        rows = await service.find(member(here), here, wanted, None, 9)
        return [one.reservation_id for one in rows]

    assert found is not None
    typed = f" {(found.order_number or '').lower()}"
    assert await named(typed) == [second]
    assert await named(typed, str(ScopedId(here, second))) == [second]
    assert await named(typed, str(ScopedId(here, first))) == []
    assert await named("4KX7-92MQ-0") == []
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
                    organization_id=organizer, actor_id=here, action="sale.opened", request_id="r",
                    concert_id=concert, schedule_id=schedule, details={},
                ),
            )  # fmt: skip
    await change_row(mine, "concerts", "title = 'Mine'")

    async def entries(*asked: Any) -> list[int]:
        return [one.entry_id for one in await ActivityStore(db).entries([here], *asked)]

    newest, oldest = await entries(None, None, None, 9)
    assert newest > oldest
    assert await entries(newest, None, None, 9) == [oldest]
    assert await entries(None, here, None, 9) == [oldest]
    assert await entries(None, None, here, 9) == [newest]
    assert await entries(None, None, None, 1) == [newest]
    [_, told] = await ActivityStore(db).entries([here], None, None, None, 9)
    assert (told.concert_title, told.starts_at) == ("Mine", None)
    [told, _] = await ActivityStore(db).entries([here], None, None, None, 9)
    assert (told.concert_title, told.starts_at is None) == ("Title", False)


async def test_an_operator_reads_the_activity_of_all(db: Database, mine: Hall, other: Hall) -> None:
    here, there = mine.schedule_id, other.schedule_id
    await change_row(mine, "users", "name = 'Me'")
    await change_row(mine, "concerts", "title = 'Mine'")
    await change_row(other, "schedules", "starts_at = starts_at + interval '1 year'")
    async with db.writing() as connection:
        for whose in (there, here):
            entry = Action(
                organization_id=whose, actor_id=whose, action="sale.opened", request_id="r",
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
