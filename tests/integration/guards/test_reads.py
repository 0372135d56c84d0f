"""Each condition of the other look-ups, tried with several rows of which one is requested."""

from boxoffice.accounts.store import AccountStore
from boxoffice.outbox.store import OutboxStore
from boxoffice.payments.store import PaymentStore
from boxoffice.platform.postgres.database import Database
from boxoffice.reservations.store import ReservationStore
from tests.support.hall import open_hall


async def test_an_address_is_one_persons(db: Database) -> None:
    hall = await open_hall(db)
    store = AccountStore(db)
    one, two, *_ = hall.people
    found = await store.credentials(f"{two}@example.org", b"")
    assert found is not None
    assert found.user_id == two
    assert await store.credentials("nobody@example.org", b"") is None
    assert await store.set_role(f"{two}@example.org", "organizer")
    assert not await store.set_role("nobody@example.org", "organizer")
    other = await store.credentials(f"{one}@example.org", b"")
    assert other is not None
    assert other.role == "buyer"


async def test_events_are_read_by_topic_within_the_limit(db: Database) -> None:
    hall = await open_hall(db)
    one, two, three, *_ = hall.people
    await hall.hold_batch(hall.hold_command(one, "S001"), hall.hold_command(two, "S002"))
    await hall.held(three, "S003")
    store = OutboxStore(db)
    assert [len(await store.oldest(count)) for count in (1, 2, 3)] == [2, 2, 3]
    await db.fetch(
        "UPDATE outbox SET topic = 'unheard.of' WHERE batch_id = (SELECT max(batch_id) FROM outbox)"
    )
    assert len(await store.oldest(9)) == 2


async def test_a_payment_has_its_own_reservation(db: Database) -> None:
    hall = await open_hall(db, balance_minor=9_000)
    buyer, payments, reservations = hall.people[0], PaymentStore(db), ReservationStore(db)
    first, second = await hall.held(buyer, "S001"), await hall.held(buyer, "S002", "S003")
    bills = [hall.bill(buyer, first), hall.bill(buyer, second)]
    for bill in bills:
        [paid] = await hall.settle(bill)
        assert paid.name == "paid"
    for bill, seats in zip(bills, (["S001"], ["S002", "S003"]), strict=True):
        payment = await payments.get(hall.schedule_id, bill.payment_id, buyer)
        assert payment is not None
        assert list(payment.seat_ids) == seats
        [found] = await payments.find_payments(hall.schedule_id, [bill])
        assert found is not None
        assert found.payment == payment
        mine = await reservations.get(hall.schedule_id, bill.reservation_id, buyer)
        assert mine is not None
        assert mine.payment_id == bill.payment_id
    listed = await reservations.list_of_user(buyer, None, 9)
    assert [one.payment_id for one in listed] == [bills[1].payment_id, bills[0].payment_id]
    assert len(await reservations.list_of_user(buyer, None, 1)) == 1


async def test_a_wallets_entries_are_its_own_and_so_many_at_a_time(db: Database) -> None:
    hall = await open_hall(db)
    buyer, store = hall.people[0], PaymentStore(db)
    for amount in (10, 20, 30):
        await hall.top_up(buyer, amount)
    assert [one.amount_minor for one in await store.entries(buyer, None, 9)] == [30, 20, 10]
    assert len(await store.entries(buyer, None, 2)) == 2


async def test_a_seed_tops_up_the_named_persons(db: Database) -> None:
    hall = await open_hall(db)
    one, two, *_ = hall.people
    await PaymentStore(db).seed_top_ups([one], 100)
    assert (await hall.balance(one), await hall.balance(two)) == (100, 0)


async def test_each_schedule_with_something_due_is_swept_once(db: Database) -> None:
    halls = [await open_hall(db) for _ in range(3)]
    for hall in halls:
        await hall.lapse(*[await hall.held(hall.people[0], seat) for seat in ("S001", "S002")])
    due = [one.schedule_id for one in await ReservationStore(db).lapsed_schedules()]
    assert sorted(due) == sorted(hall.schedule_id for hall in halls)
