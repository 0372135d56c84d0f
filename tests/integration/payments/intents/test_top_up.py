"""Top-ups through a provider: the money goes into the wallet once, or back."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from boxoffice.errors import AmountInvalid, IdempotencyKeyReused
from boxoffice.payments.intents.rules import order_id
from boxoffice.payments.intents.store import Intent, OpenCommand, SettleCommand
from boxoffice.payments.providers.port import Movement
from tests.support.checkout import BOUNDS, Checkout
from tests.support.fake_provider import Fault
from tests.support.hall import Hall
from tests.support.invariants import broken
from tests.support.waiting import until

if TYPE_CHECKING:
    import asyncpg

    from boxoffice.platform.postgres.database import Record


async def _opened(checkout: Checkout, person: UUID, minor: int = 700, key: str = "") -> Intent:
    return await checkout.intents.open_top_up(person, minor, key or str(uuid4()), "toss")


async def test_a_confirmed_top_up_is_in_the_wallet(checkout: Checkout, hall: Hall) -> None:
    buyer = hall.people[0]
    intent = await _opened(checkout, buyer)
    assert (intent.purpose, intent.hold_ends_at, intent.currency) == ("top_up", None, "KRW")
    assert await checkout.work(intent) == ["expire"]
    done = await checkout.confirm(intent)
    assert (done.status, done.payment_id) == ("SUCCEEDED", None)
    assert [await hall.balance(person) for person in hall.people] == [700, 0, 0, 0]
    assert await checkout.balances(buyer) == {"cash": -700, "wallet": 700}
    payment = checkout.provider.book[order_id(buyer, intent.intent_id)]
    for _ in range(2):
        again = await checkout.intents.settle(payment.order_id, payment)
        assert again.status == "SUCCEEDED"
    assert await hall.balance(buyer) == 700
    assert not await broken(hall.db, hall.schedule_id)


async def test_one_key_is_one_top_up(checkout: Checkout, hall: Hall) -> None:
    buyer, other = hall.people[:2]
    first = await _opened(checkout, buyer, key="k")
    assert await _opened(checkout, buyer, key="k") == first
    with pytest.raises(IdempotencyKeyReused):
        await _opened(checkout, buyer, 701, key="k")
    assert (await _opened(checkout, other, key="k")).intent_id != first.intent_id
    assert (await _opened(checkout, buyer, key="l")).intent_id != first.intent_id


@pytest.mark.parametrize("minor", [0, 1_000_001])
async def test_an_amount_that_makes_no_sense_is_refused(
    checkout: Checkout, hall: Hall, minor: int
) -> None:
    with pytest.raises(AmountInvalid):
        await _opened(checkout, hall.people[0], minor)


async def test_an_amount_that_the_provider_does_not_take_is_refused(
    checkout: Checkout, hall: Hall
) -> None:
    checkout.provider.amount_min = 1_000
    with pytest.raises(AmountInvalid):
        await _opened(checkout, hall.people[0], 999)


async def test_a_person_without_a_wallet_opens_nothing(checkout: Checkout, hall: Hall) -> None:
    nobody = OpenCommand(uuid4(), "k", b"f", "toss", 60.0, amount_minor=10)
    buyer = OpenCommand(hall.people[0], "k", b"f", "toss", 60.0, amount_minor=10)
    outcomes = await checkout.store.open(None, [nobody, buyer])
    assert [outcome.name for outcome in outcomes] == ["wallet_not_found", "opened"]
    [again] = await checkout.store.open(None, [buyer])
    assert (again.name, again.intent_id) == ("replayed", buyer.intent_id)


async def test_a_declined_top_up_can_be_tried_again(checkout: Checkout, hall: Hall) -> None:
    intent = await _opened(checkout, hall.people[0])
    checkout.provider.faults = [Fault.LOST_BEFORE]
    unknown = await checkout.confirm(intent)
    assert (unknown.status, await checkout.work(intent)) == ("UNKNOWN", ["look_up"])
    assert (await checkout.confirmations.repeat(unknown)).status == "SUCCEEDED"


async def test_a_session_that_is_over_expires(checkout: Checkout, hall: Hall) -> None:
    intent = await _opened(checkout, hall.people[0])
    assert (await checkout.confirmations.expire(intent)).status == "OPEN"
    await hall.db.fetch(
        "UPDATE payment_intents SET session_ends_at = clock_timestamp() WHERE intent_id = $1",
        intent.intent_id,
    )
    assert (await checkout.confirmations.expire(intent)).status == "EXPIRED"


async def test_a_top_up_adds_to_what_is_in_the_wallet_when_it_is_its_turn(
    checkout: Checkout, hall: Hall, other: "asyncpg.Connection[Record]"
) -> None:
    buyer = hall.people[0]
    intent = await _opened(checkout, buyer)
    waits = "SELECT 1 FROM pg_locks WHERE NOT granted"
    async with other.transaction():
        await other.execute(
            "UPDATE wallets SET balance_minor = balance_minor + 10 WHERE user_id = $1", buyer
        )
        settling = asyncio.create_task(checkout.store.settle(None, [_command(intent)]))
        await until(lambda: other.fetch(waits))
    assert [outcome.name for outcome in await settling] == ["sold"]
    assert await hall.balance(buyer) == 710
    # The ten had no entries; the tests that follow check the books.
    await hall.db.fetch(
        "UPDATE wallets SET balance_minor = balance_minor - 10 WHERE user_id = $1", buyer
    )


async def test_money_that_a_wallet_may_not_have_goes_back(hall: Hall) -> None:
    """Above the limit, or in another currency than the wallet's; the neighbour's goes in."""
    checkout = Checkout(hall, bounds=replace(BOUNDS, balance_max_minor=1_000))
    one, two, three = hall.people[:3]
    intents = [await _opened(checkout, person) for person in (one, one, two, three)]
    await hall.db.fetch("UPDATE wallets SET currency = 'USD' WHERE user_id = $1", two)
    outcomes = await checkout.store.settle(None, [_command(intent) for intent in intents])
    assert [outcome.name for outcome in outcomes] == ["sold", "returning", "returning", "sold"]
    assert [await hall.balance(person) for person in hall.people] == [700, 0, 700, 0]
    assert await checkout.balances(one) == {"cash": -1_400, "wallet": 700, "refunds_due": 700}
    assert await checkout.balances(two) == {"cash": -700, "refunds_due": 700}
    await hall.db.fetch("UPDATE wallets SET currency = 'KRW' WHERE user_id = $1", two)
    assert not await broken(hall.db, hall.schedule_id)
    await checkout.close()


def _command(intent: Intent) -> SettleCommand:
    capture = Movement(str(intent.intent_id), "capture", 700, "KRW", datetime.now(UTC))
    return SettleCommand(intent.user_id, intent.intent_id, "p", capture, is_sellable=True)
