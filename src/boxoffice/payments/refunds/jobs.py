"""Refunds of whole schedules: started by organizers, worked off by the cashier.

A job is a pass over the payments of a schedule, in the order of their ids. It notes its place after
each payment, so that another process goes on after a crash. The refund of a payment has a key of the
job, and is decided once however often the pass comes by.
"""

import asyncio
import time
from collections.abc import Sequence
from uuid import UUID

from boxoffice.activity_log import Action, record
from boxoffice.errors import AlreadyRefunded, Rejection, SaleOpen, ScheduleNotFound
from boxoffice.observability.logs import log
from boxoffice.payments.refunds import store
from boxoffice.payments.refunds.service import Refunds
from boxoffice.payments.refunds.store import RefundJob, RefundStore
from boxoffice.permissions import Actor, OrganizationIds
from boxoffice.platform.ids import ScopedId

# A hold may be paid after the sale was closed; its payment is refunded by a later pass.
_NEXT_PASS_S = 60.0
_AT_ONCE_MAX = 8


class RefundJobs:
    """Starts jobs and works them off; at most `per_s` payments per second of each job.

    A job of a performance that was cancelled less than `settle_s` ago is not finished: a hold that was
    in flight may still be paid.
    """

    def __init__(
        self, jobs: RefundStore, refunds: Refunds, per_s: float, settle_s: float = 60.0
    ) -> None:
        self._store = jobs
        self._refunds = refunds
        self._pause_s = 1 / per_s
        self._settle_s = settle_s
        # Few enough to be fair to other work, and no more than the rate allows in a moment.
        self._at_once = max(1, min(_AT_ONCE_MAX, int(per_s / 10)))

    async def start(
        self,
        actor: Actor,
        schedule_id: UUID,
        key: str,
        *,
        with_compensation: bool,
        request_id: str = "",
    ) -> RefundJob:
        """Begin the refund of all tickets of a schedule; a repetition returns the same job.

        Raises `ScheduleNotFound`, `SaleOpen` and `RefundJobRunning`.
        """
        async with self._store.transaction() as connection:
            schedule = await store.lock_schedule(connection, schedule_id, actor.organization_ids)
            # guard: job_only_of_own_schedule => if False:
            if schedule is None:
                raise ScheduleNotFound
            earlier = await store.job_by_key(connection, schedule_id, key)
            if earlier is not None:
                return earlier
            # guard: job_only_after_the_sale => if False:
            if schedule.status == "OPEN":
                raise SaleOpen
            job_id = await store.start_job(
                connection, schedule_id, actor.user_id, key, with_compensation=with_compensation
            )
            action = Action(
                organization_id=schedule.organization_id,
                actor_id=actor.user_id,
                action="schedule.refunded",
                request_id=request_id,
                concert_id=schedule.concert_id,
                schedule_id=schedule_id,
                details={"job_id": str(job_id), "with_compensation": with_compensation},
            )
            await record(connection, action)
        return await self.get(actor.organization_ids, schedule_id, job_id)

    async def begin(
        self,
        connection: store.Connection,
        schedule_id: UUID,
        asked_by: UUID,
        key: str,
        *,
        with_compensation: bool,
    ) -> UUID:
        """Begin the refund of a cancelled schedule in the caller's transaction; return the job's id.

        The caller has locked the schedule. A job that is running goes on and is returned instead; what
        it has not refunded yet is refunded with the compensation.
        """
        running = await store.join_job(connection, schedule_id, with_compensation=with_compensation)
        if running is not None:
            return running
        return await store.start_job(
            connection, schedule_id, asked_by, key, with_compensation=with_compensation
        )

    async def get(
        self, organization_ids: OrganizationIds, schedule_id: UUID, job_id: UUID
    ) -> RefundJob:
        """Return a job of a schedule of these organizations, or of any for None.

        Raises `ScheduleNotFound`.
        """
        found = await self._store.job(schedule_id, job_id, organization_ids)
        if found is None:
            raise ScheduleNotFound
        return found

    async def list(
        self, organization_ids: OrganizationIds, schedule_id: UUID, before: UUID | None, count: int
    ) -> "list[RefundJob]":
        """Return at most `count` jobs of a schedule, the newest first.

        Empty for a schedule of another organization; None means any.
        """
        return await self._store.jobs(schedule_id, organization_ids, before, count)

    async def work(self, job_id: UUID, stop: asyncio.Event | None = None) -> bool:
        """Refund payments until the pass ends or `stop` is set; return whether the job is finished.

        Errors of the database pass through; the next call goes on where this one stopped.
        """
        while (job := await self._store.job_to_do(job_id)) is not None:
            payments = [payment_id for payment_id, _ in await self._store.next_payments(job)]
            if not payments:
                again_s = min(_NEXT_PASS_S, self._settle_s)
                return await self._store.end_pass(job_id, again_s, self._settle_s)
            for at in range(0, len(payments), self._at_once):
                if stop is not None and stop.is_set():
                    return False
                await self._refund_some(job, payments[at : at + self._at_once])
        await self._store.drop_job(job_id)
        return True

    async def _refund_some(self, job: RefundJob, payments: Sequence[UUID]) -> None:
        """Refund payments beside each other; after a crash all of them are looked at again."""
        began_at = time.monotonic()
        refused = await asyncio.gather(*(self._refund(job, one) for one in payments))
        await self._store.advance(job.job_id, payments[-1], len(payments), sum(refused))
        took_s = time.monotonic() - began_at
        await asyncio.sleep(max(0.0, len(payments) * self._pause_s - took_s))

    async def _refund(self, job: RefundJob, payment_id: UUID) -> bool:
        """Refund a payment once; return whether it was refused."""
        try:
            await self._refunds.refund_cancelled(
                ScopedId(job.schedule_id, payment_id),
                job.asked_by,
                job.job_id,
                with_compensation=job.with_compensation,
            )
        except AlreadyRefunded:
            pass
        except Rejection as refusal:  # one payment must not keep the others from their money
            log.warning("refund_refused", payment_id=str(payment_id), code=refusal.code)
            return True
        return False
