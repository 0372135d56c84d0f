"""Sales that can be returned, and the use cases of refunds, over a hall of `hall.py`."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import msgspec

from boxoffice.payments.providers.port import (
    ProviderError,
    ProviderRefund,
    RefundOrder,
)
from boxoffice.payments.refunds import store
from boxoffice.payments.refunds.policy import Quote, RefundLine, RefundPolicy
from boxoffice.payments.refunds.service import Destination, RefundRequest, Refunds
from boxoffice.payments.refunds.store import Refund, RefundCommand, RefundOutcome, RefundStore
from boxoffice.payments.store import Payment, PaymentStore
from boxoffice.platform.ids import ScopedId, new_id
from tests.support.checkout import Checkout
from tests.support.fake_provider import FakeProvider
from tests.support.hall import Hall

ZONE = ZoneInfo("Asia/Seoul")

_POLICY = """
    INSERT INTO refund_policies (schedule_id, version, created_at, created_by, policy)
    VALUES ($1, 1, clock_timestamp(), $1, $2::text::jsonb)
"""


async def set_policy(hall: Hall, policy: RefundPolicy) -> None:
    """Give the schedule a policy, before anything is sold."""
    await hall.db.fetch(_POLICY, hall.schedule_id, msgspec.json.encode(policy).decode())


async def sold(hall: Hall, person: UUID, *seat_ids: str, provider: str = "") -> Payment:
    """Sell seats from the wallet, or through a provider that has captured the money."""
    reservation_id = await hall.held(person, *seat_ids)
    if provider:
        payment = await _sold_outside(hall, person, reservation_id, provider)
    else:
        payment = (await hall.pay(person, reservation_id)).payment
    if payment is None:
        raise AssertionError(reservation_id)
    return payment


async def _sold_outside(
    hall: Hall, person: UUID, reservation_id: UUID, provider: str
) -> Payment | None:
    checkout = Checkout(hall, FakeProvider(provider))
    intent = await checkout.open(person, reservation_id)
    done = await checkout.confirm(intent, f"pk-{reservation_id}")
    await checkout.close()
    if done.payment_id is None:
        raise AssertionError(done)
    return await PaymentStore(hall.db).get(hall.schedule_id, done.payment_id, person)


async def state(hall: Hall) -> dict[str, object]:
    """Everything that a refused refund must leave as it was."""
    queries = {
        "seats": "SELECT seat_id, state, version, reservation_id FROM seats WHERE schedule_id = $1",
        "tickets": "SELECT ticket_id, status FROM tickets WHERE schedule_id = $1",
        "reservations": "SELECT reservation_id, status FROM reservations WHERE schedule_id = $1",
        "refunds": "SELECT refund_id, status FROM refunds WHERE schedule_id = $1",
        "entries": "SELECT transfer_id, leg FROM ledger_entries WHERE schedule_id = $1",
        "outbox": "SELECT batch_id FROM outbox WHERE scope_id = $1",
    }
    return {
        name: sorted(map(str, await hall.db.fetch(query, hall.schedule_id)))
        for name, query in queries.items()
    } | {"balances": [await hall.balance(person) for person in hall.people]}


def refunds(hall: Hall) -> Refunds:
    """Return the use cases over a hall."""
    return Refunds(RefundStore(hall.db), ZONE)


def asked(
    hall: Hall,
    payment: Payment,
    expected_minor: int,
    *ticket_ids: UUID,
    key: str = "",
    destination: Destination = "original",
) -> RefundRequest:
    """Return a request to return tickets (none: all)."""
    scoped = ScopedId(hall.schedule_id, payment.payment_id)
    return RefundRequest(scoped, ticket_ids, expected_minor, destination, key or str(uuid4()))


async def decided(hall: Hall, payment: Payment, count: int) -> RefundOutcome:
    """Decide the refund of a payment's first tickets, past the checks of the service."""
    sale = await RefundStore(hall.db).sale(hall.schedule_id, payment.payment_id)
    if sale is None:
        raise AssertionError(payment)
    lines = tuple(RefundLine(str(one), 1_000, 0) for one in payment.ticket_ids[:count])
    command = RefundCommand(
        schedule_id=hall.schedule_id,
        payment_id=payment.payment_id,
        user_id=sale.user_id,
        refund_id=new_id(),
        quote=Quote(lines, sale.now + timedelta(minutes=1)),
        starts_at=sale.starts_at,
        reason="buyer",
        to_wallet=True,
        decided_by=sale.user_id,
        key=str(uuid4()),
        fingerprint=b"f",
    )
    async with RefundStore(hall.db).transaction() as connection:
        return await store.decide(connection, command)


async def returned(hall: Hall, person: UUID, payment: Payment, expected_minor: int) -> Refund:
    """Return all live tickets of a payment."""
    return await refunds(hall).refund(person, asked(hall, payment, expected_minor))


@dataclass
class FakeRefundProvider:
    """A provider that pays refunds once for each key, as those of the field do."""

    paid: dict[str, ProviderRefund] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    looked_up: int = 0
    fails_before: ProviderError | None = None
    fails_after: ProviderError | None = None
    refuses: bool = False
    is_slow: bool = False
    amount_off_by: int = 0

    async def refund(self, refund: RefundOrder, key: str) -> ProviderRefund:
        """Pay a refund."""
        self.calls.append(key)
        if self.fails_before is not None:
            error, self.fails_before = self.fails_before, None
            raise error
        if key not in self.paid:
            self.paid[key] = self._made(refund)
        if self.fails_after is not None:
            error, self.fails_after = self.fails_after, None
            raise error
        return self.paid[key]

    def _made(self, refund: RefundOrder) -> ProviderRefund:
        amount = refund.amount_minor + self.amount_off_by
        if self.refuses:
            return ProviderRefund(None, "FAILED", amount, refund.currency, "account closed")
        status: Literal["DONE", "PENDING"] = "PENDING" if self.is_slow else "DONE"
        happened_at = datetime.now(UTC)
        key = f"tx-{refund.refund_id}"
        return ProviderRefund(key, status, amount, refund.currency, None, happened_at)

    async def look_up_refund(self, refund: RefundOrder, key: str) -> ProviderRefund | None:
        """Return a refund, as it is after a while."""
        self.looked_up += 1
        found = self.paid.get(key)
        if found is not None and found.status == "PENDING" and not self.is_slow:
            found = self.paid[key] = self._made(refund)
        return found
