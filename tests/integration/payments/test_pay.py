"""The batch decision of payments: every outcome, and what two pods make of one hold."""

import asyncio
from collections import Counter
from uuid import uuid4

import asyncpg
import pytest

from boxoffice.payments.store import PaymentStore
from boxoffice.platform.ids import new_id
from boxoffice.platform.postgres.database import Database, Record
from tests.support.hall import Hall, open_hall
from tests.support.invariants import broken
from tests.support.waiting import until


async def test_a_payment_sells_the_seats_and_issues_the_tickets(hall: Hall) -> None:
    buyer = hall.people[0]
    reservation = await hall.held(buyer, "S003", "S001")
    outcome = await hall.pay(buyer, reservation)
    payment = outcome.payment
    assert outcome.name == "paid"
    assert payment is not None
    assert (payment.reservation_id, payment.amount_minor, payment.currency, payment.method) == (
        reservation,
        2_000,
        "KRW",
        "wallet",
    )
    assert payment.seat_ids == ("S003", "S001")
    assert len(set(payment.ticket_ids)) == 2
    seat = await hall.seat("S001")
    assert (seat["state"], seat["user_id"], seat["expires_at"]) == ("SOLD", buyer, None)
    assert await hall.status(reservation) == "CONFIRMED"
    assert await hall.balance(buyer) == 3_000
    assert await hall.topics(reservation) == ["reservation.held", "reservation.confirmed"]
    assert await hall.topics(payment.payment_id) == ["payment.succeeded"]
    entries = await PaymentStore(hall.db).entries(buyer, None, 10)
    assert [(one.kind, one.amount_minor) for one in entries] == [
        ("payment", -2_000),
        ("charge", 5_000),
    ]
    assert await PaymentStore(hall.db).get(hall.schedule_id, payment.payment_id, buyer) == payment
    stranger = hall.people[1]
    assert await PaymentStore(hall.db).get(hall.schedule_id, payment.payment_id, stranger) is None
    assert not await broken(hall.db, hall.schedule_id)


async def test_every_refusal_of_one_batch_leaves_the_others_alone(hall: Hall) -> None:
    buyer, poor, stranger = hall.people[:3]
    good, twice, gone, lapsed, swept = [await hall.held(buyer, seat) for seat in hall.seat_ids[:5]]
    dear = await hall.held(poor, *hall.seat_ids[5:11])
    await hall.pay(buyer, twice)
    await hall.release(buyer, gone)
    await hall.lapse(swept)
    await hall.expire()
    await hall.lapse(lapsed)
    commands = [
        (buyer, good, "paid"),
        (buyer, good, "already_paid"),
        (buyer, twice, "already_paid"),
        (buyer, gone, "not_held"),
        (buyer, lapsed, "hold_expired"),
        (buyer, swept, "hold_expired"),
        (poor, dear, "insufficient_balance"),
        (stranger, good, "reservation_not_found"),
        (stranger, uuid4(), "reservation_not_found"),
    ]
    outcomes = await hall.settle(*(hall.bill(person, one) for person, one, _ in commands))
    assert [one.name for one in outcomes] == [name for _, _, name in commands]
    assert [one.payment is not None for one in outcomes] == [True] + [False] * 8
    assert await hall.balance(buyer) == 3_000
    assert not await broken(hall.db, hall.schedule_id)


async def test_another_persons_command_before_it_does_not_spoil_the_owners_payment(
    hall: Hall,
) -> None:
    stranger, owner = hall.people[:2]
    reservation = await hall.held(owner, "S001", "S002")
    bills = [hall.bill(stranger, reservation), hall.bill(owner, reservation)]
    outcomes = await hall.settle(*bills)
    assert [one.name for one in outcomes] == ["reservation_not_found", "paid"]
    assert not await broken(hall.db, hall.schedule_id)


async def test_a_seat_whose_row_moved_while_a_payment_waited_for_it_is_sold(
    hall: Hall, other: "asyncpg.Connection[Record]"
) -> None:
    buyer = hall.people[0]
    reservation = await hall.held(buyer, "S001")
    async with other.transaction():
        await other.execute(
            "UPDATE seats SET version = version + 2 WHERE schedule_id = $1 AND seat_id = 'S001'",
            hall.schedule_id,
        )
        payment = asyncio.create_task(hall.pay(buyer, reservation))
        waits = "SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"
        await until(lambda: hall.db.fetch(waits))
    assert (await payment).name == "paid"
    assert (await hall.seat("S001"))["state"] == "SOLD"
    assert not await broken(hall.db, hall.schedule_id)


async def test_too_little_money_leaves_everything_as_it_was(hall: Hall) -> None:
    buyer = hall.people[0]
    reservation = await hall.held(buyer, *hall.seat_ids[:6])
    before = await hall.seat("S001")
    assert (await hall.pay(buyer, reservation, key="k")).name == "insufficient_balance"
    assert await hall.seat("S001") == before
    assert await hall.status(reservation) == "HELD"
    assert await hall.balance(buyer) == 5_000
    assert await hall.topics(reservation) == ["reservation.held"]
    await hall.top_up(buyer, 1_000)
    assert (await hall.pay(buyer, reservation, key="k")).name == "paid", "the key is still free"
    assert await hall.balance(buyer) == 0


async def test_a_wallet_pays_a_batch_in_order_as_far_as_it_goes(hall: Hall) -> None:
    buyer = hall.people[0]
    holds = [
        await hall.held(buyer, *seats)
        for seats in (hall.seat_ids[:3], hall.seat_ids[3:6], hall.seat_ids[6:8])
    ]
    outcomes = await hall.settle(*(hall.bill(buyer, one) for one in holds))
    assert [one.name for one in outcomes] == ["paid", "insufficient_balance", "paid"]
    assert await hall.balance(buyer) == 0
    assert not await broken(hall.db, hall.schedule_id)


async def test_the_same_key_replays_and_another_body_is_refused(hall: Hall) -> None:
    buyer = hall.people[0]
    one, two = [await hall.held(buyer, seat) for seat in hall.seat_ids[:2]]
    first = await hall.pay(buyer, one, key="k")
    again = await hall.pay(buyer, one, key="k")
    assert (again.name, again.payment) == ("replayed", first.payment)
    [other_body] = await hall.settle(hall.bill(buyer, two, key="k", fingerprint=b"other"))
    assert (other_body.name, other_body.payment) == ("key_reused", None)
    found = await PaymentStore(hall.db).find_payments(
        hall.schedule_id,
        [
            hall.bill(buyer, one, key="k"),
            hall.bill(buyer, two, key="new"),
            hall.bill(buyer, two, key="k", fingerprint=b"other"),
        ],
    )
    assert found[0] == again
    assert found[1] is None
    assert found[2] is not None
    assert found[2].name == "key_reused"
    assert await hall.balance(buyer) == 4_000


async def test_a_seat_that_costs_nothing_moves_no_money(db: Database) -> None:
    hall = await open_hall(db, price_minor=0)
    buyer = hall.people[0]
    outcome = await hall.pay(buyer, await hall.held(buyer, "S001", "S002"))
    assert outcome.payment is not None
    assert (outcome.payment.amount_minor, len(outcome.payment.ticket_ids)) == (0, 2)
    assert await PaymentStore(db).entries(buyer, None, 10) == []
    assert not await broken(db, hall.schedule_id)


async def test_a_wallet_of_another_currency_does_not_pay(hall: Hall) -> None:
    await hall.change_schedule("currency = 'USD'")
    buyer = hall.people[0]
    reservation = await hall.held(buyer, "S001")
    assert (await hall.pay(buyer, reservation)).name == "currency_differs"
    assert await hall.balance(buyer) == 5_000


async def test_what_is_being_paid_through_a_provider_is_not_paid_by_wallet(hall: Hall) -> None:
    buyer = hall.people[0]
    reservation, intent = await hall.held(buyer, "S001"), new_id()
    await hall.set_intent(reservation, intent)
    assert (await hall.pay(buyer, reservation)).name == "payment_in_progress"
    await hall.lapse(reservation)
    assert (await hall.pay(buyer, reservation)).name == "hold_expired"


async def test_only_the_intent_that_holds_a_reservation_pays_it_with_its_money(hall: Hall) -> None:
    buyer, intent = hall.people[0], new_id()
    reservation = await hall.held(buyer, "S001")
    await hall.set_intent(reservation, intent)
    assert await hall.pay_outside((buyer, reservation, None)) == ["payment_in_progress"]
    assert await hall.pay_outside((buyer, reservation, new_id())) == ["payment_in_progress"]
    assert await hall.pay_outside((buyer, reservation, intent)) == ["paid"]
    assert await hall.balance(buyer) == 5_000
    accounts = (
        "SELECT account, amount_minor FROM ledger_entries WHERE schedule_id = $1 ORDER BY leg"
    )
    moved = [tuple(row) for row in await hall.db.fetch(accounts, hall.schedule_id)]
    assert moved == [("suspense", -1_000), ("income", 1_000)]


async def test_a_provider_pays_nothing_without_an_intent(hall: Hall) -> None:
    buyer = hall.people[0]
    reservation = await hall.held(buyer, "S001")
    assert await hall.pay_outside((buyer, reservation, None)) == ["nothing_captured"]


async def test_pods_of_the_previous_release_call_what_is_being_paid_not_held(hall: Hall) -> None:
    buyer = hall.people[0]
    reservation = await hall.held(buyer, "S001")
    await hall.set_intent(reservation, new_id())
    before = """
        SELECT outcomes FROM payments_pay_v2(
            $1, ARRAY[gen_random_uuid()], ARRAY[gen_random_uuid()], ARRAY[$2::uuid],
            ARRAY[$3::uuid], ARRAY['wallet'], ARRAY[NULL], ARRAY[NULL::bigint], ARRAY['p'],
            ARRAY['f'::bytea], true)
    """
    [row] = await hall.db.fetch(before, hall.schedule_id, buyer, reservation)
    assert row["outcomes"] == ["not_held"]


async def test_a_seat_that_was_taken_over_is_not_paid_by_its_former_owner(hall: Hall) -> None:
    """Even with the reservation's own time turned back: the seats themselves are looked at."""
    former, latter = hall.people[:2]
    reservation = await hall.held(former, "S001", "S002")
    await hall.lapse(reservation)
    await hall.held(latter, "S002")
    await hall.db.fetch(
        "UPDATE reservations SET expires_at = expires_at + interval '2 days'"
        " WHERE schedule_id = $1 AND reservation_id = $2",
        hall.schedule_id,
        reservation,
    )
    assert (await hall.pay(former, reservation)).name == "hold_expired"
    assert (await hall.seat("S002"))["user_id"] == latter
    assert await hall.balance(former) == 5_000


async def test_two_payments_of_two_pods_for_one_hold(db: Database) -> None:
    hall = await open_hall(db, seats=30, people=30, balance_minor=5_000)
    for buyer, seat in zip(hall.people, hall.seat_ids, strict=True):
        reservation = await hall.held(buyer, seat)
        outcomes = await asyncio.gather(*(hall.pay(buyer, reservation) for _ in range(3)))
        assert Counter(one.name for one in outcomes) == {"paid": 1, "already_paid": 2}
        assert await hall.balance(buyer) == 4_000
    assert not await broken(db, hall.schedule_id)


async def test_one_key_on_two_pods_is_one_payment(db: Database) -> None:
    hall = await open_hall(db, seats=30, people=30, balance_minor=5_000)
    for buyer, seat in zip(hall.people, hall.seat_ids, strict=True):
        reservation = await hall.held(buyer, seat)
        outcomes = await asyncio.gather(*(hall.pay(buyer, reservation, key="k") for _ in range(3)))
        assert Counter(one.name for one in outcomes) == {"paid": 1, "replayed": 2}
        assert len({one.payment for one in outcomes}) == 1
    assert not await broken(db, hall.schedule_id)


async def test_one_key_for_two_holds_on_two_pods_pays_one_of_them(db: Database) -> None:
    hall = await open_hall(db, seats=40, people=20, balance_minor=5_000)
    for at, buyer in enumerate(hall.people):
        holds = [await hall.held(buyer, seat) for seat in hall.seat_ids[2 * at : 2 * at + 2]]
        bills = [hall.bill(buyer, one, key="k", fingerprint=one.bytes[-8:]) for one in holds]
        names = await asyncio.gather(*(hall.settle(bill) for bill in bills))
        assert Counter(outcome.name for [outcome] in names) == {"paid": 1, "key_reused": 1}
    assert not await broken(db, hall.schedule_id)


async def test_a_wallet_that_two_pods_draw_on_never_goes_below_zero(db: Database) -> None:
    hall = await open_hall(db, seats=90, people=30, balance_minor=2_500)
    for at, buyer in enumerate(hall.people):
        holds = [await hall.held(buyer, seat) for seat in hall.seat_ids[3 * at : 3 * at + 3]]
        outcomes = await asyncio.gather(*(hall.pay(buyer, one) for one in holds))
        names = Counter(one.name for one in outcomes)
        assert names == {"paid": 2, "insufficient_balance": 1}
        assert await hall.balance(buyer) == 500
    assert not await broken(db, hall.schedule_id)


async def test_a_hold_that_is_paid_and_released_at_once_is_one_of_both(db: Database) -> None:
    hall = await open_hall(db, seats=40, people=40, balance_minor=5_000)
    seen: Counter[tuple[str, str]] = Counter()
    for buyer, seat in zip(hall.people, hall.seat_ids, strict=True):
        reservation = await hall.held(buyer, seat)
        paid, released = await asyncio.gather(
            hall.pay(buyer, reservation), hall.release(buyer, reservation)
        )
        seen[paid.name, released.name] += 1
    assert set(seen) <= {("paid", "not_held"), ("not_held", "released")}
    assert not await broken(db, hall.schedule_id)


async def test_the_second_lock_on_overselling_is_the_index(
    hall: Hall, other: "asyncpg.Connection[Record]"
) -> None:
    buyer = hall.people[0]
    await hall.pay(buyer, await hall.held(buyer, "S001"))
    forged = """
        INSERT INTO tickets (schedule_id, ticket_id, reservation_id, payment_id, user_id, seat_id,
                             position, issued_at)
        SELECT schedule_id, gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), user_id,
               seat_id, 1, issued_at
          FROM tickets WHERE schedule_id = $1
    """
    with pytest.raises(asyncpg.UniqueViolationError, match="tickets_one_live_per_seat"):
        await other.execute(forged, hall.schedule_id)


async def test_a_payment_names_the_newest_refund_policy_of_its_schedule(hall: Hall) -> None:
    buyer = hall.people[0]
    policy = """
        INSERT INTO refund_policies (schedule_id, version, created_at, created_by, policy)
        VALUES ($1, $2, clock_timestamp(), $1, '{}')
    """
    await hall.db.fetch(policy, new_id(), 9)
    version = "SELECT refund_policy_version FROM payments WHERE payment_id = $1"
    seen = []
    for number in range(3):
        if number:
            await hall.db.fetch(policy, hall.schedule_id, number)
        paid = (await hall.pay(buyer, await hall.held(buyer, hall.seat_ids[number]))).payment
        assert paid is not None
        [row] = await hall.db.fetch(version, paid.payment_id)
        seen.append(row["refund_policy_version"])
    assert seen == [None, 1, 2]
