"""A cashier in this process, and a provider whose look-ups a test decides."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from zoneinfo import ZoneInfo

from boxoffice.cancellations.job import ChangeJobs
from boxoffice.cancellations.store import ChangeStore
from boxoffice.payments.cashier.intent_work import IntentWork
from boxoffice.payments.cashier.notice_work import NoticeWork
from boxoffice.payments.cashier.service import ROLE, Cashier, CashierDesk
from boxoffice.payments.cashier.store import Work, WorkStore
from boxoffice.payments.disputes.service import Disputes
from boxoffice.payments.disputes.store import DisputeStore
from boxoffice.payments.intents.store import Intent
from boxoffice.payments.notices.store import NoticeCommand, NoticeStore
from boxoffice.payments.providers.port import (
    PaymentStatus,
    ProviderNotice,
    ProviderPayment,
    ProviderUnavailable,
)
from boxoffice.payments.reconciliation.service import Reconciliation
from boxoffice.payments.reconciliation.store import StatementStore
from boxoffice.payments.refunds.execution import RefundExecutor
from boxoffice.payments.refunds.jobs import RefundJobs
from boxoffice.payments.refunds.service import Refunds
from boxoffice.payments.refunds.store import RefundStore
from boxoffice.platform.ids import ScopedId, new_id
from boxoffice.platform.lease.lease import Lease
from boxoffice.platform.lease.store import LeaseStore
from boxoffice.settings import Settings
from tests.support.checkout import BOUNDS, Checkout
from tests.support.fake_provider import FakeProvider
from tests.support.hall import Hall


class ShownProvider(FakeProvider):
    """A provider that can be away, wait with its look-ups, or show a payment in a given state."""

    def __init__(self, name: str = "toss") -> None:
        super().__init__(name)
        self.is_away = False
        self.shown: dict[str, PaymentStatus] = {}
        self.looked_up: list[str] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def look_up(self, order_id: str, payment_key: str | None) -> ProviderPayment | None:
        self.looked_up.append(order_id)
        await self.may_answer.wait()
        if self.is_away:
            raise ProviderUnavailable
        found = await super().look_up(order_id, payment_key)
        if found is None and order_id in self.shown:
            return ProviderPayment(order_id, "p", self.shown[order_id], 1_000, "KRW")
        return found


@dataclass
class Shop:
    """A pod, its provider, and a cashier."""

    hall: Hall
    checkout: Checkout
    provider: ShownProvider
    cashier: Cashier
    store: WorkStore
    notices: NoticeStore

    async def token(self) -> int:
        """Take the lease for another cashier; return its token."""
        await self.hall.db.fetch("DELETE FROM leases WHERE role = 'cashier'")
        token = await LeaseStore(self.hall.db, ROLE, new_id()).take(60_000)
        assert token is not None
        return token

    async def hurry(self) -> None:
        """Let the time pass that work waits for."""
        await self.hall.db.fetch("UPDATE cashier_work SET due_at = clock_timestamp()")

    async def settled(self) -> None:
        """Let the cashier do what is due now, once."""
        await self.hurry()
        await self.round()

    async def round(self) -> None:
        """Let the cashier do one round to its end."""
        await self.cashier.run_once()
        await asyncio.gather(*self.cashier.in_progress)

    async def work(self) -> list[Work]:
        """Return all work, due or not."""
        rows = await self.hall.db.fetch(
            "SELECT kind, subject_id, user_id, due_at, tries, NULL AS provider, "
            "clock_timestamp() AS now FROM cashier_work ORDER BY kind, subject_id"
        )
        return [Work(**dict(row)) for row in rows]

    async def waits_s(self, kind: str) -> float:
        """Return the seconds until work of a kind is due."""
        [one] = [one for one in await self.work() if one.kind == kind]
        return (one.due_at - one.now).total_seconds()

    async def notice(self, intent: Intent | None, **values: object) -> None:
        """Keep a notice about an intent, or about an order that does not exist."""
        own = ScopedId(new_id(), new_id())
        if intent is not None:
            own = ScopedId(intent.user_id, intent.intent_id)
        given = {"notice_id": str(new_id()), "kind": "k", "grade": "hint", "order_id": str(own)}
        notice = ProviderNotice(**{**given, **values})  # type: ignore[arg-type]
        await self.notices.insert([NoticeCommand(self.provider.name, notice, b"{}")])


async def no_holds(*_: object) -> int:
    """Release nothing."""
    return 0


async def no_issues(*_: object) -> int:
    """Make nothing void."""
    return 0


@asynccontextmanager
async def open_shop(hall: Hall, provider: ShownProvider | None = None) -> AsyncIterator[Shop]:
    """Lend a shop; its cashier has the lease after its first round."""
    provider = provider or ShownProvider()
    checkout = Checkout(hall, provider)
    work, notices = WorkStore(hall.db), NoticeStore(hall.db)
    settings, providers = Settings().cashier, {provider.name: provider}
    refunds = RefundStore(hall.db)
    confirmations, intents = checkout.confirmations, checkout.store
    executor = RefundExecutor(refunds, providers)
    intent_work = IntentWork(intents, confirmations, work, executor, BOUNDS.fence_s, settings)
    disputes = Disputes(DisputeStore(hall.db))
    desk = CashierDesk(
        intent_work,
        NoticeWork(notices, intents, intent_work, disputes, confirmations, providers, settings),
        executor,
        RefundJobs(refunds, Refunds(refunds, ZoneInfo("Asia/Seoul")), 1_000),
        ChangeJobs(ChangeStore(hall.db), no_holds, no_issues, 1).work,
        Reconciliation(StatementStore(hall.db), providers, timedelta(hours=1), timedelta(hours=2)),
    )
    await hall.db.fetch("DELETE FROM leases WHERE role = 'cashier'")
    lease = Lease(LeaseStore(hall.db, ROLE, new_id()), 60_000)
    cashier = Cashier(lease, work, notices, desk, providers, settings)
    try:
        yield Shop(hall, checkout, provider, cashier, work, notices)
    finally:
        provider.may_answer.set()
        await cashier.finish(5)
        await checkout.close()
