"""Refunds through a provider: paid once, whatever is lost on the way, and booked once."""

import asyncio
from uuid import UUID

import msgspec
import pytest

from boxoffice.errors import RefundNotFound, RefundNotManual
from boxoffice.payments.providers.port import (
    DeclineReason,
    ProviderDeclined,
    ProviderError,
    ProviderMisconfigured,
    ProviderUnavailable,
    ProviderUnknown,
)
from boxoffice.payments.refunds import store
from boxoffice.payments.refunds.administration import RefundAdministration
from boxoffice.payments.refunds.execution import Execution, RefundExecutor
from boxoffice.payments.refunds.store import Refund, RefundStore
from boxoffice.platform.ids import new_id
from tests.support.hall import Hall
from tests.support.invariants import broken
from tests.support.refunds import FakeRefundProvider, returned, sold


class Counter:
    """A cashier with one provider."""

    def __init__(self, hall: Hall) -> None:
        self.hall = hall
        self.provider = FakeRefundProvider()
        self.store = RefundStore(hall.db)
        self.executor = RefundExecutor(self.store, {"toss": self.provider})  # type: ignore[dict-item]
        self.administration = RefundAdministration(self.store)

    async def owed(self, seat_id: str = "S001") -> Refund:
        """Return a refund that is decided and not paid."""
        buyer = self.hall.people[0]
        payment = await sold(self.hall, buyer, seat_id, provider="toss")
        return await returned(self.hall, buyer, payment, 1_000)

    async def execute(self, refund: Refund) -> Execution:
        """Pay a refund, in a process that knows nothing of it."""
        executor = RefundExecutor(self.store, {"toss": self.provider})  # type: ignore[dict-item]
        return await executor.execute_refund(refund.user_id, refund.refund_id)

    async def now(self, refund: Refund) -> Refund:
        """Return a refund as it is now."""
        found = await self.store.get(refund.user_id, refund.refund_id)
        assert found is not None
        return found

    async def accounts(self) -> dict[str, int]:
        """Return the sums of the buyer's entries by account, without the gift in the wallet."""
        rows = await self.hall.db.fetch(
            "SELECT e.account, sum(e.amount_minor)::bigint AS minor"
            " FROM ledger_entries e JOIN transfers t USING (user_id, transfer_id)"
            " WHERE user_id = $1 AND t.kind <> 'charge' GROUP BY 1 HAVING sum(e.amount_minor) <> 0",
            self.hall.people[0],
        )
        return {row["account"]: row["minor"] for row in rows}

    async def counts(self, refund: Refund) -> tuple[int, int, int]:
        """Return how many calls, answers and pieces of work a refund has."""
        [row] = await self.hall.db.fetch(
            "SELECT (SELECT count(*) FROM provider_calls WHERE refund_id = $1) AS calls,"
            " (SELECT count(*) FROM provider_answers a JOIN provider_calls c USING (user_id, call_id)"
            "   WHERE c.refund_id = $1) AS answers,"
            " (SELECT count(*) FROM cashier_work WHERE subject_id = $1) AS work",
            refund.refund_id,
        )
        return row["calls"], row["answers"], row["work"]

    async def booked(self) -> list[tuple[str, str, int]]:
        """Return what the provider moved after the sale, as it is booked."""
        rows = await self.hall.db.fetch(
            "SELECT kind, transaction_key, amount_minor FROM provider_transactions"
            " WHERE user_id = $1 AND kind <> 'capture' ORDER BY booked_at",
            self.hall.people[0],
        )
        return [tuple(row) for row in rows]


@pytest.fixture
def counter(hall: Hall) -> Counter:
    """A cashier of one hall."""
    return Counter(hall)


async def test_a_refund_is_paid_and_booked(counter: Counter, hall: Hall) -> None:
    refund = await counter.owed()
    assert await counter.execute(refund) is Execution.DONE
    paid = await counter.now(refund)
    assert (paid.status, paid.closed_at is not None) == ("DONE", True)
    assert counter.provider.calls == [str(refund.refund_id)]
    assert await counter.accounts() == {}
    assert await counter.counts(refund) == (1, 1, 0)
    assert await counter.booked() == [("refund", f"tx-{refund.refund_id}", 1_000)]
    assert await hall.topics(refund.refund_id) == ["refund.succeeded"]
    assert await hall.balance(hall.people[0]) == 5_000
    assert not await broken(hall.db, hall.schedule_id)


async def test_a_paid_refund_is_not_paid_again(counter: Counter) -> None:
    refund = await counter.owed()
    await counter.execute(refund)
    assert await counter.execute(refund) is Execution.NOTHING_OWED
    assert len(counter.provider.calls) == 1


async def test_two_cashiers_pay_once(counter: Counter) -> None:
    refund = await counter.owed()
    await asyncio.gather(*(counter.execute(refund) for _ in range(4)))
    assert set(counter.provider.calls) == {str(refund.refund_id)}
    assert await counter.booked() == [("refund", f"tx-{refund.refund_id}", 1_000)]
    assert await counter.accounts() == {}


async def test_a_lost_answer_is_looked_up_and_not_sent_again(counter: Counter) -> None:
    refund = await counter.owed()
    counter.provider.fails_after = ProviderUnknown("cut")
    assert await counter.execute(refund) is Execution.LATER
    assert (await counter.now(refund)).status == "PENDING"
    assert await counter.execute(refund) is Execution.DONE
    assert (len(counter.provider.calls), counter.provider.looked_up) == (1, 1)


async def test_a_call_that_did_not_arrive_is_sent_again_under_its_key(counter: Counter) -> None:
    refund = await counter.owed()
    counter.provider.fails_before = ProviderUnknown("cut")
    assert await counter.execute(refund) is Execution.LATER
    assert await counter.execute(refund) is Execution.DONE
    assert counter.provider.calls == [str(refund.refund_id)] * 2
    assert await counter.counts(refund) == (2, 2, 0)


async def test_a_process_that_died_after_the_call_leaves_a_trace(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    refund = await counter.owed()

    async def dies(*_: object, **__: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(RefundStore, "answered", dies)
        with pytest.raises(RuntimeError):
            await counter.execute(refund)
    assert await counter.counts(refund) == (1, 0, 1)
    assert await counter.execute(refund) is Execution.DONE
    assert (len(counter.provider.calls), counter.provider.looked_up) == (1, 1)


@pytest.mark.parametrize("error", [ProviderUnavailable("open"), ProviderMisconfigured("key")])
async def test_a_provider_that_is_away_is_asked_later(
    counter: Counter, error: ProviderError
) -> None:
    refund = await counter.owed()
    counter.provider.fails_before = error
    assert await counter.execute(refund) is Execution.LATER
    calls, answers, work = await counter.counts(refund)
    assert (calls, answers, work) == (1, 1, 1)
    [row] = await counter.hall.db.fetch(
        "SELECT due_at > clock_timestamp() AS later, tries FROM cashier_work WHERE subject_id = $1",
        refund.refund_id,
    )
    assert row["later"]
    assert row["tries"] > 0


async def test_a_refund_under_way_is_not_booked_before_it_arrives(counter: Counter) -> None:
    refund = await counter.owed()
    counter.provider.is_slow = True
    assert await counter.execute(refund) is Execution.LATER
    assert await counter.execute(refund) is Execution.LATER
    assert await counter.accounts() == {"cash": -1_000, "refunds_due": 1_000}
    counter.provider.is_slow = False
    assert await counter.execute(refund) is Execution.DONE
    assert len(counter.provider.calls) == 1


async def test_another_amount_is_not_booked(counter: Counter) -> None:
    refund = await counter.owed()
    counter.provider.amount_off_by = 1
    assert await counter.execute(refund) is Execution.LATER
    assert (await counter.now(refund)).status == "PENDING"
    assert await counter.booked() == []
    for tries, execution in ((2, Execution.LATER), (3, Execution.MANUAL)):
        found = await counter.executor.execute_refund(refund.user_id, refund.refund_id, tries)
        assert found is execution
    waiting = await counter.now(refund)
    assert (waiting.status, waiting.failure) == ("MANUAL", "amount_differs")
    assert await counter.booked() == []
    assert len(counter.provider.calls) == 1


async def test_a_provider_that_is_not_connected_keeps_the_refund_owed(counter: Counter) -> None:
    refund = await counter.owed()
    executor = RefundExecutor(counter.store, {})
    assert await executor.execute_refund(refund.user_id, refund.refund_id) is Execution.LATER
    assert (await counter.now(refund)).status == "PENDING"


@pytest.mark.parametrize("how", ["answer", "decline"])
async def test_a_refused_refund_waits_for_an_operator(
    counter: Counter, hall: Hall, how: str
) -> None:
    refund = await counter.owed()
    if how == "answer":
        counter.provider.refuses = True
    else:
        counter.provider.fails_before = ProviderDeclined(DeclineReason.OTHER, "NOT_CANCELABLE")
    assert await counter.execute(refund) is Execution.MANUAL
    waiting = await counter.now(refund)
    assert waiting.status == "MANUAL"
    assert waiting.failure == ("account closed" if how == "answer" else "NOT_CANCELABLE")
    assert await hall.topics(refund.refund_id) == ["refund.failed"]
    assert await counter.accounts() == {"cash": -1_000, "refunds_due": 1_000}
    assert refund.refund_id in [
        one.refund_id for one in await counter.administration.manual(None, 99)
    ]
    assert await counter.execute(refund) is Execution.NOTHING_OWED


async def _refused(counter: Counter, seat_id: str = "S001") -> Refund:
    refund = await counter.owed(seat_id)
    counter.provider.refuses = True
    await counter.execute(refund)
    counter.provider.refuses = False
    return refund


async def _resolve(counter: Counter, refund_id: UUID, *, to_wallet: bool = True) -> Refund:
    operator = counter.hall.schedule_id
    return await counter.administration.resolve(
        operator, refund_id, to_wallet=to_wallet, note="Agreed by phone"
    )


async def test_a_refused_refund_becomes_wallet_credit(counter: Counter, hall: Hall) -> None:
    refund, untouched = await _refused(counter), await _refused(counter, "S002")
    resolved = await _resolve(counter, refund.refund_id)
    assert (resolved.status, resolved.destination) == ("DONE", "wallet")
    assert await hall.balance(hall.people[0]) == 6_000
    assert await hall.balance(hall.people[1]) == 5_000
    assert (await counter.now(untouched)).status == "MANUAL"
    assert await counter.accounts() == {"cash": -2_000, "refunds_due": 1_000, "wallet": 1_000}
    assert await hall.topics(refund.refund_id) == ["refund.failed", "refund.succeeded"]
    [row] = await hall.db.fetch(
        "SELECT actor_id, details->>'note' AS note FROM logbook WHERE action = 'refund.resolved'"
        " AND details->>'refund_id' = $1",
        str(refund.refund_id),
    )
    assert tuple(row) == (hall.schedule_id, "Agreed by phone")


async def test_a_refused_refund_may_be_paid_outside(counter: Counter, hall: Hall) -> None:
    refund = await _refused(counter)
    assert (await _resolve(counter, refund.refund_id, to_wallet=False)).status == "DONE"
    assert await counter.accounts() == {}
    assert await hall.balance(hall.people[0]) == 5_000


async def test_a_resolution_counts_once(counter: Counter, hall: Hall) -> None:
    refund = await _refused(counter)
    await asyncio.gather(*(_resolve(counter, refund.refund_id) for _ in range(4)))
    await _resolve(counter, refund.refund_id)
    assert await hall.balance(hall.people[0]) == 6_000
    with pytest.raises(RefundNotManual):
        await _resolve(counter, refund.refund_id, to_wallet=False)


async def test_only_what_waits_is_resolved(counter: Counter, hall: Hall) -> None:
    pending = await counter.owed()
    for refund_id in (pending.refund_id, new_id()):
        with pytest.raises(RefundNotFound):
            await _resolve(counter, refund_id)
    assert await counter.store.settle(pending, "FAILED", failure="closed") == "booked"
    await hall.db.fetch(
        "UPDATE refunds SET status = 'PENDING' WHERE refund_id = $1", pending.refund_id
    )
    with pytest.raises(RefundNotManual):
        await _resolve(counter, pending.refund_id)
    assert await hall.balance(hall.people[0]) == 5_000


async def test_a_wallet_of_another_currency_takes_no_credit(counter: Counter, hall: Hall) -> None:
    refund = await _refused(counter)
    buyer = hall.people[0]
    await hall.db.fetch("UPDATE wallets SET currency = 'USD' WHERE user_id = $1", buyer)
    with pytest.raises(RefundNotManual):
        await _resolve(counter, refund.refund_id)
    await hall.db.fetch("UPDATE wallets SET currency = 'KRW' WHERE user_id = $1", buyer)
    assert (await counter.now(refund)).status == "MANUAL"


async def test_money_that_comes_back_is_owed_again(counter: Counter, hall: Hall) -> None:
    refund = await counter.owed()
    await counter.execute(refund)
    paid = await counter.now(refund)
    for _ in range(2):
        await counter.store.settle(paid, "CAME_BACK", key="back-1", failure="account closed")
    assert (await counter.now(refund)).status == "MANUAL"
    assert await counter.accounts() == {"cash": -1_000, "refunds_due": 1_000}
    assert [kind for kind, _, _ in await counter.booked()] == ["refund", "refund_failed"]
    assert await hall.topics(refund.refund_id) == ["refund.succeeded", "refund.failed"]


async def test_what_was_never_paid_does_not_come_back(counter: Counter) -> None:
    refund = await counter.owed()
    assert await counter.store.settle(refund, "CAME_BACK", key="back", failure="?") == "replayed"
    assert await counter.booked() == []


async def test_an_unknown_refund_is_not_settled(counter: Counter) -> None:
    refund, other = await counter.owed(), await counter.owed("S002")
    unknown = msgspec.structs.replace(refund, refund_id=new_id())
    assert await counter.store.settle(unknown, "DONE", key="t") == "refund_not_found"
    await counter.store.settle(refund, "DONE", key="t1")
    assert (await counter.now(other)).status == "PENDING"


async def test_a_paid_refund_is_not_begun(counter: Counter) -> None:
    refund = await counter.owed()
    await counter.execute(refund)
    assert not await counter.store.begin(refund, new_id(), 1.0)
    assert await counter.counts(refund) == (1, 1, 0)


async def test_nothing_is_resolved_without_a_refund(counter: Counter, hall: Hall) -> None:
    async with counter.store.transaction() as connection:
        outcome = await store.resolve(connection, hall.people[0], new_id(), to_wallet=True)
    assert outcome == "refund_not_found"
    assert await hall.balance(hall.people[0]) == 5_000


async def test_another_refunds_work_stays(counter: Counter) -> None:
    refund, other = await counter.owed(), await counter.owed("S002")
    await counter.execute(refund)
    assert (await counter.counts(refund))[2] == 0
    assert (await counter.counts(other))[2] == 1


_LATE = """
    WITH intent AS (
        INSERT INTO payment_intents (
            user_id, intent_id, amount_minor, created_at, changed_at, session_ends_at, purpose,
            provider, currency, status, payment_key, idempotency_key, fingerprint)
        VALUES ($1, $2, 700, now(), now(), now(), 'top_up', 'toss', 'KRW', 'RETURNING', $3, $3, '')
    )
    INSERT INTO refunds (
        user_id, refund_id, intent_id, amount_minor, created_at, changed_at, reason, destination,
        currency, provider, payment_key, is_whole, idempotency_key, fingerprint)
    VALUES ($1, $2, $2, 700, now(), now(), 'late', 'provider', 'KRW', 'toss', $3, true, $3, '')
"""


@pytest.mark.parametrize("status", ["DONE", "FAILED"])
async def test_an_intent_ends_when_its_money_is_back(
    counter: Counter, hall: Hall, status: str
) -> None:
    buyer, intent_id = hall.people[0], new_id()
    await hall.db.fetch(_LATE, buyer, intent_id, f"late {intent_id}")
    refund = await counter.store.get(buyer, intent_id)
    assert refund is not None
    assert (
        await counter.store.settle(refund, status, key=f"tx-{intent_id}", failure="?") == "booked"
    )
    [row] = await hall.db.fetch(
        "SELECT status, closed_at IS NOT NULL AS is_closed FROM payment_intents WHERE intent_id = $1",
        intent_id,
    )
    assert tuple(row) == (("RETURNED", True) if status == "DONE" else ("RETURNING", False))


async def test_pages_of_manual_cases(counter: Counter) -> None:
    refunds = [await _refused(counter, f"S00{at}") for at in range(1, 4)]
    ids = [one.refund_id for one in refunds]
    await counter.execute(await counter.owed("S004"))
    before = UUID(int=ids[0].int - 1)
    page = await counter.administration.manual(before, 2)
    assert [one.refund_id for one in page] == ids[:2]
    rest = await counter.administration.manual(ids[1], 2)
    assert [one.refund_id for one in rest] == ids[2:]
