"""Giving a hold back: at once, once, and only one's own."""

from uuid import uuid4

import pytest

from boxoffice.platform.ids import new_id
from boxoffice.platform.postgres.database import Database
from boxoffice.reservations.store import ReleaseCommand, ReservationStore
from tests.support.hall import Hall, open_hall
from tests.support.invariants import broken


async def test_the_seats_are_free_at_once(hall: Hall) -> None:
    buyer, next_one = hall.people[:2]
    outcome = await hall.hold(buyer, "S001", "S002", key="k")
    assert outcome.held is not None
    reservation = outcome.held.reservation_id
    released = await hall.release(buyer, reservation)
    assert (released.name, released.seat_ids, released.key) == ("released", ("S001", "S002"), "k")
    seat = await hall.seat("S001")
    assert (seat["state"], seat["user_id"], seat["version"]) == ("AVAILABLE", None, 3)
    assert await hall.topics(reservation) == ["reservation.held", "reservation.cancelled"]
    await hall.held(next_one, "S002", "S001")
    assert not await broken(hall.db, hall.schedule_id)


async def test_only_a_hold_in_its_time_can_be_given_back(db: Database) -> None:
    hall = await open_hall(db, balance_minor=5_000)
    buyer = hall.people[0]
    paid, lapsed, swept, gone = [await hall.held(buyer, seat) for seat in hall.seat_ids[:4]]
    await hall.pay(buyer, paid)
    await hall.lapse(swept)
    await hall.expire()
    await hall.lapse(lapsed)
    await hall.release(buyer, gone)
    for reservation in (paid, lapsed, swept, gone):
        assert (await hall.release(buyer, reservation)).name == "not_held"
    assert (await hall.seat("S001"))["state"] == "SOLD"
    assert await hall.topics(gone) == ["reservation.held", "reservation.cancelled"]
    assert not await broken(db, hall.schedule_id)


async def test_what_belongs_to_another_does_not_exist(hall: Hall) -> None:
    reservation = await hall.held(hall.people[0], "S001")
    for known in (reservation, uuid4()):
        outcome = await hall.release(hall.people[1], known)
        assert (outcome.name, outcome.seat_ids, outcome.key) == ("reservation_not_found", (), "")
    assert await hall.status(reservation) == "HELD"


async def test_an_unknown_name_leaves_the_persons_own_hold_alone(hall: Hall) -> None:
    buyer = hall.people[0]
    reservation = await hall.held(buyer, "S001")
    assert (await hall.release(buyer, uuid4())).name == "reservation_not_found"
    assert await hall.status(reservation) == "HELD"
    assert (await hall.seat("S001"))["reservation_id"] == reservation


async def test_the_first_of_a_batch_releases(hall: Hall) -> None:
    buyer, stranger = hall.people[:2]
    reservation = await hall.held(buyer, "S001")
    commands = [
        ReleaseCommand(person, reservation, new_id()) for person in (stranger, buyer, buyer)
    ]
    outcomes = await ReservationStore(hall.db).release(hall.schedule_id, commands)
    assert [one.name for one in outcomes] == ["reservation_not_found", "released", "not_held"]
    found = await ReservationStore(hall.db).find_releases(hall.schedule_id, commands)
    assert [one and one.name for one in found] == [None, "released", None]


@pytest.mark.parametrize("how", ["release", "expire"])
async def test_a_seat_that_was_taken_over_is_not_freed_by_its_former_owner(
    hall: Hall, how: str
) -> None:
    former, latter = hall.people[:2]
    lapsed = await hall.held(former, "S001", "S002")
    await hall.lapse(lapsed)
    reservation = await hall.held(latter, "S002")
    if how == "release":
        assert (await hall.release(former, lapsed)).name == "not_held"
    else:
        assert await hall.expire() == 1
        assert await hall.topics(lapsed) == ["reservation.held", "reservation.expired"]
    assert (await hall.seat("S002"))["reservation_id"] == reservation
    assert (await hall.hold(former, "S001")).name == "held"
    assert not await broken(hall.db, hall.schedule_id)
