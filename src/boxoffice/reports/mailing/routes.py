"""Reports by mail over HTTP."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from boxoffice.http.api.operation import Call, Reply, RouteDependencies, operation
from boxoffice.organizations.routes import ORGANIZATION
from boxoffice.permissions import Permission
from boxoffice.reports.mailing.rules import Frequency, Report
from boxoffice.reports.mailing.service import ReportChoice, ReportMails
from boxoffice.reports.mailing.store import ReportSubscription


class ReportMailBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often a report comes by mail: `none` ends it.

    A day's mail comes at `hour` of the next day, a week's on Monday, in `time_zone` (IANA).
    """

    report: Report
    frequency: Literal["none", "daily", "weekly"]
    hour: Annotated[int, Meta(ge=1, le=23)] = 8
    time_zone: Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9_+/-]{0,63}$")] = "Asia/Seoul"


class ReportMailOut(msgspec.Struct, frozen=True, kw_only=True):
    """A report by mail; the next one is about the period that begins on `next_day`, at `next_at`."""

    report: Report
    frequency: Frequency
    hour: int
    time_zone: str
    next_day: date
    next_at: datetime


class ReportMailList(msgspec.Struct, frozen=True, kw_only=True):
    """The reports that the caller gets of an organization."""

    items: list[ReportMailOut]


class _OwnReportMails:
    def __init__(self, service: ReportMails, dependencies: RouteDependencies) -> None:
        self.dependencies = dependencies
        self._service = service

    @operation(
        "List reports by mail",
        permission=Permission.REPORTS_READ,
        path=ORGANIZATION,
        returns=ReportMailList,
    )
    async def on_get(self, call: Call[None, Any]) -> Reply:
        """Those of the caller."""
        return _reply(await self._service.of(call.caller, call.ids["organization_id"]))

    @operation(
        "Choose a report by mail",
        permission=Permission.REPORTS_READ,
        path=ORGANIZATION,
        body=ReportMailBody,
        returns=ReportMailList,
    )
    async def on_put(self, call: Call[ReportMailBody, Any]) -> Reply:
        """For the caller, once per period, with the totals and a link; the other report stays."""
        choice = ReportChoice(**msgspec.structs.asdict(call.body))
        organization_id = call.ids["organization_id"]
        return _reply(await self._service.choose(call.caller, organization_id, choice))


def _reply(found: list[ReportSubscription]) -> Reply:
    return Reply(ReportMailList(items=[_present(one) for one in found]))


def _present(one: ReportSubscription) -> ReportMailOut:
    return ReportMailOut(
        report=one.report,
        frequency=one.frequency,
        hour=one.hour,
        time_zone=one.time_zone,
        next_day=one.next_day,
        next_at=one.due_at,
    )


def routes(service: ReportMails, dependencies: RouteDependencies) -> list[tuple[str, object]]:
    """Return the resources of reports by mail by URI template."""
    path = "/v1/admin/organizations/{organization_id}/report-mails"
    return [(path, _OwnReportMails(service, dependencies))]
