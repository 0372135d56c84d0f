"""With a return delay, seats are on sale again at a random time."""

from datetime import datetime, timedelta

import pytest

from boxoffice.audit.service import audit
from boxoffice.platform.postgres.database import Database
from boxoffice.settings import Settings
from tests.support.hall import Hall, open_hall
from tests.support.invariants import broken
from tests.support.refunds import decided, sold

_DELAY_S = 30


@pytest.fixture
async def slow(db: Database) -> Hall:
    """A hall whose seats take their time."""
    hall = await open_hall(db, seats=40, ticket_limit=100, balance_minor=50_000)
    await hall.change_schedule(f"seats_return_delay_max_s = {_DELAY_S}")
    return hall


async def _now(hall: Hall) -> datetime:
    [row] = await hall.db.fetch("SELECT clock_timestamp() AS now")
    now: datetime = row["now"]
    return now


async def test_released_seats_return_together_and_later(slow: Hall) -> None:
    buyer, other = slow.people[:2]
    reservation = await slow.held(buyer, "S001", "S002")
    before = await slow.seat("S001")
    outcome = await slow.release(buyer, reservation)
    after, beside = await slow.seat("S001"), await slow.seat("S002")
    assert outcome.name == "released"
    assert outcome.returns_at == after["expires_at"] == beside["expires_at"]
    assert list(outcome.seat_versions) == [after["version"], beside["version"]]
    assert (after["state"], after["version"]) == ("HELD", before["version"] + 1)
    now = await _now(slow)
    assert now - timedelta(seconds=5) <= after["expires_at"] <= now + timedelta(seconds=_DELAY_S)
    assert (await slow.hold(other, "S001")).name in ("seat_taken", "held")
    await slow.db.fetch(
        "UPDATE seats SET expires_at = clock_timestamp() WHERE reservation_id = $1", reservation
    )
    assert (await slow.hold(other, "S002")).name == "held"


async def test_the_moments_differ(slow: Hall) -> None:
    moments = set()
    for seat in slow.seat_ids[:20]:
        outcome = await slow.release(slow.people[0], await slow.held(slow.people[0], seat))
        assert outcome.returns_at is not None
        left = (outcome.returns_at - await _now(slow)).total_seconds()
        moments.add(round(left))
    assert len(moments) > 5, moments


async def test_lapsed_seats_return_later_than_their_hold_ends(slow: Hall) -> None:
    buyer = slow.people[0]
    outcome = await slow.hold(buyer, "S001", "S002")
    assert outcome.held is not None
    assert outcome.returns_at is not None
    late_s = (outcome.returns_at - outcome.held.expires_at).total_seconds()
    assert 0 <= late_s <= _DELAY_S
    seat = await slow.seat("S002")
    assert seat["expires_at"] == outcome.returns_at
    await slow.db.fetch(
        "UPDATE reservations SET created_at = created_at - interval '1 day',"
        " expires_at = expires_at - interval '1 day' WHERE reservation_id = $1",
        outcome.held.reservation_id,
    )
    paid = await slow.pay(buyer, outcome.held.reservation_id)
    assert paid.name == "hold_expired", (
        "its seats are not another person's yet, and not the buyer's"
    )
    assert (await slow.hold(slow.people[1], "S001")).name == "seat_taken"


async def test_the_sweeper_tidies_what_came_back_by_itself(slow: Hall) -> None:
    buyer = slow.people[0]
    given, left = await slow.held(buyer, "S001"), await slow.held(buyer, "S002")
    await slow.release(buyer, given)
    # A random time may be over at once.
    later = "UPDATE seats SET expires_at = expires_at + interval '1 minute' WHERE seat_id = 'S001'"
    await slow.db.fetch(f"{later} AND schedule_id = $1", slow.schedule_id)
    assert await slow.expire() == 0
    assert (await slow.seat("S001"))["state"] == "HELD"
    await slow.lapse(given)
    await slow.lapse(left)
    assert await slow.expire() == 1
    assert [(await slow.seat(seat))["state"] for seat in ("S001", "S002")] == ["AVAILABLE"] * 2


async def test_without_a_delay_seats_return_at_once(db: Database) -> None:
    hall = await open_hall(db)
    outcome = await hall.hold(hall.people[0], "S001")
    assert outcome.held is not None
    assert outcome.returns_at is None
    released = await hall.release(hall.people[0], outcome.held.reservation_id)
    assert released.returns_at is None
    assert (await hall.seat("S001"))["state"] == "AVAILABLE"


async def test_refunded_seats_return_together_and_later(slow: Hall, settings: Settings) -> None:
    buyer, other = slow.people[:2]
    payment = await sold(slow, buyer, "S001", "S002", "S003")
    assert (await decided(slow, payment, 2)).seat_versions == ()
    first, second = await slow.seat("S001"), await slow.seat("S002")
    assert [first["state"], second["state"], (await slow.seat("S003"))["state"]] == [
        "HELD",
        "HELD",
        "SOLD",
    ]
    now = await _now(slow)
    assert first["expires_at"] == second["expires_at"]
    assert now - timedelta(seconds=5) <= first["expires_at"] <= now + timedelta(seconds=_DELAY_S)
    assert not await broken(slow.db, slow.schedule_id)
    checks = (await audit(settings)).checks
    here = [one for check in checks for one in check.samples if str(slow.schedule_id) in str(one)]
    assert here == []
    assert (await slow.hold(other, "S001")).name in ("seat_taken", "held")
    # What is due on the list of the paid hold frees nothing that still takes its time.
    await slow.db.fetch(
        "UPDATE lapsing_holds SET expires_at = expires_at - interval '1 day' WHERE schedule_id = $1",
        slow.schedule_id,
    )
    later = (
        "UPDATE seats SET expires_at = expires_at + make_interval(secs => $2) WHERE seat_id = $1"
    )
    await slow.db.fetch(later, "S002", 60.0)
    assert await slow.expire() == 0
    assert (await slow.seat("S002"))["state"] == "HELD"


async def test_the_sweeper_tidies_refunded_seats(slow: Hall) -> None:
    payment = await sold(slow, slow.people[0], "S001", "S002")
    await decided(slow, payment, 1)
    await slow.db.fetch(
        "UPDATE seats SET expires_at = clock_timestamp() WHERE seat_id = 'S001' AND schedule_id = $1",
        slow.schedule_id,
    )
    await slow.db.fetch(
        "UPDATE lapsing_holds SET expires_at = clock_timestamp() WHERE schedule_id = $1"
        " AND expires_at < clock_timestamp() + interval '40 seconds'",
        slow.schedule_id,
    )
    await slow.expire()
    assert [(await slow.seat(seat))["state"] for seat in ("S001", "S002")] == ["AVAILABLE", "SOLD"]
    assert not await broken(slow.db, slow.schedule_id)


async def test_without_a_delay_refunded_seats_return_at_once(db: Database) -> None:
    hall = await open_hall(db, balance_minor=50_000)
    payment = await sold(hall, hall.people[0], "S001")
    assert (await decided(hall, payment, 1)).seat_ids == ("S001",)
    assert (await hall.seat("S001"))["state"] == "AVAILABLE"
    assert (await hall.hold(hall.people[1], "S001")).name == "held"
