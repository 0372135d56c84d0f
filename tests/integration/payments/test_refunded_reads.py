"""After a refund by ticket, look-ups follow the live tickets and not the seats that were once held."""

from uuid import UUID

import pytest

from boxoffice.payments.store import Payment, PaymentStore
from boxoffice.platform.postgres.database import Database
from boxoffice.reservations.store import ActiveFilter, ReservationStore
from boxoffice.sales_stats.store import SalesStatsStore
from tests.support.hall import Hall, open_hall
from tests.support.refunds import asked, refunds, returned, sold


@pytest.fixture
async def partly(hall: Hall) -> Payment:
    """A payment of three seats, the middle one of which was returned."""
    payment = await sold(hall, hall.people[0], "S001", "S002", "S003")
    request = asked(hall, payment, 1_000, payment.ticket_ids[1])
    await refunds(hall).refund(hall.people[0], request)
    return payment


async def _seats(hall: Hall, person: UUID, payment: Payment) -> list[tuple[str, ...]]:
    store = ReservationStore(hall.db)
    one = await store.get(hall.schedule_id, payment.reservation_id, person)
    assert one is not None
    [listed] = await store.list_of_user(person, None, 10)
    active = await store.active_of_user(person, None, 10, ActiveFilter("CONFIRMED", None))
    return [one.seat_ids, listed.seat_ids, *(each.seat_ids for each in active)]


async def test_a_reservation_shows_the_seats_that_are_left(hall: Hall, partly: Payment) -> None:
    assert await _seats(hall, hall.people[0], partly) == [("S001", "S003")] * 3


async def test_a_payment_shows_which_tickets_are_void(hall: Hall, partly: Payment) -> None:
    store, buyer = PaymentStore(hall.db), hall.people[0]
    found = await store.get(hall.schedule_id, partly.payment_id, buyer)
    assert found is not None
    assert found.ticket_ids == partly.ticket_ids
    assert found.void_ticket_ids == {partly.ticket_ids[1]}


async def test_a_refunded_reservation_shows_what_it_was(hall: Hall) -> None:
    buyer = hall.people[0]
    payment = await sold(hall, buyer, "S001", "S002")
    await returned(hall, buyer, payment, 2_000)
    assert await _seats(hall, buyer, payment) == [("S001", "S002")] * 2
    found = await ReservationStore(hall.db).get(hall.schedule_id, payment.reservation_id, buyer)
    assert found is not None
    assert (found.status, found.payment_id) == ("REFUNDED", payment.payment_id)


async def test_a_hold_and_a_sale_show_all_their_seats(hall: Hall) -> None:
    payment = await sold(hall, hall.people[1], "S004", "S005")
    assert await _seats(hall, hall.people[1], payment) == [("S004", "S005")] * 3
    await hall.held(hall.people[2], "S006")
    [held] = await ReservationStore(hall.db).list_of_user(hall.people[2], None, 10)
    assert held.seat_ids == ("S006",)


async def test_a_person_has_the_seats_that_are_left(hall: Hall, partly: Payment) -> None:
    store, buyer = ReservationStore(hall.db), hall.people[0]
    await hall.held(buyer, "S004", "S005")
    count = await store.ticket_count(hall.schedule_id, buyer)
    assert count is not None
    assert count.seats == 4
    other = await store.ticket_count(hall.schedule_id, hall.people[1])
    assert other is not None
    assert other.seats == 0


async def test_the_revenue_is_what_was_not_returned(
    hall: Hall, partly: Payment, db: Database
) -> None:
    elsewhere = await open_hall(db, balance_minor=5_000)
    await sold(elsewhere, elsewhere.people[0], "S001")
    store = SalesStatsStore(hall.db)
    here, there = [await store.totals(each.schedule_id) for each in (hall, elsewhere)]
    assert (here.sold, here.revenue) == (2, 2_000)
    assert (there.sold, there.revenue) == (1, 1_000)
