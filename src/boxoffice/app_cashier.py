"""The composition root of the cashier: a process without HTTP that sells what has been paid."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from boxoffice.app_parts import (
    Infrastructure,
    SeatServices,
    compose_infrastructure,
    compose_paid_exits,
    compose_seats,
)
from boxoffice.cancellations.job import ChangeJobs
from boxoffice.cancellations.store import ChangeStore
from boxoffice.inventory.issues.closing import IssueCloser
from boxoffice.inventory.issues.store import IssueStore
from boxoffice.payments.cashier.intent_work import IntentWork
from boxoffice.payments.cashier.notice_work import NoticeWork
from boxoffice.payments.cashier.role import run_rounds
from boxoffice.payments.cashier.service import ROLE, Cashier, CashierDesk
from boxoffice.payments.cashier.store import WorkStore
from boxoffice.payments.composition import compose_money
from boxoffice.payments.intents.composition import PaymentParts, bounds_of, compose_payments
from boxoffice.payments.intents.store import IntentStore
from boxoffice.payments.notices.store import NoticeStore
from boxoffice.payments.providers.port import Provider
from boxoffice.payments.providers.registry import open_providers
from boxoffice.payments.refunds.execution import RefundExecutor
from boxoffice.payments.refunds.store import RefundStore
from boxoffice.platform.concurrency.supervision import supervised
from boxoffice.platform.ids import new_id
from boxoffice.platform.lease.lease import Lease
from boxoffice.platform.lease.store import LeaseStore
from boxoffice.reservations.closing import HoldCloser
from boxoffice.reservations.store import ReservationStore
from boxoffice.settings import Settings


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run the cashier until `stop` is set; raises what the first connection to PostgreSQL raises."""
    async with open_cashier(settings) as cashier:
        await run_rounds(cashier, settings, stop)


@asynccontextmanager
async def open_cashier(settings: Settings) -> AsyncIterator[Cashier]:
    """Connect, follow the clock and the other pods' seat changes, and at the end disconnect."""
    infrastructure = compose_infrastructure(settings)
    seats = compose_seats(settings, infrastructure)
    try:
        await infrastructure.db.open()
        await infrastructure.clock.synchronize()
        tasks = {
            "clock": infrastructure.clock.keep_synchronized,
            "seat_change_bus": seats.change_bus.run,
        }
        async with open_providers(settings.providers) as providers, supervised(tasks):
            yield compose_cashier(settings, infrastructure, seats, providers)
            await _drain(settings, infrastructure, seats)
    finally:
        await seats.shared.close()
        await infrastructure.valkey.close()
        await infrastructure.db.close()


def compose_cashier(
    settings: Settings,
    infrastructure: Infrastructure,
    seats: SeatServices,
    providers: Mapping[str, Provider],
) -> Cashier:
    """Return the cashier of a process."""
    db = infrastructure.db
    on_paid = compose_paid_exits(settings, infrastructure).release
    parts = PaymentParts(db, infrastructure.group_commit, infrastructure.background, seats, on_paid)
    confirmations = compose_payments(settings, parts, providers).intents.confirmations
    intents, notices, work = IntentStore(db, bounds_of(settings)), NoticeStore(db), WorkStore(db)
    fence_s = settings.payments.payment_fence_s
    refunds = RefundExecutor(RefundStore(db), providers)
    money = compose_money(settings.payments, db, seats.publisher, providers)
    intent_work = IntentWork(intents, confirmations, work, refunds, fence_s, settings.cashier)
    return Cashier(
        Lease(LeaseStore(db, ROLE, new_id()), settings.cashier.cashier_lease_ms),
        work,
        notices,
        CashierDesk(
            intent_work,
            NoticeWork(
                notices,
                intents,
                intent_work,
                money.disputes,
                confirmations,
                providers,
                settings.cashier,
            ),
            refunds,
            money.refunds.jobs,
            _changes(settings, infrastructure, seats).work,
            money.reconciliation,
        ),
        providers,
        settings.cashier,
    )


def _changes(settings: Settings, infrastructure: Infrastructure, seats: SeatServices) -> ChangeJobs:
    closer = HoldCloser(ReservationStore(infrastructure.db), seats.publisher)
    store = ChangeStore(infrastructure.db)
    payments = settings.payments
    issues = IssueCloser(
        IssueStore(infrastructure.db), seats.publisher, payments.refund_job_max_per_s
    )
    return ChangeJobs(store, closer.release, issues.void, payments.schedule_change_settle_s)


async def _drain(settings: Settings, infrastructure: Infrastructure, seats: SeatServices) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(settings.server.drain_timeout_ms / 1000):
            await infrastructure.group_commit.close()
            await infrastructure.background.finish()
            await seats.change_bus.finish()
