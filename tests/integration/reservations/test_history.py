"""What a person had in a schedule costs their next hold nothing, and what they have still counts."""

import math
import time
from uuid import UUID

from boxoffice.platform.postgres.database import Database, Record
from boxoffice.reservations.store import ReservationStore
from tests.support.hall import Hall, open_hall
from tests.support.invariants import broken

_ENDED = """
    INSERT INTO reservations (schedule_id, reservation_id, user_id, created_at, expires_at,
                              amount_minor, currency, seat_ids, idempotency_key, fingerprint, status,
                              closed_at)
    SELECT $1, gen_random_uuid(), $2, now() - interval '1 hour', now(), 0, 'KRW', '{S001}',
           gen_random_uuid(), '', 'CANCELLED', now()
      FROM generate_series(1, $3)
"""
_ENDED_PART, _ENDED_PARTS = 15_000, 4
_FACTOR_MAX = 3


async def _row(hall: Hall, person: UUID) -> Record | None:
    query = "SELECT * FROM schedule_buyers WHERE schedule_id = $1 AND user_id = $2"
    return next(iter(await hall.db.fetch(query, hall.schedule_id, person)), None)


async def _ended_unpaid(hall: Hall, person: UUID, seat: str) -> None:
    await hall.release(person, await hall.held(person, seat))


async def _timed_hold(hall: Hall, person: UUID, seat: str) -> float:
    """Return how long a hold takes in seconds."""
    began = time.perf_counter()
    await hall.held(person, seat)
    return time.perf_counter() - began


async def test_a_hold_costs_the_same_whatever_its_person_had(db: Database) -> None:
    hall = await open_hall(db, seats=101, ticket_limit=50)
    one, many = hall.people[:2]
    for _ in range(_ENDED_PARTS):
        await db.fetch(_ENDED, hall.schedule_id, many, _ENDED_PART)
    for person in (one, many):
        await _ended_unpaid(hall, person, "S001")
    # The shortest of a few in turns: noise only ever adds, and as much to the one as to the other.
    usual = later = math.inf
    for at in range(1, 100, 2):
        usual = min(usual, await _timed_hold(hall, one, hall.seat_ids[at]))
        later = min(later, await _timed_hold(hall, many, hall.seat_ids[at + 1]))
        if at >= 10 and later < _FACTOR_MAX * usual:
            break
    print(f"{usual:.4f} s, with {_ENDED_PART * _ENDED_PARTS} ended ones {later:.4f} s")
    assert later < _FACTOR_MAX * usual


async def test_a_first_hold_and_a_paid_one_need_no_row(db: Database) -> None:
    hall = await open_hall(db, balance_minor=5_000)
    buyer = hall.people[0]
    await hall.pay(buyer, await hall.held(buyer, "S001"))
    await hall.held(buyer, "S002")
    assert await _row(hall, buyer) is None
    await _ended_unpaid(hall, buyer, "S003")
    row = await _row(hall, buyer)
    assert row is not None
    assert (row["sold_seats"], len(row["open_ids"]), row["released"]) == (1, 1, 1)


async def test_the_limit_counts_what_a_row_has_noted(db: Database) -> None:
    hall = await open_hall(db, ticket_limit=3, balance_minor=5_000)
    buyer = hall.people[0]
    await _ended_unpaid(hall, buyer, "S001")
    paid = await hall.held(buyer, "S001")
    held = await hall.held(buyer, "S002", "S003")
    assert (await hall.hold(buyer, "S004")).name == "ticket_limit"
    await hall.pay(buyer, paid)
    assert (await hall.hold(buyer, "S004")).name == "ticket_limit"
    await hall.lapse(held)
    last = await hall.held(buyer, "S004", "S005")
    assert (await hall.hold(buyer, "S006")).name == "ticket_limit"
    await hall.expire()
    row = await _row(hall, buyer)
    assert row is not None
    assert (row["sold_seats"], row["open_ids"], row["lapsed"]) == (1, [last], 1)
    assert not await broken(db, hall.schedule_id)


async def test_a_row_before_the_first_count_counts_nothing(db: Database) -> None:
    """The state after the migration, in which readers count the reservations."""
    hall = await open_hall(db, ticket_limit=2, balance_minor=5_000)
    buyer = hall.people[0]
    paid, held = await hall.held(buyer, "S001"), await hall.held(buyer, "S002")
    await db.fetch(
        "INSERT INTO schedule_buyers (schedule_id, user_id, struck_at) VALUES ($1, $2, now())",
        hall.schedule_id,
        buyer,
    )
    assert (await hall.hold(buyer, "S003")).name == "ticket_limit"
    await hall.pay(buyer, paid)
    assert (await hall.hold(buyer, "S003")).name == "ticket_limit"
    await hall.release(buyer, held)
    again = await hall.held(buyer, "S003")
    row = await _row(hall, buyer)
    assert row is not None
    assert (row["sold_seats"], row["open_ids"], row["released"]) == (1, [again], 1)


async def test_a_row_is_of_one_person_in_one_schedule(db: Database) -> None:
    hall, elsewhere = [await open_hall(db, ticket_limit=1) for _ in range(2)]
    buyer, other = hall.people[:2]
    for place, person in ((hall, buyer), (elsewhere, buyer), (hall, other)):
        await _ended_unpaid(place, person, "S001")
    held = await hall.held(buyer, "S001")
    rows = [await _row(*one) for one in ((hall, buyer), (elsewhere, buyer), (hall, other))]
    assert [row and row["open_ids"] for row in rows] == [[held], [], []]
    assert [row and row["released"] for row in rows] == [1, 1, 1]
    await hall.held(other, "S002")
    await elsewhere.held(buyer, "S001")
    assert (await elsewhere.hold(other, "S002")).name == "held"
    assert (await hall.hold(buyer, "S003")).name == "ticket_limit"


async def test_seats_of_other_schedules_do_not_count(db: Database) -> None:
    hall, elsewhere = [await open_hall(db, ticket_limit=2) for _ in range(2)]
    buyer, other = hall.people[:2]
    await elsewhere.held(buyer, "S001", "S002")
    await hall.held(other, "S003", "S004")
    await hall.held(buyer, "S001")
    await hall.held(buyer, "S002")
    assert (await hall.hold(buyer, "S005")).name == "ticket_limit"


async def test_a_reading_names_all_people_with_a_reservation(db: Database) -> None:
    from boxoffice.seats.store import SeatStore  # noqa: PLC0415 — only here

    hall = await open_hall(db, people=6, balance_minor=5_000)
    holder, payer, giver, late, lapsed, stranger = hall.people
    await hall.held(holder, "S001")
    await hall.pay(payer, await hall.held(payer, "S002"))
    await _ended_unpaid(hall, giver, "S003")
    swept = await hall.held(late, "S004")
    await hall.lapse(swept)
    await hall.expire()
    over = await hall.held(lapsed, "S005")
    await hall.lapse(over)
    await hall.held(holder, "S005")  # and the one before is not closed yet
    reading = await SeatStore(db).seat_states(hall.schedule_id)
    assert reading is not None
    named = {reading.people[at : at + 8] for at in range(0, len(reading.people), 8)}
    had = {one.bytes[8:] for one in (holder, payer, giver, late, lapsed)}
    assert had <= named
    assert stranger.bytes[8:] not in named


async def test_two_sweepers_note_each_end_once(db: Database) -> None:
    hall = await open_hall(db, seats=12, ticket_limit=100)
    buyer = hall.people[0]
    lapsed = [await hall.held(buyer, seat) for seat in hall.seat_ids]
    await hall.lapse(*lapsed)
    store = ReservationStore(db)
    while (await store.expire(hall.schedule_id, 5)).closed:
        pass
    row = await _row(hall, buyer)
    assert row is not None
    assert (row["lapsed"], row["strikes"], row["open_ids"]) == (12, 12, [])
