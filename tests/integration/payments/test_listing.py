"""Lists of payments: what a buyer and a seller see, page by page, and only of their own."""

from uuid import UUID

import pytest
from msgspec.structs import replace

from boxoffice.activity_log import ReadLog
from boxoffice.errors import PaymentNotFound
from boxoffice.order_numbers import rules as order_number
from boxoffice.payments.listing.service import PaymentLists, PaymentWithRefunds
from boxoffice.payments.listing.store import PaymentFilter, PaymentListStore
from boxoffice.payments.refunds.store import RefundStore
from boxoffice.payments.store import Payment
from boxoffice.platform.ids import ScopedId, new_id
from boxoffice.platform.postgres.database import Database
from tests.support.checkout import Checkout
from tests.support.fake_provider import FakeProvider
from tests.support.hall import Hall, open_hall
from tests.support.members import member
from tests.support.refunds import asked, refunds, sold

# Reads are logged as this person's.
ME = member(new_id())


def lists(hall: Hall) -> PaymentLists:
    store = PaymentListStore(hall.db, "Asia/Seoul")
    return PaymentLists(store, RefundStore(hall.db), ReadLog(hall.db))


def of(hall: Hall, **wanted: object) -> PaymentFilter:
    return PaymentFilter([hall.schedule_id], **wanted)  # type: ignore[arg-type]


def ids(found: list[PaymentWithRefunds]) -> list[UUID]:
    return [one.listed.payment.payment_id for one in found]


def newest_first(*payments: Payment) -> list[UUID]:
    return sorted((one.payment_id for one in payments), reverse=True)


async def returned(hall: Hall, person: UUID, payment: Payment, *tickets: UUID) -> UUID:
    minor = 1_000 * (len(tickets) or len(payment.ticket_ids))
    refund = await refunds(hall).refund(person, asked(hall, payment, minor, *tickets))
    return refund.refund_id


async def test_a_buyer_sees_payments_with_their_refunds(hall: Hall, db: Database) -> None:
    buyer, other, *_ = hall.people
    first = await sold(hall, buyer, "S001", "S002")
    second = await sold(hall, buyer, "S003")
    await sold(hall, other, "S004")
    back = [await returned(hall, buyer, first, ticket) for ticket in first.ticket_ids]
    found = await lists(hall).of_user(buyer, None, 10)
    assert ids(found) == newest_first(first, second)
    shown = {one.listed.payment.payment_id: one for one in found}
    assert [one.refund_id for one in shown[first.payment_id].refunds] == back
    assert shown[second.payment_id].refunds == ()
    assert shown[first.payment_id].listed.payment.void_ticket_ids == set(first.ticket_ids)
    assert shown[second.payment_id].listed.payment == second
    assert shown[second.payment_id].listed.title == "Title"
    assert shown[second.payment_id].listed.time_zone == "Asia/Seoul"
    page = await lists(hall).of_user(buyer, None, 1)
    assert len(page) == 1
    assert ids(await lists(hall).of_user(buyer, ids(page)[0], 10)) == ids(found)[1:]


async def test_a_seller_sees_what_was_sold(hall: Hall, db: Database) -> None:
    buyer, other, *_ = hall.people
    first, second = await sold(hall, buyer, "S001", "S002"), await sold(hall, other, "S003")
    elsewhere = await open_hall(db, balance_minor=5_000)
    foreign = await sold(elsewhere, elsewhere.people[0], "S001")
    found = await lists(hall).of_seller(ME, of(hall), None, 10)
    assert ids(found) == newest_first(first, second)
    assert {one.listed.email for one in found} == {f"{buyer}@example.org", f"{other}@example.org"}
    everything = await lists(hall).of_seller(ME, PaymentFilter(None), None, 100)
    assert {foreign.payment_id, *ids(found)} <= set(ids(everything))
    assert len(ids(everything)) == len(set(ids(everything)))
    assert len(await lists(hall).of_seller(ME, PaymentFilter(None), None, 0)) == 1
    page = await lists(hall).of_seller(ME, of(hall), None, 0)
    assert len(page) == 1
    assert ids(await lists(hall).of_seller(ME, of(hall), ids(page)[0], 10)) == ids(found)[1:]
    at = ScopedId(hall.schedule_id, first.payment_id)
    assert (await lists(hall).get(member(hall.schedule_id), at)).listed.payment == first
    with pytest.raises(PaymentNotFound):
        await lists(hall).get(member(elsewhere.schedule_id), at)
    operator = replace(ME, organization_ids=None)
    with pytest.raises(PaymentNotFound):
        await lists(hall).get(operator, ScopedId(hall.schedule_id, new_id()))


async def test_a_seller_filters(hall: Hall, db: Database) -> None:
    buyer, other, *_ = hall.people
    whole, part = await sold(hall, buyer, "S001"), await sold(hall, buyer, "S002", "S003")
    kept = await sold(hall, other, "S004", provider="toss")
    elsewhere = await open_hall(db, balance_minor=5_000)
    foreign = await sold(elsewhere, elsewhere.people[0], "S001")
    await returned(hall, buyer, whole)
    await returned(hall, buyer, part, part.ticket_ids[0])

    async def found(organizer: UUID | None = hall.schedule_id, **wanted: object) -> list[UUID]:
        near = {name: wanted.pop(name, None) for name in ("reservation", "order", "number")}
        some = PaymentFilter(None if organizer is None else [organizer], **wanted)  # type: ignore[arg-type]
        return ids(await lists(hall).of_seller(ME, some, None, 100, **near))  # type: ignore[arg-type]

    assert await found(status="REFUNDED") == [whole.payment_id]
    assert await found(status="PARTLY_REFUNDED") == [part.payment_id]
    assert await found(status="SUCCEEDED") == [kept.payment_id]
    assert await found(method="toss") == [kept.payment_id]
    assert await found(method="wallet") == newest_first(whole, part)
    assert await found(None, schedule_id=elsewhere.schedule_id) == [foreign.payment_id]
    reservation = ScopedId(hall.schedule_id, part.reservation_id)
    assert await found(reservation=reservation) == [part.payment_id]
    assert await found(None, reservation=reservation, schedule_id=elsewhere.schedule_id) == []
    [one] = await lists(hall).of_seller(ME, of(hall, method="toss"), None, 10)
    order = ScopedId(other, one.listed.intent_id or new_id())
    assert await found(order=order) == [kept.payment_id]
    assert await found(order=order, reservation=reservation) == []
    assert await found(order=ScopedId(other, new_id())) == []
    for one_sale in (part, kept):
        number = order_number.shown(one_sale.order_number)
        assert await found(number=number) == [one_sale.payment_id]
    assert await found(number=number, order=order) == [kept.payment_id]
    assert await found(number=number, reservation=reservation) == []
    assert await found(number="4KX7-92MQ-0") == []


async def test_an_abandoned_intent_is_not_the_order_of_a_payment(hall: Hall) -> None:
    buyer = hall.people[0]
    reservation_id = await hall.held(buyer, "S001")
    checkout = Checkout(hall, FakeProvider("toss"))
    abandoned = await checkout.open(buyer, reservation_id)
    await checkout.intents.cancel(buyer, abandoned.intent_id)
    await checkout.close()
    payment = (await hall.pay(buyer, reservation_id)).payment
    assert payment is not None
    [one] = await lists(hall).of_seller(ME, of(hall), None, 10)
    assert (one.listed.payment, one.listed.intent_id) == (payment, None)
