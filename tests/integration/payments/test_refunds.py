"""Refunds: tickets void, seats on sale once, money back once, and refusals that change nothing."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest

from boxoffice.errors import (
    AlreadyRefunded,
    IdempotencyKeyReused,
    Invalid,
    NotRefundable,
    PaymentNotFound,
    Problem,
    RefundNotFound,
    RefundQuoteChanged,
    TicketNotFound,
)
from boxoffice.payments.refunds.policy import PRESETS, RefundPolicy, RefundStep
from boxoffice.payments.refunds.store import RefundStore
from boxoffice.platform.ids import new_id
from boxoffice.platform.postgres.database import Database, Record
from tests.support.hall import Hall, open_hall
from tests.support.invariants import broken
from tests.support.refunds import asked, refunds, returned, set_policy, sold, state

TENTH = RefundPolicy("own", (RefundStep(0, percent=10),))


async def _accounts(hall: Hall, person: UUID) -> dict[str, int]:
    """The sums of a person's entries of the schedule, and of the money that is owed."""
    rows = await hall.db.fetch(
        "SELECT e.account, sum(e.amount_minor)::bigint AS minor"
        " FROM ledger_entries e JOIN transfers t USING (user_id, transfer_id)"
        " WHERE user_id = $1 AND t.kind <> 'charge' GROUP BY 1 HAVING sum(e.amount_minor) <> 0",
        person,
    )
    return {row["account"]: row["minor"] for row in rows}


async def _work(hall: Hall, refund_id: UUID) -> int:
    [row] = await hall.db.fetch(
        "SELECT count(*) AS n FROM cashier_work WHERE subject_id = $1", refund_id
    )
    return int(row["n"])


async def test_a_payment_keeps_the_version_of_the_policy_of_its_sale(hall: Hall) -> None:
    add = "INSERT INTO refund_policies VALUES ($1, $2, clock_timestamp(), $1, $3::text::jsonb)"
    names = ("none", "kr_market", "kr_standard")
    first, second, third = (msgspec.json.encode(PRESETS[name]).decode() for name in names)
    await hall.db.fetch(add, hall.schedule_id, 1, first)
    await hall.db.fetch(add, hall.schedule_id, 2, second)
    payment = await sold(hall, hall.people[0], "S001")
    await hall.db.fetch(add, hall.schedule_id, 3, third)
    sale = await RefundStore(hall.db).sale(hall.schedule_id, payment.payment_id)
    assert sale is not None
    assert sale.policy == PRESETS["kr_market"]


async def test_a_refund_is_found_by_its_own_transaction(hall: Hall) -> None:
    buyer = hall.people[0]
    store = RefundStore(hall.db)
    made = []
    for seat_id in ("S001", "S002"):
        payment = await sold(hall, buyer, seat_id, provider="toss")
        refund = await returned(hall, buyer, payment, 1_000)
        await store.settle(refund, "DONE", key=f"{payment.payment_id}-back")
        made.append((f"{payment.payment_id}-back", refund.refund_id))
    for key, refund_id in made:
        found = await store.of_transaction(buyer, "toss", key)
        assert found is not None
        assert found.refund_id == refund_id
    assert await store.of_transaction(buyer, "toss", "another") is None


async def test_a_whole_refund_undoes_the_sale(hall: Hall) -> None:
    buyer = hall.people[0]
    payment = await sold(hall, buyer, "S001", "S002")
    version = (await hall.seat("S001"))["version"]
    refund = await returned(hall, buyer, payment, 2_000)
    assert (refund.status, refund.amount_minor, refund.fee_minor) == ("DONE", 2_000, 0)
    assert (refund.destination, refund.reason, refund.is_whole) == ("wallet", "buyer", True)
    assert await hall.balance(buyer) == 5_000
    assert await _accounts(hall, buyer) == {}
    assert await hall.status(payment.reservation_id) == "REFUNDED"
    seat = await hall.seat("S001")
    assert (seat["state"], seat["version"]) == ("AVAILABLE", version + 1)
    assert await hall.topics(payment.payment_id) == ["payment.succeeded", "payment.refunded"]
    assert await hall.topics(refund.refund_id) == ["refund.succeeded"]
    assert await _work(hall, refund.refund_id) == 0
    assert not await broken(hall.db, hall.schedule_id)


async def test_a_refund_by_ticket_leaves_the_others(hall: Hall) -> None:
    buyer, other, *_ = hall.people
    payment = await sold(hall, buyer, "S001", "S002", "S003")
    request = asked(hall, payment, 1_000, payment.ticket_ids[1])
    refund = await refunds(hall).refund(buyer, request)
    assert (refund.seat_ids, refund.is_whole) == (("S002",), False)
    assert await hall.status(payment.reservation_id) == "CONFIRMED"
    states = [(await hall.seat(seat))["state"] for seat in payment.seat_ids]
    assert states == ["SOLD", "AVAILABLE", "SOLD"]
    await sold(hall, other, "S002")
    assert not await broken(hall.db, hall.schedule_id)
    rest = await returned(hall, buyer, payment, 2_000)
    assert rest.seat_ids == ("S001", "S003")
    assert await hall.status(payment.reservation_id) == "REFUNDED"
    assert await hall.balance(buyer) == 5_000
    assert not await broken(hall.db, hall.schedule_id)


async def test_what_is_kept_is_a_fee(hall: Hall) -> None:
    await set_policy(hall, TENTH)
    buyer = hall.people[0]
    payment = await sold(hall, buyer, "S001", "S002")
    refund = await returned(hall, buyer, payment, 1_800)
    assert (refund.amount_minor, refund.fee_minor) == (1_800, 200)
    assert await hall.balance(buyer) == 4_800
    assert await _accounts(hall, buyer) == {"fees": 200, "wallet": -200}
    assert not await broken(hall.db, hall.schedule_id)


async def test_a_refund_of_nothing_moves_no_money(db: Database) -> None:
    hall = await open_hall(db, price_minor=0)
    buyer = hall.people[0]
    payment = await sold(hall, buyer, "S001")
    refund = await returned(hall, buyer, payment, 0)
    assert (refund.status, refund.amount_minor) == ("DONE", 0)
    assert await _accounts(hall, buyer) == {}
    assert (await hall.seat("S001"))["state"] == "AVAILABLE"


async def test_a_fee_of_everything_is_done_at_once(hall: Hall) -> None:
    await set_policy(hall, RefundPolicy("own", (RefundStep(0, percent=100),)))
    buyer = hall.people[0]
    payment = await sold(hall, buyer, "S001", provider="toss")
    refund = await returned(hall, buyer, payment, 0)
    assert (refund.status, refund.fee_minor) == ("DONE", 1_000)
    assert await _work(hall, refund.refund_id) == 0
    assert await _accounts(hall, buyer) == {"cash": -1_000, "fees": 1_000}


async def test_money_of_a_provider_is_owed(hall: Hall) -> None:
    buyer = hall.people[0]
    payment = await sold(hall, buyer, "S001", provider="toss")
    refund = await returned(hall, buyer, payment, 1_000)
    assert (refund.status, refund.destination, refund.provider) == ("PENDING", "provider", "toss")
    assert refund.payment_key == f"pk-{payment.reservation_id}"
    assert await _accounts(hall, buyer) == {"cash": -1_000, "refunds_due": 1_000}
    assert await _work(hall, refund.refund_id) == 1
    assert await hall.topics(refund.refund_id) == []
    assert (await hall.seat("S001"))["state"] == "AVAILABLE"


async def test_money_of_a_provider_may_go_to_the_wallet(hall: Hall) -> None:
    buyer = hall.people[0]
    payment = await sold(hall, buyer, "S001", provider="toss")
    request = asked(hall, payment, 1_000, destination="wallet")
    assert (await refunds(hall).refund(buyer, request)).status == "DONE"
    assert await hall.balance(buyer) == 6_000
    assert await _accounts(hall, buyer) == {"cash": -1_000, "wallet": 1_000}


async def test_the_seats_of_a_refund_do_not_count_against_the_limit(db: Database) -> None:
    hall = await open_hall(db, ticket_limit=2, balance_minor=9_000)
    buyer, neighbour, *_ = hall.people
    payment = await sold(hall, buyer, "S001", "S002")
    await sold(hall, neighbour, "S009", "S010")
    assert (await hall.hold(buyer, "S003")).name == "ticket_limit"
    await refunds(hall).refund(buyer, asked(hall, payment, 1_000, payment.ticket_ids[0]))
    assert (await hall.hold(buyer, "S003", "S004")).name == "ticket_limit"
    await hall.held(buyer, "S003")
    assert (await hall.hold(buyer, "S004")).name == "ticket_limit"
    assert (await hall.hold(neighbour, "S004")).name == "ticket_limit"
    assert not await broken(hall.db, hall.schedule_id)


async def test_the_limit_also_knows_a_person_whose_holds_lapsed(db: Database) -> None:
    hall = await open_hall(db, ticket_limit=2, balance_minor=9_000)
    buyer = hall.people[0]
    await hall.lapse(await hall.held(buyer, "S005"))
    await hall.expire()
    payment = await sold(hall, buyer, "S001", "S002")
    await returned(hall, buyer, payment, 2_000)
    await sold(hall, buyer, "S001", "S002")
    assert (await hall.hold(buyer, "S003")).name == "ticket_limit"
    assert not await broken(hall.db, hall.schedule_id)


async def test_a_repetition_returns_the_same_refund(hall: Hall) -> None:
    buyer = hall.people[0]
    payment = await sold(hall, buyer, "S001", "S002")
    request = asked(hall, payment, 2_000, key="k")
    first = await refunds(hall).refund(buyer, request)
    before = await state(hall)
    assert await refunds(hall).refund(buyer, request) == first
    assert await state(hall) == before


async def test_a_key_is_for_one_request(hall: Hall) -> None:
    buyer = hall.people[0]
    payment = await sold(hall, buyer, "S001", "S002")
    request = asked(hall, payment, 1_000, payment.ticket_ids[0], key="k")
    await refunds(hall).refund(buyer, request)
    before = await state(hall)
    with pytest.raises(IdempotencyKeyReused):
        await refunds(hall).refund(
            buyer, asked(hall, payment, 1_000, payment.ticket_ids[1], key="k")
        )
    assert await state(hall) == before


async def test_a_key_is_each_persons_own(hall: Hall) -> None:
    for person, seat in zip(hall.people[:2], ("S001", "S002"), strict=True):
        payment = await sold(hall, person, seat)
        refund = await refunds(hall).refund(person, asked(hall, payment, 1_000, key="k"))
        assert refund.user_id == person
        found = await refunds(hall).refund(person, asked(hall, payment, 1_000, key="k"))
        assert found == refund


async def test_the_same_ticket_at_once_is_refunded_once(hall: Hall) -> None:
    buyer = hall.people[0]
    payment = await sold(hall, buyer, "S001")
    requests = [asked(hall, payment, 1_000) for _ in range(6)]
    results = await asyncio.gather(
        *(refunds(hall).refund(buyer, one) for one in requests), return_exceptions=True
    )
    names = Counter(type(one).__name__ for one in results)
    assert names == {"Refund": 1, "AlreadyRefunded": 5}
    assert await hall.balance(buyer) == 5_000
    assert not await broken(hall.db, hall.schedule_id)


async def test_one_key_at_once_is_one_refund(hall: Hall) -> None:
    buyer = hall.people[0]
    payment = await sold(hall, buyer, "S001")
    request = asked(hall, payment, 1_000, key="k")
    results = await asyncio.gather(*(refunds(hall).refund(buyer, request) for _ in range(6)))
    assert len({one.refund_id for one in results}) == 1
    assert await hall.balance(buyer) == 5_000


async def test_overlapping_tickets_at_once_are_refunded_once_each(hall: Hall) -> None:
    buyer = hall.people[0]
    payment = await sold(hall, buyer, "S001", "S002", "S003")
    one, two, three = payment.ticket_ids
    requests = [
        asked(hall, payment, 2_000, one, two),
        asked(hall, payment, 2_000, two, three),
        asked(hall, payment, 2_000, three, one),
    ]
    await asyncio.gather(
        *(refunds(hall).refund(buyer, each) for each in requests), return_exceptions=True
    )
    assert await hall.balance(buyer) == 2_000 + 2_000
    assert not await broken(hall.db, hall.schedule_id)


REFUSALS = [
    "expected_more",
    "expected_less",
    "another_person",
    "unknown_payment",
    "unknown_ticket",
    "ticket_of_another_payment",
    "ticket_twice",
    "after_the_start",
    "not_refundable_policy",
    "disputed",
    "wallet_of_another_currency",
]


@pytest.mark.parametrize("case", REFUSALS)
async def test_a_refused_refund_changes_nothing(  # noqa: C901 - a case per refusal
    hall: Hall, case: str
) -> None:
    buyer, other, *_ = hall.people
    if case == "not_refundable_policy":
        await set_policy(hall, PRESETS["none"])
    payment = await sold(hall, buyer, "S001", "S002")
    foreign = await sold(hall, other, "S003")
    person, request, problem = buyer, asked(hall, payment, 2_000), NotRefundable
    expected: type[Problem] = problem
    match case:
        case "expected_more" | "expected_less":
            off = 1 if case == "expected_more" else -1
            request, expected = asked(hall, payment, 2_000 + off), RefundQuoteChanged
        case "another_person":
            person, expected = other, PaymentNotFound
        case "unknown_payment":
            unknown = msgspec.structs.replace(payment, payment_id=new_id())
            request, expected = asked(hall, unknown, 2_000), PaymentNotFound
        case "unknown_ticket":
            request, expected = asked(hall, payment, 1_000, uuid4()), TicketNotFound
        case "ticket_of_another_payment":
            request = asked(hall, payment, 1_000, foreign.ticket_ids[0])
            expected = TicketNotFound
        case "ticket_twice":
            request = asked(hall, payment, 1_000, *payment.ticket_ids[:1] * 2)
            expected = Invalid
        case "after_the_start":
            begun = "sale_opens_at = clock_timestamp() - interval '3 days'"
            await hall.change_schedule(f"{begun}, starts_at = clock_timestamp()")
        case "disputed":
            await _dispute(hall, buyer, payment.payment_id)
        case "wallet_of_another_currency":
            await hall.db.fetch("UPDATE wallets SET currency = 'USD' WHERE user_id = $1", buyer)
    before = await state(hall)
    with pytest.raises(expected):
        await refunds(hall).refund(person, request)
    assert await state(hall) == before
    await hall.db.fetch("UPDATE wallets SET currency = 'KRW' WHERE user_id = $1", buyer)


async def _dispute(hall: Hall, person: UUID, payment_id: UUID) -> None:
    await hall.db.fetch(
        "INSERT INTO disputes (provider, dispute_key, dispute_id, user_id, schedule_id, payment_id,"
        " amount_minor, opened_at, changed_at, currency, payment_key, reason)"
        " VALUES ('toss', $1, gen_random_uuid(), $2, $3, $4, 1000, now(), now(), 'KRW', 'p', 'fraud')",
        str(uuid4()),
        person,
        hall.schedule_id,
        payment_id,
    )


async def test_a_dispute_that_was_won_is_none(hall: Hall) -> None:
    buyer = hall.people[0]
    payment = await sold(hall, buyer, "S001")
    await _dispute(hall, buyer, payment.payment_id)
    await hall.db.fetch(
        "UPDATE disputes SET status = 'WON', closed_at = now() WHERE user_id = $1", buyer
    )
    assert (await returned(hall, buyer, payment, 1_000)).status == "DONE"


async def test_a_quote_says_what_a_refund_brings_and_until_when(hall: Hall) -> None:
    await set_policy(hall, TENTH)
    buyer = hall.people[0]
    payment = await sold(hall, buyer, "S001", "S002")
    request = asked(hall, payment, 0)
    quoted = await refunds(hall).quote(buyer, request.payment, payment.ticket_ids[:1])
    assert quoted.quote is not None
    assert (quoted.quote.refund_minor, quoted.quote.fee_minor) == (900, 100)
    assert quoted.sale.now < quoted.quote.valid_until <= quoted.sale.now + timedelta(days=1)
    assert quoted.policy == TENTH
    with pytest.raises(RefundQuoteChanged) as refusal:
        await refunds(hall).refund(buyer, request)
    assert (refusal.value.extra["refund"], refusal.value.extra["fee"]) == (1_800, 200)


async def test_a_policy_that_changes_later_is_for_later_sales(hall: Hall) -> None:
    await set_policy(hall, TENTH)
    buyer = hall.people[0]
    payment = await sold(hall, buyer, "S001")
    await hall.db.fetch(
        "INSERT INTO refund_policies SELECT schedule_id, 2, now(), created_by,"
        " jsonb_set(policy, '{steps,0,percent}', '90') FROM refund_policies WHERE schedule_id = $1",
        hall.schedule_id,
    )
    assert (await refunds(hall).policy(hall.schedule_id)).policy.steps[0].percent == 90
    assert (await returned(hall, buyer, payment, 900)).fee_minor == 100


async def test_a_decision_after_its_quote_ended_is_refused(
    hall: Hall, other: "asyncpg.Connection[Record]", monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refund waits for the seat past the end of its quote: the fee may be another one."""
    buyer = hall.people[0]
    payment = await sold(hall, buyer, "S001")
    soon = datetime.now(UTC) + timedelta(seconds=1)
    monkeypatch.setattr("boxoffice.payments.refunds.policy._valid_until", lambda *_: soon)
    async with other.transaction():
        await other.execute(
            "SELECT FROM seats WHERE schedule_id = $1 AND seat_id = 'S001' FOR UPDATE",
            hall.schedule_id,
        )
        refund = asyncio.create_task(returned(hall, buyer, payment, 1_000))
        await asyncio.sleep(1.05)
    before = await state(hall)
    with pytest.raises(RefundQuoteChanged):
        await refund
    assert await state(hall) == before


async def test_a_refund_waits_for_a_hold_of_its_person(
    hall: Hall, other: "asyncpg.Connection[Record]"
) -> None:
    buyer = hall.people[0]
    payment = await sold(hall, buyer, "S001")
    async with other.transaction():
        await other.execute(
            "SELECT pg_advisory_xact_lock(uuid_hash_extended($1, uuid_hash_extended($2, 0)))",
            buyer,
            hall.schedule_id,
        )
        refund = asyncio.create_task(returned(hall, buyer, payment, 1_000))
        done, _ = await asyncio.wait([refund], timeout=0.1)
        assert not done
    assert (await refund).status == "DONE"


async def test_a_refund_is_its_persons_own(hall: Hall) -> None:
    buyer, other, *_ = hall.people
    refund = await returned(hall, buyer, await sold(hall, buyer, "S001"), 1_000)
    second = await returned(hall, buyer, await sold(hall, buyer, "S002"), 1_000)
    service = refunds(hall)
    assert await service.get(buyer, refund.refund_id) == refund
    with pytest.raises(RefundNotFound):
        await service.get(other, refund.refund_id)
    assert await service.list_of_user(buyer, None, 10) == [second, refund]
    assert await service.list_of_user(buyer, None, 1) == [second]
    assert await service.list_of_user(buyer, second.refund_id, 10) == [refund]
    assert await service.list_of_user(other, None, 10) == []


async def test_all_that_was_refunded_is_refused(hall: Hall) -> None:
    buyer = hall.people[0]
    payment = await sold(hall, buyer, "S001")
    await returned(hall, buyer, payment, 1_000)
    before = await state(hall)
    for request in (asked(hall, payment, 0), asked(hall, payment, 1_000, *payment.ticket_ids)):
        with pytest.raises(AlreadyRefunded):
            await refunds(hall).refund(buyer, request)
    assert await state(hall) == before
