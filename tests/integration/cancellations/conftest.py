"""A hall with buyers, the use cases of its organizer, and a cashier in this process."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest

from boxoffice.activity_log import ReadLog
from boxoffice.cancellations.job import ChangeJobs
from boxoffice.cancellations.store import ChangeStore
from boxoffice.catalog.edits.service import Editor, Edits
from boxoffice.catalog.edits.store import EditStore
from boxoffice.catalog.edits.views import ScheduleChange
from boxoffice.catalog.service import Catalog
from boxoffice.catalog.store import CatalogStore
from boxoffice.inventory.issues.closing import IssueCloser
from boxoffice.inventory.issues.service import Issues
from boxoffice.inventory.issues.store import Issue, IssueCommand, IssueStore
from boxoffice.payments.refunds.jobs import RefundJobs
from boxoffice.payments.refunds.store import RefundStore
from boxoffice.platform.postgres.database import Database, Record
from boxoffice.platform.valkey import Valkey
from boxoffice.reservations.closing import HoldCloser
from boxoffice.reservations.store import ReservationStore
from boxoffice.seats.cache.entries import ScheduleEntries, SeatChangeApplier
from boxoffice.seats.changes.bus import SeatChangeBus
from boxoffice.seats.changes.publisher import SeatChangePublisher
from boxoffice.seats.read_model import SeatReadModel
from boxoffice.seats.store import SeatStore
from boxoffice.settings import Settings
from tests.support.hall import Hall, open_hall
from tests.support.members import member
from tests.support.refunds import refunds

# A second: transactions of these tests are shorter.
SETTLE_S = 1


def editor_of(hall: Hall) -> Editor:
    """The organizer of a hall, whose organization has the same id."""
    return Editor(hall.schedule_id, [hall.schedule_id], "request")


@dataclass
class Stage:
    """One performance, its organizer's use cases, and the jobs of its changes."""

    hall: Hall
    edits: Edits
    refund_jobs: RefundJobs
    jobs: ChangeJobs
    publisher: SeatChangePublisher

    @property
    def organizer(self) -> Editor:
        return editor_of(self.hall)

    async def cancel(self, key: str = "", *, with_compensation: bool = False) -> ScheduleChange:
        return await self.edits.cancel(
            self.organizer,
            self.hall.schedule_id,
            "Typhoon",
            key or uuid4().hex,
            with_compensation=with_compensation,
        )

    async def work_off(self, change: ScheduleChange, deadline_s: float = 20) -> None:
        """Let a cashier do the jobs of a change until both have ended."""
        stop = asyncio.Event()
        async with asyncio.timeout(deadline_s):
            while True:
                wait_s = await self.jobs.work(change.change_id, stop)
                is_refunded = change.refund_job_id is None or await self.refund_jobs.work(
                    change.refund_job_id, stop
                )
                if wait_s is None and is_refunded:
                    return
                await asyncio.sleep(min(wait_s or 0.05, 0.2))

    async def issued(self, *seat_ids: str, email: str | None = None, method: str = "") -> Issue:
        """Tickets of a guest, or of a sale at the box office."""
        command = IssueCommand(
            seat_ids,
            "Ms Guest",
            email=email,
            language="ko" if email else None,
            reason="press",
        )
        if method:
            price = 1_000 * len(seat_ids)
            command = IssueCommand(seat_ids, "", method=method, expected_minor=price, reference="1")
        return await self.desk().issue(
            member(self.hall.schedule_id), self.hall.schedule_id, command, uuid4().hex
        )

    def desk(self) -> Issues:
        """What issues tickets without a hold."""
        return Issues(IssueStore(self.hall.db), ReadLog(self.hall.db), self.publisher, 5)

    async def change(self) -> ScheduleChange:
        """The newest change."""
        return (await self.edits.changes_of(None, self.hall.schedule_id))[0]

    async def rows(self, query: str, *args: object) -> list[Record]:
        return await self.hall.db.fetch(query, *args)

    async def mails(self) -> set[tuple[UUID, str]]:
        """Who gets which mail about a change."""
        rows = await self.rows("SELECT user_id, kind FROM mails WHERE kind LIKE 'schedule%'")
        return {(row["user_id"], row["kind"]) for row in rows}


@pytest.fixture
async def hall(db: Database) -> Hall:
    """Twelve seats on sale, and people with money."""
    return await open_hall(db, seats=12, people=6, balance_minor=5_000)


@pytest.fixture
async def stage(hall: Hall, settings: Settings, valkey: Valkey) -> AsyncIterator[Stage]:
    """The performance of the hall."""
    db = hall.db
    entries = ScheduleEntries(settings.seats, SeatStore(db))
    applier, seats = SeatChangeApplier(entries), SeatReadModel(entries)
    bus = SeatChangeBus(valkey, applier)
    publisher = SeatChangePublisher(applier, seats, bus)
    refund_jobs = RefundJobs(RefundStore(db), refunds(hall), 10_000, SETTLE_S)
    catalog = Catalog(settings, CatalogStore(db), applier)
    edits = Edits(EditStore(db), catalog, refund_jobs, "Asia/Seoul", "KRW")
    closer = HoldCloser(ReservationStore(db), publisher)
    issues = IssueCloser(IssueStore(db), publisher, 10_000)
    jobs = ChangeJobs(ChangeStore(db), closer.release, issues.void, SETTLE_S)
    yield Stage(hall, edits, refund_jobs, jobs, publisher)
    await bus.finish()
