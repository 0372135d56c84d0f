"""A change between a decision's read and its write is noticed, whatever it is.

The rows are locked in between, so other transactions cannot change them. A trigger inside the same
transaction can, and stands for an unknown bug. The decision must leave no effect.
"""

import asyncpg
import pytest

from boxoffice.platform.postgres.database import Database
from tests.support.hall import Hall, open_hall
from tests.support.invariants import broken

_LATER = "clock_timestamp() + interval '1 hour'"


async def _meddle(db: Database, into: str, changed: str = "", change: str = "") -> None:
    """Change rows of `changed` inside each transaction that inserts into a table, just before it.

    Of seats, the row is S001. Without a change the trigger only runs.
    """
    one = " WHERE seat_id = 'S001'" if changed == "seats" else ""
    statement = f"UPDATE {changed} SET {change}{one}" if change else "PERFORM 1"  # noqa: S608 — our own words
    async with db.connection() as connection:
        await connection.execute(
            "CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN {statement}; RETURN NULL; END $$"
        )
        await connection.execute(
            f"CREATE TRIGGER meddler BEFORE INSERT ON {into}"
            " FOR EACH STATEMENT EXECUTE FUNCTION meddle()"
        )


async def _stop_meddling(db: Database) -> None:
    await db.fetch("DROP FUNCTION meddle CASCADE")


@pytest.fixture
async def hall(db: Database) -> Hall:
    """A hall of the test's own, because the trigger changes seats of any schedule."""
    return await open_hall(db, balance_minor=5_000)


@pytest.mark.parametrize(
    "change",
    [
        "version = version + 1",
        "state = 'BLOCKED'",
        "price_minor = price_minor + 1",
    ],
    ids=["version", "state", "price"],
)
async def test_a_seat_that_changes_under_a_hold_is_not_held(hall: Hall, change: str) -> None:
    buyer = hall.people[0]
    await _meddle(hall.db, "reservations", "seats", change)
    with pytest.raises(asyncpg.IntegrityConstraintViolationError) as refusal:
        await hall.hold(buyer, "S001", "S002")
    assert refusal.value.constraint_name == "seat_guard"
    await _stop_meddling(hall.db)

    seat = await hall.seat("S001")
    assert (seat["state"], seat["version"], seat["price_minor"]) == ("AVAILABLE", 1, 1_000)
    assert (await hall.hold(buyer, "S001", "S002")).name == "held"


async def test_a_lapsed_seat_whose_end_moves_is_not_taken_over(hall: Hall) -> None:
    first, second, *_ = hall.people
    await hall.lapse(await hall.held(first, "S001"))
    await _meddle(hall.db, "reservations", "seats", f"expires_at = {_LATER}")
    with pytest.raises(asyncpg.IntegrityConstraintViolationError) as refusal:
        await hall.hold(second, "S001")
    assert refusal.value.constraint_name == "seat_guard"
    assert (await hall.seat("S001"))["user_id"] == first


@pytest.mark.parametrize(
    "change",
    [
        "version = version + 1",
        "state = 'SOLD', expires_at = NULL",
        "reservation_id = gen_random_uuid()",
        "user_id = gen_random_uuid()",
        "grade = 'another'",
    ],
    ids=["version", "state", "reservation", "person", "grade"],
)
async def test_a_seat_that_changes_under_a_payment_is_not_sold(hall: Hall, change: str) -> None:
    buyer = hall.people[0]
    reservation = await hall.held(buyer, "S001", "S002")
    await _meddle(hall.db, "payments", "seats", change)
    with pytest.raises(asyncpg.IntegrityConstraintViolationError) as refusal:
        await hall.pay(buyer, reservation)
    assert refusal.value.constraint_name == "seat_guard"
    await _stop_meddling(hall.db)

    assert (await hall.status(reservation), await hall.balance(buyer)) == ("HELD", 5_000)
    assert (await hall.pay(buyer, reservation)).name == "paid"
    assert not await broken(hall.db, hall.schedule_id)


@pytest.mark.parametrize(
    "change",
    [
        "seat_ids = seat_ids || ARRAY['S009']",
        "status = 'CANCELLED', closed_at = clock_timestamp()",
        "expires_at = expires_at + interval '1 second'",
    ],
    ids=["seats", "status", "end"],
)
async def test_a_reservation_that_changes_under_its_payment_is_not_paid(
    hall: Hall, change: str
) -> None:
    buyer = hall.people[0]
    reservation = await hall.held(buyer, "S001", "S002")
    await _meddle(hall.db, "payments", "reservations", change)
    with pytest.raises(asyncpg.IntegrityConstraintViolationError) as refusal:
        await hall.pay(buyer, reservation)
    assert refusal.value.constraint_name == "reservation_guard"
    await _stop_meddling(hall.db)

    assert (await hall.status(reservation), await hall.balance(buyer)) == ("HELD", 5_000)
    assert (await hall.pay(buyer, reservation)).name == "paid"


async def test_a_sold_seat_is_neither_freed_nor_sold_whatever_its_reservation_says(
    hall: Hall,
) -> None:
    buyer = hall.people[0]
    reservation = await hall.held(buyer, "S001")
    await hall.db.fetch("UPDATE seats SET state = 'SOLD', expires_at = NULL WHERE seat_id = 'S001'")
    assert (await hall.pay(buyer, reservation)).name == "hold_expired"
    assert (await hall.release(buyer, reservation)).name == "released"
    assert (await hall.seat("S001"))["state"] == "SOLD"


async def test_without_a_change_nothing_is_refused(hall: Hall) -> None:
    """The control: the change is refused, not the trigger."""
    buyer = hall.people[0]
    await _meddle(hall.db, "reservations")
    reservation = await hall.held(buyer, "S001")
    await _stop_meddling(hall.db)
    await _meddle(hall.db, "payments")
    assert (await hall.pay(buyer, reservation)).name == "paid"
