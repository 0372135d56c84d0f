"""A payment provider in memory, behind the port: a book, idempotency by key, and faults on request.

Processes that pay at one provider share one object. The simulators of the real wire formats are a
package of their own.
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum, auto

from boxoffice.payments.providers.port import (
    DeclineReason,
    Movement,
    Opened,
    PaymentOrder,
    PaymentStatus,
    ProviderDeclined,
    ProviderDispute,
    ProviderNotice,
    ProviderPayment,
    ProviderRefund,
    ProviderUnavailable,
    ProviderUnknown,
    RefundOrder,
    StatementPage,
)


class Fault(Enum):
    """What becomes of the next confirmation."""

    DECLINE = auto()
    LOST_BEFORE = auto()  # the call does not arrive; the outcome is unknown
    LOST_AFTER = auto()  # the money moves and the answer is lost
    UNAVAILABLE = auto()  # certainly not sent


class FakeProvider:
    """Takes money by order, once for each key, and refuses another key for an order that is paid."""

    def __init__(self, name: str = "toss", *, makes_payments: bool = False) -> None:
        self.name = name
        self.session_s = 2_400.0
        self.is_test = True
        self.opens_by_call = makes_payments
        self.is_available = True
        self.open_fails: Exception | None = None
        self.opened_count = 0
        self.amount_min = 1
        self.faults: list[Fault] = []
        self.confirmed: list[tuple[str, str]] = []
        self.book: dict[str, ProviderPayment] = {}
        self.refunded: dict[str, int] = {}
        self.abandoned: list[str] = []
        self.is_asked = asyncio.Event()
        self.answers = asyncio.Event()
        self.answers.set()
        self._answers: dict[str, ProviderPayment | ProviderDeclined] = {}
        self._makes_payments = makes_payments

    @property
    def captured_minor(self) -> int:
        """The sum of its captures."""
        return sum(
            movement.amount_minor for one in self.book.values() for movement in one.movements
        )

    def accepts(self, amount_minor: int, currency: str) -> bool:
        return currency == "KRW" and amount_minor >= self.amount_min

    async def open(self, order: PaymentOrder, key: str) -> Opened:
        self.opened_count += 1
        if self.open_fails is not None:
            raise self.open_fails
        made = f"made-{order.order_id}" if self._makes_payments else None
        return Opened({"order_id": order.order_id, "key": key}, made)

    async def confirm(self, order: PaymentOrder, payment_key: str, key: str) -> ProviderPayment:
        self.confirmed.append((order.order_id, key))
        self.is_asked.set()
        fault = self.faults.pop(0) if self.faults else None
        if fault is Fault.UNAVAILABLE:
            raise ProviderUnavailable
        if fault is Fault.LOST_BEFORE:
            raise ProviderUnknown
        answer = self._answers.setdefault(key, self._decide(order, payment_key, fault))
        await self.answers.wait()
        if fault is Fault.LOST_AFTER:
            raise ProviderUnknown
        if isinstance(answer, ProviderDeclined):
            raise answer
        return answer

    def _decide(
        self, order: PaymentOrder, payment_key: str, fault: Fault | None
    ) -> ProviderPayment | ProviderDeclined:
        if fault is Fault.DECLINE:
            return ProviderDeclined(DeclineReason.CARD_DECLINED, "REJECT_CARD_COMPANY")
        if order.order_id in self.book:
            return self.book[order.order_id]
        return self.capture(order.order_id, order.amount_minor, order.currency, payment_key)

    def capture(
        self, order_id: str, amount_minor: int, currency: str = "KRW", payment_key: str = "p"
    ) -> ProviderPayment:
        """Take the money of an order, as a deposit or another path may."""
        movement = Movement(
            f"{order_id}-capture", "capture", amount_minor, currency, datetime.now(UTC)
        )
        self.book[order_id] = ProviderPayment(
            order_id, payment_key, PaymentStatus.CAPTURED, amount_minor, currency, (movement,)
        )
        return self.book[order_id]

    async def look_up(self, order_id: str, payment_key: str | None) -> ProviderPayment | None:
        return self.book.get(order_id)

    async def abandon(self, order: PaymentOrder, payment_key: str | None, key: str) -> None:
        self.abandoned.append(order.order_id)

    async def refund(self, refund: RefundOrder, key: str) -> ProviderRefund:
        self.refunded[refund.refund_id] = refund.amount_minor
        return ProviderRefund(key, "DONE", refund.amount_minor, refund.currency)

    async def look_up_refund(self, refund: RefundOrder, key: str) -> ProviderRefund | None:
        if refund.refund_id not in self.refunded:
            return None
        return ProviderRefund(key, "DONE", refund.amount_minor, refund.currency)

    async def look_up_dispute(self, dispute_key: str) -> ProviderDispute | None:
        return None

    async def statement(
        self, since: datetime, until: datetime, cursor: str | None = None
    ) -> StatementPage:
        return StatementPage((), None)

    def read_notice(self, headers: Mapping[str, str], body: bytes) -> ProviderNotice:
        raise NotImplementedError("tests of notices use the simulators")
