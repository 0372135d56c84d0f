"""Disputes: each movement is booked once, in any order, and a dispute ends one way."""

import asyncio
import itertools
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from boxoffice.errors import (
    DisputeClosed,
    DisputeNotFound,
    Invalid,
    NotRefundable,
    PaymentNotFound,
)
from boxoffice.payments.disputes.service import Disputes, EnteredDispute
from boxoffice.payments.disputes.store import Dispute, DisputeStore
from boxoffice.payments.providers.port import DisputeStatus, Movement, ProviderDispute
from boxoffice.payments.store import Payment
from boxoffice.platform.ids import ScopedId, new_id
from tests.support.hall import Hall
from tests.support.refunds import asked, decided, refunds, sold

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


class Court:
    """The disputes about one payment of 1,000 through Toss."""

    def __init__(self, hall: Hall, payment: Payment) -> None:
        self.hall = hall
        self.payment = payment
        self.disputes = Disputes(DisputeStore(hall.db))
        self.payment_key = f"pk-{payment.reservation_id}"
        self.key = f"dp-{payment.payment_id}"

    def shown(self, status: DisputeStatus, *movements: Movement) -> ProviderDispute:
        """Return the dispute as the provider shows it."""
        return ProviderDispute(self.key, self.payment_key, status, 1_000, "KRW", "fraud", movements)

    def moved(self, kind: str, amount_minor: int = 1_000) -> Movement:
        """Return a movement of the dispute."""
        return Movement(f"{kind}-{self.key}", kind, amount_minor, "KRW", NOW)  # type: ignore[arg-type]

    async def settle(self, status: DisputeStatus, *movements: Movement) -> str:
        """Book the dispute as it stands."""
        return await self.disputes.settle("toss", self.shown(status, *movements))

    async def now(self) -> Dispute:
        """Return the newest dispute of the buyer."""
        found = [
            one
            for one in await self.disputes.list(None, None, 100)
            if one.payment_key == self.payment_key
        ]
        return found[0]

    async def accounts(self) -> dict[str, int]:
        """Return the sums of the buyer's entries by account, without the money of the wallet."""
        rows = await self.hall.db.fetch(
            "SELECT e.account, sum(e.amount_minor)::bigint AS minor FROM ledger_entries e"
            " JOIN transfers t USING (user_id, transfer_id)"
            " WHERE e.user_id = $1 AND t.kind <> 'charge' GROUP BY 1 HAVING sum(e.amount_minor) <> 0",
            self.hall.people[0],
        )
        return {row["account"]: row["minor"] for row in rows}

    async def topics(self) -> list[str]:
        """Return the events of the dispute."""
        return await self.hall.topics((await self.now()).dispute_id)


@pytest.fixture
async def court(hall: Hall) -> Court:
    """The disputes about a payment."""
    payment = await sold(hall, hall.people[0], "S001", provider="toss")
    return Court(hall, payment)


async def test_withdrawn_funds_are_disputed(court: Court) -> None:
    assert await court.settle("OPEN", court.moved("dispute")) == "booked"
    dispute = await court.now()
    assert (dispute.status, dispute.withdrawn_minor) == ("OPEN", 1_000)
    assert (dispute.payment_id, dispute.user_id) == (
        court.payment.payment_id,
        court.hall.people[0],
    )
    assert await court.accounts() == {"income": 1_000, "disputes": -1_000}
    assert await court.topics() == ["dispute.opened"]


async def test_a_lost_dispute_costs_the_income(court: Court) -> None:
    await court.settle("OPEN", court.moved("dispute"))
    await court.settle("LOST", court.moved("dispute"))
    dispute = await court.now()
    assert (dispute.status, dispute.withdrawn_minor, dispute.closed_at is not None) == (
        "LOST",
        0,
        True,
    )
    assert await court.accounts() == {}
    assert await court.topics() == ["dispute.opened", "dispute.closed"]


async def test_a_lost_dispute_shows_the_tickets_that_are_still_valid(hall: Hall) -> None:
    payment = await sold(hall, hall.people[0], "S001", "S002", provider="toss")
    await sold(hall, hall.people[1], "S003", provider="toss")
    await decided(hall, payment, 1)
    court = Court(hall, payment)
    await court.settle("LOST", court.moved("dispute"))
    dispute = await court.now()
    assert (dispute.status, dispute.valid_tickets) == ("LOST", 1)


async def test_a_won_dispute_is_as_if_nothing_had_been(court: Court) -> None:
    await court.settle("OPEN", court.moved("dispute"))
    await court.settle("WON", court.moved("dispute"), court.moved("dispute_won"))
    assert await court.accounts() == {"income": 1_000, "cash": -1_000}
    assert (await court.now()).status == "WON"


async def test_the_same_news_counts_once(court: Court) -> None:
    for _ in range(3):
        await court.settle("OPEN", court.moved("dispute"))
    assert await court.settle("OPEN", court.moved("dispute")) == "replayed"
    for _ in range(3):
        await court.settle("LOST", court.moved("dispute"))
    assert await court.accounts() == {}
    assert await court.topics() == ["dispute.opened", "dispute.closed"]


async def test_a_part_that_was_withdrawn_counts_once(court: Court) -> None:
    for _ in range(2):
        await court.settle("OPEN", court.moved("dispute", 400))
    assert (await court.now()).withdrawn_minor == 400


async def test_the_same_news_at_once_count_once(court: Court) -> None:
    await asyncio.gather(*(court.settle("LOST", court.moved("dispute")) for _ in range(4)))
    assert await court.accounts() == {}
    assert await court.topics() == ["dispute.opened", "dispute.closed"]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
async def test_any_order_of_news_ends_the_same(court: Court, order: tuple[int, ...]) -> None:
    withdrawn, won = court.moved("dispute"), court.moved("dispute_won")
    news: list[tuple[DisputeStatus, tuple[Movement, ...]]] = [
        ("OPEN", ()),
        ("OPEN", (withdrawn,)),
        ("WON", (withdrawn, won)),
    ]
    for at in order:
        await court.settle(news[at][0], *news[at][1])
    dispute = await court.now()
    assert (dispute.status, dispute.withdrawn_minor) == ("WON", 0)
    assert await court.accounts() == {"income": 1_000, "cash": -1_000}


async def test_a_dispute_that_was_won_is_not_lost_afterwards(court: Court) -> None:
    await court.settle("WON", court.moved("dispute"), court.moved("dispute_won"))
    await court.settle("LOST", court.moved("dispute"), court.moved("dispute_won"))
    assert (await court.now()).status == "WON"
    assert await court.accounts() == {"income": 1_000, "cash": -1_000}


async def test_no_more_comes_back_than_was_withdrawn(court: Court) -> None:
    await court.settle("OPEN", court.moved("dispute", 600), court.moved("dispute_won", 700))
    assert (await court.now()).withdrawn_minor == 600
    later = Movement(f"late-{court.key}", "dispute", 100, "KRW", NOW)
    await court.settle("LOST", court.moved("dispute", 600))
    await court.settle("LOST", later)
    assert await court.accounts() == {"income": 400, "cash": -400}


async def test_a_dispute_of_an_unknown_payment_is_not_booked(court: Court, hall: Hall) -> None:
    unknown = ProviderDispute(
        "dp", "nowhere", "OPEN", 1_000, "KRW", "fraud", (court.moved("dispute"),)
    )
    assert await court.disputes.settle("toss", unknown) == "payment_not_found"
    assert await court.accounts() == {"income": 1_000, "cash": -1_000}


async def test_a_dispute_is_about_its_own_payment(court: Court, hall: Hall) -> None:
    other = await sold(hall, hall.people[1], "S002", provider="toss")
    second = Court(hall, other)
    await court.settle("OPEN", court.moved("dispute"))
    await second.settle("OPEN", second.moved("dispute"))
    assert await court.topics() == ["dispute.opened"]
    assert (await second.now()).user_id == hall.people[1]


async def test_what_is_disputed_is_not_refunded_meanwhile(court: Court, hall: Hall) -> None:
    """A refund that waits for a dispute sees it: both take the lock of the person."""
    buyer = hall.people[0]
    request = asked(hall, court.payment, 1_000)
    results = await asyncio.gather(
        refunds(hall).refund(buyer, request),
        court.settle("OPEN", court.moved("dispute")),
        return_exceptions=True,
    )
    if isinstance(results[0], NotRefundable):
        assert await court.accounts() == {"income": 1_000, "disputes": -1_000}
    else:
        assert await court.accounts() == {"refunds_due": 1_000, "disputes": -1_000}


async def _locked(hall: Hall, person: UUID) -> str:
    return (
        f"SELECT pg_advisory_xact_lock(uuid_hash_extended('{person}',"
        f" uuid_hash_extended('{hall.schedule_id}', 0)))"
    )


async def test_a_dispute_waits_for_a_refund_of_its_person(court: Court, hall: Hall) -> None:
    async with hall.db.transaction() as other:
        await other.execute(await _locked(hall, hall.people[0]))
        settling = asyncio.create_task(court.settle("OPEN", court.moved("dispute")))
        done, _ = await asyncio.wait([settling], timeout=0.1)
        assert not done
    assert await settling == "booked"


def _entered(court: Court, amount_minor: int = 1_000, key: str = "k") -> EnteredDispute:
    payment = ScopedId(court.hall.schedule_id, court.payment.payment_id)
    unique = f"{key}-{court.payment.payment_id}"
    return EnteredDispute(payment, amount_minor, "Chargeback", NOW, None, unique)


async def test_an_operator_enters_a_chargeback_once(court: Court, hall: Hall) -> None:
    operator = hall.schedule_id
    first = await court.disputes.enter(operator, _entered(court))
    assert await court.disputes.enter(operator, _entered(court)) == first
    assert (first.status, first.entered_by, first.withdrawn_minor) == ("OPEN", operator, 1_000)
    assert await court.accounts() == {"income": 1_000, "disputes": -1_000}
    rows = await hall.db.fetch(
        "SELECT action FROM logbook WHERE details->>'dispute_id' = $1", str(first.dispute_id)
    )
    assert [row["action"] for row in rows] == ["dispute.entered"]


@pytest.mark.parametrize("outcome", ["won", "lost"])
async def test_an_operator_ends_what_was_entered(court: Court, hall: Hall, outcome: str) -> None:
    operator = hall.schedule_id
    entered = await court.disputes.enter(operator, _entered(court))
    for _ in range(2):
        ended = await court.disputes.close(
            operator,
            entered.dispute_id,
            outcome,  # type: ignore[arg-type]
            NOW,
        )
        assert (ended.status, ended.withdrawn_minor) == (outcome.upper(), 0)
    assert await court.accounts() == (
        {} if outcome == "lost" else {"income": 1_000, "cash": -1_000}
    )
    with pytest.raises(DisputeClosed):
        await court.disputes.close(
            operator, entered.dispute_id, "lost" if outcome == "won" else "won", NOW
        )


async def test_what_cannot_be_entered_is_refused(court: Court, hall: Hall) -> None:
    operator = hall.schedule_id
    with pytest.raises(Invalid):
        await court.disputes.enter(operator, _entered(court, 1_001))
    by_wallet = await sold(hall, hall.people[1], "S002")
    with pytest.raises(Invalid):
        await Court(hall, by_wallet).disputes.enter(operator, _entered(Court(hall, by_wallet)))
    unknown = ScopedId(hall.schedule_id, new_id())
    with pytest.raises(PaymentNotFound):
        await court.disputes.enter(
            operator, EnteredDispute(unknown, 1, "x", NOW, None, str(uuid4()))
        )
    await court.settle("OPEN", court.moved("dispute"))
    with pytest.raises(DisputeClosed):
        await court.disputes.close(operator, (await court.now()).dispute_id, "lost", NOW)
    with pytest.raises(DisputeNotFound):
        await court.disputes.close(operator, new_id(), "lost", NOW)


async def test_disputes_are_listed_by_status(court: Court) -> None:
    await court.settle("OPEN", court.moved("dispute"))
    mine = (await court.now()).dispute_id
    after = UUID(int=mine.int + 1)
    assert (await court.disputes.list(after, None, 1))[0].dispute_id == mine
    assert len(await court.disputes.list(after, None, 1)) == 1
    assert mine in [one.dispute_id for one in await court.disputes.list(None, "OPEN", 100)]
    assert mine not in [one.dispute_id for one in await court.disputes.list(None, "LOST", 100)]
    assert mine not in [one.dispute_id for one in await court.disputes.list(mine, None, 100)]
