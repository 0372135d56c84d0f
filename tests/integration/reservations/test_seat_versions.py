"""Outcomes carry the versions that the seats have afterwards: no second read is needed."""

from boxoffice.platform.postgres.database import Database
from boxoffice.reservations.store import ReservationStore
from tests.support.hall import Hall, open_hall


async def _versions(hall: Hall, *seat_ids: str) -> tuple[int, ...]:
    return tuple([(await hall.seat(seat_id))["version"] for seat_id in seat_ids])


async def test_a_hold_a_release_and_a_payment_return_the_versions(db: Database) -> None:
    hall = await open_hall(db, balance_minor=5_000)
    buyer = hall.people[0]
    seats = ("S003", "S001")

    made = await hall.hold(buyer, *seats)
    assert made.held is not None
    assert made.seat_versions == await _versions(hall, *seats) == (2, 2)

    released = await hall.release(buyer, made.held.reservation_id)
    assert released.seat_ids == seats
    assert released.seat_versions == await _versions(hall, *seats) == (3, 3)

    paid = await hall.pay(buyer, await hall.held(buyer, "S002", "S003"))
    assert paid.payment is not None
    assert paid.payment.seat_ids == ("S002", "S003")
    assert paid.seat_versions == await _versions(hall, "S002", "S003") == (4, 6)


async def test_a_take_over_returns_the_version_that_counts_the_unwritten_end(db: Database) -> None:
    hall = await open_hall(db)
    await hall.lapse(await hall.held(hall.people[0], "S001"))
    taken_over = await hall.hold(hall.people[1], "S002", "S001")
    assert taken_over.seat_versions == await _versions(hall, "S002", "S001") == (2, 4)


async def test_an_outcome_without_a_change_has_no_versions(db: Database) -> None:
    hall = await open_hall(db, balance_minor=5_000)
    buyer, other = hall.people[:2]
    command = hall.hold_command(buyer, "S001")
    [made] = await hall.hold_batch(command)
    assert made.held is not None
    [again] = await hall.hold_batch(command)
    assert (again.name, again.held, again.seat_versions) == ("replayed", made.held, ())
    assert (await hall.hold(other, "S001")).seat_versions == ()
    [found] = await ReservationStore(db).find_holds(hall.schedule_id, [command])
    assert found == again

    bill = hall.bill(buyer, made.held.reservation_id)
    [paid] = await hall.settle(bill)
    [paid_again] = await hall.settle(bill)
    assert (paid_again.name, paid_again.payment, paid_again.seat_versions) == (
        "replayed",
        paid.payment,
        (),
    )
    assert (await hall.release(buyer, made.held.reservation_id)).seat_versions == ()
