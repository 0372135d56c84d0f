"""A batch of payments or top-ups separates persons, methods, keys, wallets and events."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest

from boxoffice.payments.store import PayCommand, PaymentStore, TopUpCommand
from boxoffice.platform.ids import new_id
from boxoffice.platform.postgres.database import Database, Record
from boxoffice.reservations.store import ReservationStore
from tests.support.hall import BALANCE_MAX_MINOR, Hall, open_hall
from tests.support.invariants import broken

PRICE = 1_000


@pytest.fixture
async def hall(db: Database) -> AsyncIterator[Hall]:
    """A hall in which every person has the price of one seat; the ledger must balance at the end."""
    hall = await open_hall(db, price_minor=PRICE, balance_minor=PRICE)
    yield hall
    assert not await broken(db, hall.schedule_id)


async def _by_card(hall: Hall, person: UUID, seat: str) -> tuple[UUID, UUID, UUID]:
    """Hold a seat for which a provider has captured the money."""
    reservation, intent = await hall.held(person, seat), new_id()
    await hall.set_intent(reservation, intent)
    return person, reservation, intent


async def _settled(hall: Hall, *bills: PayCommand) -> list[str]:
    return [outcome.name for outcome in await hall.settle(*bills)]


async def test_what_a_provider_captured_is_no_matter_of_the_wallet(hall: Hall) -> None:
    buyer = hall.people[0]
    await hall.pay(buyer, await hall.held(buyer, "S001"))
    assert await hall.balance(buyer) == 0
    await hall.db.fetch("UPDATE wallets SET currency = 'USD' WHERE user_id = $1", buyer)
    assert await hall.pay_outside(await _by_card(hall, buyer, "S002")) == ["paid"]
    bills = [await _by_card(hall, buyer, seat) for seat in ("S003", "S004")]
    assert await hall.pay_outside(*bills) == ["paid", "paid"]
    await hall.db.fetch("UPDATE wallets SET currency = 'KRW' WHERE user_id = $1", buyer)


async def test_in_a_batch_a_card_spends_nothing_of_the_wallet(hall: Hall) -> None:
    buyer = hall.people[0]
    card = await _by_card(hall, buyer, "S001")
    wallet = hall.bill(buyer, await hall.held(buyer, "S002"))
    assert await hall.pay_outside(card, wallet=wallet) == ["paid", "paid"]


async def test_in_a_batch_each_person_spends_their_own_balance(hall: Hall) -> None:
    one, other, *_ = hall.people
    bills = [
        hall.bill(person, await hall.held(person, seat))
        for person, seat in ((one, "S001"), (other, "S002"), (one, "S003"))
    ]
    assert await _settled(hall, *bills) == ["paid", "paid", "insufficient_balance"]


async def test_in_a_batch_what_did_not_pay_leaves_the_hold_to_the_next(hall: Hall) -> None:
    buyer = hall.people[0]
    reservation = await hall.held(buyer, "S001")
    unpaid, wallet = (buyer, reservation, None), hall.bill(buyer, reservation)
    assert await hall.pay_outside(unpaid, wallet=wallet) == ["nothing_captured", "paid"]


async def test_in_a_batch_what_was_refused_stays_refused(hall: Hall) -> None:
    owner, stranger, *_ = hall.people
    reservation = await hall.held(owner, "S001")
    bills = [hall.bill(owner, reservation), hall.bill(stranger, reservation)]
    assert await _settled(hall, *bills) == ["paid", "reservation_not_found"]


async def test_people_top_up_under_their_own_keys(hall: Hall) -> None:
    for person in hall.people:
        assert (await hall.top_up(person, 10, key="k")).name == "charged"
        assert (await hall.top_up(person, 10, key="k")).name == "replayed"
        assert (await hall.top_up(person, 10, key="k", fingerprint=b"g")).name == "key_reused"
    assert {await hall.balance(person) for person in hall.people} == {PRICE + 10}


async def test_each_top_up_has_one_event(hall: Hall) -> None:
    buyer = hall.people[0]
    top_ups = [await hall.top_up(buyer, 10) for _ in range(3)]
    for one in top_ups:
        assert one.top_up is not None
        assert await hall.topics(one.top_up.transfer_id) == ["wallet.charged"]


async def test_a_top_up_waits_for_its_own_wallet_only(hall: Hall, database_url: str) -> None:
    buyer, neighbour, *_ = hall.people
    other: asyncpg.Connection[Record] = await asyncpg.connect(database_url)
    try:
        async with other.transaction():
            await other.execute("SELECT 1 FROM wallets WHERE user_id = $1 FOR UPDATE", neighbour)
            command = TopUpCommand(buyer, "k", b"f", new_id(), 10)
            top_up = PaymentStore(hall.db).top_up([command], BALANCE_MAX_MINOR)
            [outcome] = await asyncio.wait_for(top_up, timeout=20)
    finally:
        await other.close()
    assert outcome.name == "charged"


async def test_only_schedules_with_something_due_are_swept(hall: Hall) -> None:
    store = ReservationStore(hall.db)
    reservation = await hall.held(hall.people[0], "S001")
    assert await store.lapsed_schedules() == []
    await hall.lapse(reservation)
    assert [one.schedule_id for one in await store.lapsed_schedules()] == [hall.schedule_id]
    await hall.expire()
