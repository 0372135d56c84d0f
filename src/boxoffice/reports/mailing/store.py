"""The statements of reports by mail: named SQL in, frozen types out."""

from datetime import date, datetime
from uuid import UUID

import msgspec

from boxoffice.permissions import MemberRole
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database
from boxoffice.reports.mailing.rules import Frequency, Report
from boxoffice.reports.rules import Period

_SQL = sql_files.load("boxoffice.reports.mailing")


class ReportSubscription(msgspec.Struct, frozen=True, kw_only=True):
    """A report that a person gets by mail; `next_day` begins the period of the next mail."""

    report: Report
    frequency: Frequency
    hour: int
    time_zone: str
    next_day: date
    due_at: datetime


class DueReport(msgspec.Struct, frozen=True, kw_only=True):
    """A report whose mail is due."""

    organization_id: UUID
    user_id: UUID
    report: Report
    frequency: Frequency
    hour: int
    time_zone: str
    next_day: date


class QueuedReport(msgspec.Struct, frozen=True, kw_only=True):
    """A mail to be queued: its period, its figures as JSON, and when the next one is due."""

    due: DueReport
    period: Period
    mail_id: UUID
    totals: str
    next_day: date
    next_due_at: datetime


class SubscriptionStore:
    """Reports by mail of people in organizations."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def of_person(self, organization_id: UUID, user_id: UUID) -> list[ReportSubscription]:
        """Return what a person gets of an organization."""
        rows = await self._db.read(_SQL["subscriptions"], organization_id, user_id)
        return [ReportSubscription(**row) for row in rows]

    async def choose(self, organization_id: UUID, user_id: UUID, one: ReportSubscription) -> None:
        """Write a choice; raises `Unavailable` or `OutcomeUnknown`."""
        async with self._db.writing() as connection:
            await connection.execute(
                _SQL["choose"],
                organization_id,
                user_id,
                one.report,
                one.frequency,
                one.hour,
                one.time_zone,
                one.next_day,
                one.due_at,
            )

    async def stop(self, organization_id: UUID, user_id: UUID, report: Report) -> None:
        """End a report by mail; raises `Unavailable` or `OutcomeUnknown`."""
        async with self._db.writing() as connection:
            await connection.execute(_SQL["stop"], organization_id, user_id, report)

    async def due(self, count_max: int) -> list[DueReport]:
        """Return reports whose mails are due, the oldest first."""
        return [DueReport(**row) for row in await self._db.read(_SQL["due"], count_max)]

    async def queue(self, queued: QueuedReport, roles: list[MemberRole]) -> bool:
        """Queue a mail and move on to the next period, together.

        False where another process did, or where the person has none of the roles: that ends it.
        """
        due, whose = queued.due, (queued.due.organization_id, queued.due.user_id, queued.due.report)
        async with self._db.writing() as connection:
            moved = await connection.fetch(
                _SQL["advance"],
                *whose,
                due.frequency,
                due.next_day,
                queued.next_day,
                queued.next_due_at,
                roles,
            )
            # guard: report_mail_by_one_process => if False:
            if not moved:
                await connection.execute(_SQL["end"], *whose, roles)
                return False
            recorded = await connection.fetch(
                _SQL["record"],
                *whose,
                due.frequency,
                queued.period.since,
                queued.period.until,
                queued.mail_id,
                queued.totals,
            )
            if recorded:
                await connection.execute(
                    _SQL["queue"], due.user_id, due.organization_id, queued.mail_id
                )
        return bool(recorded)
