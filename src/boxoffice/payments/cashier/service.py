"""One round of the cashier: keep the lease, and start what is due within the bounds of each queue.

Work is claimed in memory only, so that all of it is due for the next cashier when this one dies. A
second cashier (one that was frozen beyond its lease, say) repeats calls under the same keys and
settles what is settled; it neither ends nor postpones work, because its token is old.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from boxoffice.errors import PaymentProviderUnavailable, Problem, Unavailable
from boxoffice.observability.logs import log
from boxoffice.observability.tracing import spans
from boxoffice.payments.cashier import metrics, rules
from boxoffice.payments.cashier.intent_work import IntentWork
from boxoffice.payments.cashier.notice_work import NoticeWork
from boxoffice.payments.cashier.rules import WorkKind
from boxoffice.payments.cashier.store import Work, WorkStore
from boxoffice.payments.notices.store import NoticeStore, StoredNotice
from boxoffice.payments.providers.port import Provider, ProviderError
from boxoffice.payments.reconciliation.service import Reconciliation
from boxoffice.payments.refunds.execution import RefundExecutor
from boxoffice.payments.refunds.jobs import RefundJobs
from boxoffice.platform.lease.lease import Lease
from boxoffice.settings import CashierSettings

ROLE = "cashier"
_MEASURED_EVERY_S = 5.0
_TIDIED_EVERY_S = 60.0


# Goes on with the job of a changed performance; returns the seconds until it is due again.
WorksOffChange = Callable[[UUID, asyncio.Event], Awaitable[float | None]]


@dataclass(frozen=True)
class CashierDesk:
    """What does each kind of work."""

    intents: IntentWork
    notices: NoticeWork
    refunds: RefundExecutor
    jobs: RefundJobs
    changes: WorksOffChange
    reconciliation: Reconciliation


class Cashier:
    """Works off `cashier_work` and the notices while it holds the lease."""

    def __init__(
        self,
        lease: Lease,
        work: WorkStore,
        notices: NoticeStore,
        desk: CashierDesk,
        providers: Mapping[str, Provider],
        settings: CashierSettings,
    ) -> None:
        self._lease = lease
        self._store = work
        self._notices = notices
        self._desk = desk
        self._providers = providers
        self._settings = settings
        self.concurrent_max = settings.cashier_concurrent_max
        # The work in progress, by queue and name.
        self._running: dict[tuple[str, Hashable], asyncio.Task[None]] = {}
        self._counts: Counter[str] = Counter()
        self._stopping = asyncio.Event()
        self._measure_at = 0.0
        self._tidy_at = 0.0
        self._reconcile_at = 0.0
        self._do: Mapping[str, Callable[[Work], Awaitable[float | None]]] = {
            WorkKind.LOOK_UP: desk.intents.look_up,
            WorkKind.RENEW: desk.intents.renew,
            WorkKind.EXPIRE: desk.intents.expire,
            WorkKind.ABANDON: desk.intents.abandon,
            WorkKind.REFUND: self._refund,
            WorkKind.REFUND_JOB: self._refund_job,
            WorkKind.SCHEDULE_CHANGE: self._schedule_change,
        }

    @property
    def leads(self) -> bool:
        """Whether this cashier holds the lease now."""
        return self._lease.token is not None

    @property
    def in_progress(self) -> list["asyncio.Task[None]"]:
        """The tasks of the work that was started and has not ended."""
        return list(self._running.values())

    async def run_once(self) -> int:
        """Start what is due; return how much was started, 0 while another cashier leads.

        Raises what the database raises.
        """
        if await self._lease.keep() is None:
            self._stopping.set()
            metrics.forget_work()
            return 0
        self._stopping.clear()
        started = await self._start_work("")
        for name, provider in self._providers.items():
            metrics.PROVIDER_AVAILABLE.labels(name).set(provider.is_available)
            # guard: provider_that_is_away_is_spared => if True:
            if provider.is_available:
                started += await self._start_work(name)
                started += await self._start_notices(name)
        await self._measure_and_tidy()
        return started

    async def finish(self, timeout_s: float) -> None:
        """Let the work in progress end, or leave it due for the next cashier; release the lease."""
        self._stopping.set()
        tasks = self.in_progress
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=timeout_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._lease.release()

    async def _start_work(self, queue: str) -> int:
        # guard: work_in_progress_is_bounded => free = 1_000
        free = self.concurrent_max - self._counts[queue]
        if free <= 0:
            return 0
        found = await self._store.due(queue, self._providers, self._names(queue), free)
        for one in found:
            self._start(queue, one.subject_id, self._run_work(one))
        return len(found)

    async def _start_notices(self, provider: str) -> int:
        queue = f"notices of {provider}"
        free = self.concurrent_max - self._counts[queue]
        if free <= 0:
            return 0
        found = await self._notices.due(provider, self._names(queue), free)
        for one in found:
            self._start(queue, one.notice_id, self._run_notice(one))
        return len(found)

    def _names(self, queue: str) -> list[Any]:
        return [name for of, name in self._running if of == queue]

    def _start(self, queue: str, name: Hashable, work: Any) -> None:
        if (queue, name) in self._running:
            work.close()
            return
        self._counts[queue] += 1
        task = self._running[queue, name] = asyncio.create_task(work)
        task.add_done_callback(lambda _: self._ended(queue, name))

    def _ended(self, queue: str, name: Hashable) -> None:
        self._counts[queue] -= 1
        del self._running[queue, name]

    async def _run_work(self, work: Work) -> None:
        do = self._do.get(work.kind, self._unknown_kind)
        outcome, after_s = await self._tried(work.kind, work.tries, do, work)
        metrics.WORK_DONE.labels(work.kind, outcome).inc()
        await self._write(work, after_s)

    async def _write(self, work: Work, after_s: float | None) -> None:
        token = self._lease.token
        # Without a token the statements would change nothing.
        if token is None:
            return
        try:
            if after_s is None:
                await self._store.done(work, token)
            else:
                await self._store.postpone(work, token, after_s)
        except Exception as error:  # it stays due
            log.warning("cashier_work_not_written", kind=work.kind, error=repr(error))

    async def _run_notice(self, notice: StoredNotice) -> None:
        handle = self._desk.notices.handle
        outcome, after_s = await self._tried("notice", notice.tries, handle, notice)
        metrics.WORK_DONE.labels("notice", outcome).inc()
        token = self._lease.token
        if token is None:
            return
        try:
            if after_s is None:
                await self._notices.handled(notice, token)
            else:
                await self._notices.postpone(notice, token, after_s)
        except Exception as error:  # it stays due
            log.warning("cashier_work_not_written", kind="notice", error=repr(error))

    async def _tried(
        self, kind: str, tries: int, do: Callable[[Any], Awaitable[float | None]], subject: Any
    ) -> tuple[str, float | None]:
        """Do a piece of work; return its outcome, and when it is due again."""
        first_s, max_s = self._settings.cashier_retry_first_s, self._settings.cashier_retry_max_s
        again_s = rules.retry_after_s(tries, first_s, max_s)
        try:
            with spans.span(f"cashier {kind}", {"boxoffice.tries": tries}):
                after_s = await do(subject)
        except (ProviderError, PaymentProviderUnavailable) as error:
            log.warning("cashier_provider_failed", kind=kind, tries=tries, error=repr(error))
            return "provider_failed", again_s
        except Unavailable as error:
            log.warning("cashier_work_delayed", kind=kind, tries=tries, error=str(error))
            return "delayed", again_s
        except Problem as error:
            log.warning("cashier_work_refused", kind=kind, tries=tries, code=error.code)
            return "refused", again_s
        except Exception as error:  # one piece of work never ends the role
            log.error("cashier_work_failed", kind=kind, tries=tries, exc_info=error)
            return "failed", max_s
        return ("done", None) if after_s is None else ("later", after_s)

    async def _refund(self, work: Work) -> float | None:
        # It plans its next try itself.
        await self._desk.refunds.execute_refund(work.user_id, work.subject_id, work.tries)
        return None

    async def _refund_job(self, work: Work) -> float | None:
        is_finished = await self._desk.jobs.work(work.subject_id, self._stopping)
        return None if is_finished else 0.0

    async def _schedule_change(self, work: Work) -> float | None:
        return await self._desk.changes(work.subject_id, self._stopping)

    async def _reconcile(self) -> None:
        """Compare the statements that are due; a run goes on from its last page after a crash."""
        try:
            await self._desk.reconciliation.run_due()
        except Unavailable as error:
            log.warning("cashier_work_delayed", kind="reconcile", tries=0, error=str(error))
        except Exception as error:  # the next run goes on
            log.error("cashier_work_failed", kind="reconcile", tries=0, exc_info=error)

    async def _unknown_kind(self, work: Work) -> float | None:
        # Of another release, whose cashier does it.
        log.error("cashier_work_unknown", kind=work.kind)
        return self._settings.cashier_retry_max_s

    async def _measure_and_tidy(self) -> None:
        now = time.monotonic()
        if now >= self._measure_at:
            self._measure_at = now + _MEASURED_EVERY_S
            metrics.WORK_LENGTH.clear()
            metrics.WORK_AGE_SECONDS.clear()
            for one in await self._store.lengths():
                metrics.WORK_LENGTH.labels(one.kind).set(one.length)
                metrics.WORK_AGE_SECONDS.labels(one.kind).set(one.age_s)
        if now >= self._reconcile_at:
            self._reconcile_at = now + self._settings.cashier_reconcile_interval_s
            self._start("statements", "due", self._reconcile())
        if now >= self._tidy_at:
            self._tidy_at = now + _TIDIED_EVERY_S
            await self._notices.drop_old(self._settings.notice_retention_s)
