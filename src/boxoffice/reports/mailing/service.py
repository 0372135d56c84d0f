"""The use cases of reports by mail: choose them, and queue each period's mail."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import msgspec

from boxoffice.errors import OrganizationNotFound, Problem
from boxoffice.observability.logs import log
from boxoffice.permissions import Actor, Permission, roles_with
from boxoffice.platform.ids import new_id
from boxoffice.reports.mailing import rules
from boxoffice.reports.mailing.rules import Report
from boxoffice.reports.mailing.store import (
    DueReport,
    QueuedReport,
    ReportSubscription,
    SubscriptionStore,
)
from boxoffice.reports.rules import Period
from boxoffice.reports.service import Reports
from boxoffice.reports.views import present_sales, present_settlement

_ROLES = roles_with(Permission.REPORTS_READ)
_ROUND_MAX = 20


class ReportChoice(msgspec.Struct, frozen=True, kw_only=True):
    """What a person wants: how often, and at which hour of a time zone."""

    report: Report
    frequency: Literal["none", "daily", "weekly"]
    hour: int
    time_zone: str


class ReportMails:
    """The reports that people get by mail."""

    def __init__(self, store: SubscriptionStore, now: Callable[[], float]) -> None:
        self._store = store
        self._now = now

    async def of(self, actor: Actor, organization_id: UUID) -> list[ReportSubscription]:
        """Return what the actor gets; raise `OrganizationNotFound` or `Unavailable`."""
        _check_member(actor, organization_id)
        return await self._store.of_person(organization_id, actor.user_id)

    async def choose(
        self, actor: Actor, organization_id: UUID, choice: ReportChoice
    ) -> list[ReportSubscription]:
        """Change one report and return all; raise `OrganizationNotFound`, `Invalid`, `Unavailable`.

        A period that has begun is mailed whole; another hour or zone changes no period.
        """
        _check_member(actor, organization_id)
        if choice.frequency == "none":
            await self._store.stop(organization_id, actor.user_id, choice.report)
        else:
            wanted = await self._wanted(actor, organization_id, choice, choice.frequency)
            await self._store.choose(organization_id, actor.user_id, wanted)
        return await self._store.of_person(organization_id, actor.user_id)

    async def _wanted(
        self,
        actor: Actor,
        organization_id: UUID,
        choice: ReportChoice,
        frequency: rules.Frequency,
    ) -> ReportSubscription:
        zone = rules.zone_of(choice.time_zone)
        today = datetime.fromtimestamp(self._now(), zone).date()
        first = rules.first_day(frequency, today)
        for one in await self._store.of_person(organization_id, actor.user_id):
            if (one.report, one.frequency) == (choice.report, frequency):
                first = one.next_day
        return ReportSubscription(
            report=choice.report,
            frequency=frequency,
            hour=choice.hour,
            time_zone=choice.time_zone,
            next_day=first,
            due_at=rules.due_at(rules.period(frequency, first), choice.hour, zone),
        )


class ReportMailer:
    """Queues the mails that are due; any number of processes may."""

    def __init__(self, store: SubscriptionStore, reports: Reports) -> None:
        self._store = store
        self._reports = reports

    async def queue_due(self) -> int:
        """Queue what is due, and return how many mails; one that fails stays due.

        Raises `Unavailable` where the database is away.
        """
        count = 0
        for due in await self._store.due(_ROUND_MAX):
            try:
                count += await self._queue(due)
            except Problem as error:
                log.warning("report_mail_failed", report=due.report, code=error.code)
        return count

    async def _queue(self, due: DueReport) -> bool:
        """Queue the mail about one period; a person who may not read it any more gets no other."""
        one = rules.period(due.frequency, due.next_day)
        following = rules.period(due.frequency, one.until + timedelta(days=1))
        queued = QueuedReport(
            due=due,
            period=one,
            mail_id=new_id(),
            totals=await self._totals(due, one),
            next_day=following.since,
            next_due_at=rules.due_at(following, due.hour, rules.zone_of(due.time_zone)),
        )
        return await self._store.queue(queued, _ROLES)

    async def _totals(self, due: DueReport, one: Period) -> str:
        organization = [due.organization_id]
        if due.report == "sales":
            movements = await self._reports.sales_of(organization, one)
            return msgspec.json.encode(present_sales(movements, one, "day").totals).decode()
        settled = await self._reports.settlement_of(organization, one)
        return msgspec.json.encode(present_settlement(settled, one).totals).decode()


def _check_member(actor: Actor, organization_id: UUID) -> None:
    """Raise `OrganizationNotFound` unless the actor is a member; an operator may be none."""
    # guard: report_mails_for_members_only => if False:
    if organization_id not in (actor.organization_ids or ()):
        raise OrganizationNotFound
