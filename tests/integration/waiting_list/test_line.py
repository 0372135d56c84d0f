"""Seats that return are offered first come, first served, before they are on sale."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from boxoffice.accounts.credentials.errors import EmailNotVerified
from boxoffice.audit.service import audit
from boxoffice.errors import IdempotencyKeyReused, Invalid, ScheduleNotFound
from boxoffice.offers.rules import SalesChannel
from boxoffice.platform.ids import ScopedId
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.valkey import Valkey
from boxoffice.settings import Settings
from boxoffice.waiting_list import store
from boxoffice.waiting_list.errors import AlreadyWaiting, EntryNotFound, OfferMade
from boxoffice.waiting_list.rules import ReturningSeat, SeatOffer
from boxoffice.waiting_list.worker import TurnMoot, serve_once, take_turn
from tests.support.hall import Hall
from tests.support.offers import desk as desk_of
from tests.support.refunds import decided, sold
from tests.support.waiting_line import LIMITS, TURN_S, WaitingLine, open_line

Return = Callable[[WaitingLine, UUID], Awaitable[None]]


async def _lapse(line: WaitingLine, person: UUID) -> None:
    await line.end(await line.hall.held(person, "S001", "S002"))


async def _release(line: WaitingLine, person: UUID) -> None:
    reservation = await line.hall.held(person, "S001", "S002")
    assert (await line.hall.release(person, reservation)).name == "released"


async def _refund(line: WaitingLine, person: UUID) -> None:
    payment = await sold(line.hall, person, "S001", "S002", "S003")
    assert (await decided(line.hall, payment, 2)).name == "refunded"


async def _clean(line: WaitingLine, settings: Settings) -> None:
    checks = (await audit(settings)).checks
    here = [one for check in checks for one in check.samples if str(line.schedule_id) in str(one)]
    assert here == []


@pytest.mark.parametrize("come_back", [_lapse, _release, _refund])
async def test_seats_that_return_are_offered_before_they_are_on_sale(
    line: WaitingLine, hall: Hall, settings: Settings, come_back: Return
) -> None:
    buyer, first, second, other = hall.people[:4]
    await line.join(first, 2)
    await line.join(second, 2)
    await come_back(line, buyer)
    assert await line.returning() == ["S001", "S002"]
    assert (await hall.hold(other, "S001")).name == "seat_taken", "it is not on sale"
    await hall.expire()
    assert await line.returning() == ["S001", "S002"], "the sweeper keeps it away"
    assert await line.turn() == 1
    entry, waiting = await line.entries()
    assert (entry["status"], entry["user_id"], entry["seat_ids"]) == (
        "OFFERED",
        first,
        ["S001", "S002"],
    )
    assert waiting["status"] == "WAITING"
    assert entry["offer_expires_at"] - entry["offered_at"] == timedelta(seconds=LIMITS.offer_ttl_s)
    assert entry["expires_at"] == entry["offer_expires_at"], "the hold lasts as long as the offer"
    seat = await hall.seat("S002")
    assert (seat["state"], seat["user_id"]) == ("HELD", first)
    assert seat["expires_at"] - entry["offer_expires_at"] == timedelta(seconds=TURN_S)
    queued = "SELECT kind FROM mails WHERE user_id = $1 AND subject_id = $2"
    assert await hall.db.fetch(queued, first, entry["reservation_id"])
    await _clean(line, settings)
    assert (await hall.pay(first, entry["reservation_id"])).name == "paid"
    await line.turn()
    assert await line.statuses() == ["TAKEN", "WAITING"]
    await _clean(line, settings)


async def test_an_offer_that_is_not_taken_goes_to_the_next_entry(
    line: WaitingLine, hall: Hall, settings: Settings
) -> None:
    buyer, first, second, third = hall.people[:4]
    for person in (first, second, third):
        await line.join(person)
    await line.end(await hall.held(buyer, "S005"))
    await line.turn()
    one = (await line.entries())[0]
    await line.end(one["reservation_id"])
    await line.turn()
    assert await line.statuses() == ["LAPSED", "OFFERED", "WAITING"]
    two = (await line.entries())[1]
    assert (await hall.release(second, two["reservation_id"])).name == "released"
    await line.turn()
    assert await line.statuses() == ["LAPSED", "LAPSED", "OFFERED"]
    assert (await line.join(first)).ahead == 0, "who joins again is at the end of the line"
    await _clean(line, settings)


async def test_the_first_entry_that_fits_is_served_and_no_later_one_before_it(
    line: WaitingLine, hall: Hall
) -> None:
    buyer, pair, single, later = hall.people[:4]
    await line.join(pair, 2, "R")
    await line.join(single, 1, "R")
    await line.join(later, 1)
    await line.end(await hall.held(buyer, "S003"))
    assert await line.turn() == 1
    assert await line.statuses() == ["WAITING", "OFFERED", "WAITING"], "one seat is no pair"
    await line.end(await hall.held(buyer, "S007", "S008", "S010"))
    assert await line.turn() == 2
    rows = await line.entries()
    assert [row["seat_ids"] for row in rows] == [["S007", "S008"], ["S003"], ["S010"]]


async def test_seats_that_no_entry_wants_are_on_sale_at_once(
    line: WaitingLine, hall: Hall, settings: Settings
) -> None:
    buyer, other = hall.people[:2]
    await line.end(await hall.held(buyer, "S001"))
    assert (await hall.hold(other, "S001")).name == "seat_taken"
    before = (await hall.seat("S001"))["version"]
    assert await line.turn() == 0
    assert (await hall.seat("S001"))["version"] == before + 1
    assert (await hall.hold(other, "S001")).name == "held"
    await _clean(line, settings)


async def test_seats_for_which_an_entry_waits_are_on_sale_after_the_turn(
    line: WaitingLine, hall: Hall
) -> None:
    buyer, pair, other = hall.people[:3]
    await line.join(pair, 2, "R")
    reservation = await hall.held(buyer, "S001")
    await line.end(reservation)
    await line.turn()
    assert await line.returning() == ["S001"], "a neighbour may return"
    await line.end(reservation, returns_in_s=0)
    assert await line.returning() == []
    assert (await hall.hold(other, "S001")).name == "held"


async def test_a_hold_that_its_payment_extends_keeps_its_seats(
    line: WaitingLine, hall: Hall
) -> None:
    buyer, first = hall.people[:2]
    await line.join(first)
    reservation = await hall.held(buyer, "S001")
    await line.end(reservation)
    extend = """
        WITH hold AS (
            UPDATE reservations SET expires_at = clock_timestamp() + make_interval(secs => $3)
             WHERE schedule_id = $1 AND reservation_id = $2
        )
        UPDATE seats SET version = version + 1,
                         expires_at = clock_timestamp() + make_interval(secs => $3 + 60)
         WHERE schedule_id = $1 AND reservation_id = $2
    """
    async with line.store.turn() as connection:
        await store.lock_line(connection, line.schedule_id)
        read = await store.returning(connection, line.schedule_id)
        entries = await store.next_entries(connection, line.schedule_id, 1, {"R": 1}, 9)
        await hall.db.fetch(extend, line.schedule_id, reservation, 30.0)
        offers = [SeatOffer(entries[0], tuple(read))]
        assert await store.offer(connection, line.schedule_id, offers, 900) == ["seat_taken"]
    assert await line.statuses() == ["WAITING"]
    assert await line.turn() == 0
    # What is due on the list of the sweeper is put back until the seats have had their turn.
    await hall.db.fetch(
        "UPDATE lapsing_holds SET expires_at = clock_timestamp() WHERE schedule_id = $1",
        line.schedule_id,
    )
    await hall.db.fetch(extend, line.schedule_id, reservation, -1.0)
    assert await hall.expire() == 0
    assert await line.returning() == ["S001"]
    assert await line.turn() == 1


async def test_a_seat_that_changed_since_it_was_read_makes_the_turn_moot(
    line: WaitingLine, hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    buyer, first = hall.people[:2]
    await line.join(first)
    await line.end(await hall.held(buyer, "S001"))
    read = store.returning

    async def outdated(connection: store.Connection, schedule_id: UUID) -> list[ReturningSeat]:
        return [
            one._replace(version=one.version - 1) for one in await read(connection, schedule_id)
        ]

    monkeypatch.setattr(store, "returning", outdated)
    with pytest.raises(TurnMoot):
        await take_turn(line.store, line.schedule_id, LIMITS)
    assert await serve_once(line.store, LIMITS) == 0
    monkeypatch.undo()
    assert await line.statuses() == ["WAITING"]
    assert await serve_once(line.store, LIMITS) == 1
    assert await line.statuses() == ["OFFERED"]


async def test_the_ticket_limit_ends_an_entry_and_the_next_one_is_served(db: Database) -> None:
    line = await open_line(db, ticket_limit=2)
    hall = line.hall
    buyer, full, next_one, other = hall.people[:4]
    await line.join(full, 2)
    await line.join(next_one, 2)
    await hall.held(full, "S011")
    await line.end(await hall.held(buyer, "S001", "S002"))
    async with line.store.turn() as connection:
        await store.lock_line(connection, line.schedule_id)
        seats = await store.returning(connection, line.schedule_id)
        entries = await store.next_entries(connection, line.schedule_id, 2, {"R": 2}, 1)
        offers = [SeatOffer(entries[0], tuple(seats))]
        assert await store.offer(connection, line.schedule_id, offers, 900) == ["ticket_limit"]
    assert await line.returning() == ["S001", "S002"], "they keep their turn"
    assert (await hall.hold(other, "S001")).name == "seat_taken"
    await line.turn()
    assert await line.statuses() == ["LIMIT_REACHED", "OFFERED"]


async def test_a_person_is_once_in_a_line_and_a_key_joins_once(
    line: WaitingLine, hall: Hall
) -> None:
    person, other = hall.people[:2]
    entry = await line.join(person, 2, "R", key="k")
    assert (await line.join(person, 2, "R", key="k")).entry_id == entry.entry_id
    assert (await line.join(other, 2, "R", key="k")).ahead == 1, "a key is of one person"
    with pytest.raises(IdempotencyKeyReused):
        await line.join(person, 3, "R", key="k")
    with pytest.raises(AlreadyWaiting):
        await line.join(person)
    line.sold_out.unverified = set(hall.people)
    assert (await line.join(person, 2, "R", key="k")).entry_id == entry.entry_id
    with pytest.raises(EmailNotVerified):
        await line.join(hall.people[2], 2)
    line.sold_out.unverified.clear()
    with pytest.raises(Invalid):
        await line.join(person, 11)
    assert await line.outcome(hall.people[2], 11) == "ticket_limit"


async def test_only_a_list_that_is_on_is_joined_while_the_sale_is_on(
    line: WaitingLine, hall: Hall
) -> None:
    person = hall.people[0]
    for change in (
        "status = 'CLOSED'",
        "status = 'OPEN', sale_opens_at = clock_timestamp() + interval '1 day'",
        "sale_opens_at = starts_at - interval '90 days', sale_closes_at = now() - interval '1 day'",
    ):
        await hall.change_schedule(change)
        assert await line.outcome(person) == "not_on_sale"
    await hall.change_schedule("sale_closes_at = NULL")
    assert await line.outcome(person) == "joined"
    await line.switch(is_on=False)
    assert await line.statuses() == ["CLOSED"]
    assert await line.outcome(person) == "waiting_list_off"
    assert (await line.store.join(uuid4(), store.NewEntry(person, 1, None, "k", b"f")))[0] == (
        "schedule_not_found"
    )


@pytest.mark.parametrize(
    ("change", "after"),
    [
        ("status = 'CANCELLED', cancelled_at = clock_timestamp()", ["CLOSED", "CLOSED"]),
        ("sale_closes_at = clock_timestamp() - interval '1 hour'", ["CLOSED", "CLOSED"]),
        ("status = 'CLOSED'", ["WAITING", "WAITING"]),
    ],
)
async def test_the_end_of_the_sale_ends_the_line(
    line: WaitingLine, hall: Hall, change: str, after: list[str]
) -> None:
    for person in hall.people[1:3]:
        await line.join(person)
    await line.end(await hall.held(hall.people[0], "S001"))
    await hall.change_schedule(change)
    assert await line.turn() == 0
    assert await line.statuses() == after


async def test_entries_are_shown_to_their_person_only_and_left_once(
    line: WaitingLine, hall: Hall
) -> None:
    buyer, first, second = hall.people[:3]
    one, two = await line.join(first), await line.join(second)
    assert (one.ahead, two.ahead) == (0, 1)
    mine = await line.lists.of_person(second, None, 9, None)
    assert [entry.entry_id for entry in mine] == [two.entry_id]
    assert await line.lists.of_person(second, None, 9, uuid4()) == []
    assert await line.lists.of_person(second, two.entry_id, 9, None) == []
    with pytest.raises(EntryNotFound):
        await line.lists.leave(second, ScopedId(line.schedule_id, one.entry_id))
    with pytest.raises(EntryNotFound):
        await line.lists.leave(first, ScopedId(line.schedule_id, uuid4()))
    for _ in range(2):
        await line.lists.leave(first, ScopedId(line.schedule_id, one.entry_id))
    assert await line.statuses() == ["LEFT", "WAITING"]
    assert (await line.lists.of_person(second, None, 9, None))[0].ahead == 0
    await line.end(await hall.held(buyer, "S001"))
    await line.turn()
    with pytest.raises(OfferMade):
        await line.lists.leave(second, ScopedId(line.schedule_id, two.entry_id))
    offered = (await line.entries())[1]
    await line.end(offered["reservation_id"])
    [shown] = await line.lists.of_person(second, None, 1, line.schedule_id)
    assert (shown.status, shown.reservation_id) == ("LAPSED", offered["reservation_id"])


async def test_the_organizer_switches_and_sees_the_list_of_the_own_schedule(
    line: WaitingLine, db: Database
) -> None:
    other = await open_line(db)
    for person in line.hall.people[:3]:
        await line.join(person, 2)
    await line.end(await line.hall.held(line.hall.people[3], "S001", "S002"))
    await line.turn()
    found = await line.lists.summary([line.schedule_id], line.schedule_id)
    assert (found.is_on, found.turn_s, found.waiting, found.seats_wanted, found.offered) == (
        True,
        TURN_S,
        2,
        4,
        1,
    )
    assert (await other.lists.summary(None, other.schedule_id)).waiting == 0
    with pytest.raises(ScheduleNotFound):
        await line.lists.summary([other.schedule_id], line.schedule_id)
    with pytest.raises(ScheduleNotFound):
        await line.lists.switch(other.organizer, line.schedule_id, is_on=False)
    assert (await line.lists.shown(line.schedule_id)) == (True, 10)
    await line.switch(is_on=False)
    await line.switch(is_on=False)
    assert not (await line.lists.shown(line.schedule_id)).is_on
    assert (await other.lists.shown(other.schedule_id)).is_on
    rows = await db.fetch(
        "SELECT action FROM logbook WHERE schedule_id = $1 ORDER BY entry_id", line.schedule_id
    )
    assert [row["action"] for row in rows] == [
        "schedule.waiting_list_on",
        "schedule.waiting_list_off",
    ]
    assert await line.statuses() == ["OFFERED", "CLOSED", "CLOSED"]


@pytest.mark.parametrize(
    "change", ["status = 'DRAFT'", "concert_id = concert_id", "status = 'OPEN'"]
)
async def test_a_list_is_shown_of_what_is_published(line: WaitingLine, change: str) -> None:
    await line.hall.change_schedule(change)
    if change == "concert_id = concert_id":
        await line.hall.db.fetch(
            "UPDATE concerts SET taken_down_at = clock_timestamp(), taken_down_reason = 'r'"
            " WHERE concert_id = $1",
            line.schedule_id,
        )
    found = await line.store.shown(line.schedule_id)
    assert (found is not None) == (change == "status = 'OPEN'")


async def test_offers_decide_the_price_and_a_quota_stops_the_line(
    line: WaitingLine, hall: Hall, settings: Settings, valkey: Valkey
) -> None:
    buyer, first, second = hall.people[:3]
    desk = desk_of(hall, settings, valkey)
    await desk.terms(fee_minor=100, channels=[SalesChannel("web", "Web", quota=3, is_default=True)])
    await line.join(first, 2)
    await line.join(second, 1)
    await line.end(await hall.held(buyer, "S001", "S002"))
    await hall.held(buyer, "S009", "S010")
    assert await line.turn() == 0, "the first entry does not fit the quota, and is not passed over"
    assert await line.statuses() == ["WAITING", "WAITING"]
    await desk.terms(
        fee_minor=100, channels=[SalesChannel("web", "Web", quota=12, is_default=True)]
    )
    assert await line.turn() == 1
    entry = (await line.entries())[0]
    [row] = await hall.db.fetch(
        "SELECT amount_minor FROM reservations WHERE reservation_id = $1", entry["reservation_id"]
    )
    assert row["amount_minor"] == 2_200
    await _clean(line, settings)
