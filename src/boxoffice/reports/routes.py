"""Reports over HTTP, for members of organizations; an operator reads those of all."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from datetime import date
from typing import IO, Any
from uuid import UUID

import msgspec

from boxoffice.catalog.paths import SCHEDULE_ID
from boxoffice.errors import ConcertNotFound, CursorInvalid, OrganizationNotFound, ScheduleNotFound
from boxoffice.http.api.operation import Call, Reply, RouteDependencies, operation
from boxoffice.http.api.paging import Page, PageQuery, decode_cursor, page
from boxoffice.http.downloads import Download
from boxoffice.permissions import Permission
from boxoffice.platform.spreadsheets.files import Row
from boxoffice.reports.attendee_store import AttendeePlace
from boxoffice.reports.attendees import COLUMNS, AttendeeList, Attendees
from boxoffice.reports.files import MEDIA_TYPES, Format, make_file
from boxoffice.reports.rules import Grouping, Period
from boxoffice.reports.service import Reports, ReportScope
from boxoffice.reports.views import (
    SALES_COLUMNS,
    SETTLEMENT_COLUMNS,
    AttendeeOut,
    SalesReport,
    SettlementReport,
    present_attendee,
    present_sales,
    present_settlement,
    sales_rows,
    settlement_rows,
)
from boxoffice.settings import ReportSettings

_SCHEDULE = {"schedule_id": SCHEDULE_ID}
_MISSING = (OrganizationNotFound, ConcertNotFound, ScheduleNotFound)
_FILE_TYPES = tuple(MEDIA_TYPES.values())

Parts = AsyncGenerator[Sequence[Row]]


class ReportQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A period of calendar days in the zone of each venue, by default the last 30, and a scope.

    Without a scope the report is of all performances that the caller may see.
    """

    since: date | None = None
    until: date | None = None
    organization_id: UUID | None = None
    concert_id: UUID | None = None
    schedule_id: UUID | None = None


class SalesQuery(ReportQuery, frozen=True, kw_only=True):
    """How rows are grouped."""

    by: Grouping = "day"


class FileQuery(ReportQuery, frozen=True, kw_only=True):
    """The format of a file."""

    format: Format = "csv"


class AttendeeQuery(PageQuery, frozen=True, kw_only=True):
    """A page of an attendee list; void tickets are left out unless they are asked for."""

    with_void: bool = False


class AttendeeFileQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The format of a file; void tickets are left out unless they are asked for."""

    format: Format = "csv"
    with_void: bool = False


class _ReportResource:
    def __init__(
        self,
        reports: Reports,
        attendees: Attendees,
        dependencies: RouteDependencies,
        settings: ReportSettings,
    ) -> None:
        self.dependencies = dependencies
        self._reports = reports
        self._attendees = attendees
        self._settings = settings

    def _period(self, query: ReportQuery) -> Period:
        return self._reports.period(query.since, query.until)

    def _file(
        self, name: str, kind: Format, columns: Sequence[str], parts: Callable[[], Parts]
    ) -> Download:
        async def make() -> IO[bytes]:
            return await make_file(columns, parts(), kind, self._settings.export_rows_max)

        return Download(
            make, MEDIA_TYPES[kind], f"{name}.{kind}", self._settings.export_timeout_ms / 1000
        )


class _Sales(_ReportResource):
    @operation(
        "Get a sales report",
        permission=Permission.REPORTS_READ,
        query=SalesQuery,
        returns=SalesReport,
        problems=_MISSING,
    )
    async def on_get(self, call: Call[None, SalesQuery]) -> Reply:
        """What was sold and returned in a period, from committed records, in one snapshot.

        A sale counts on the day of its payment, a refund on the day of its decision. The net is the sum
        of the ledger's entries in the accounts income and fees."""
        period = self._period(call.query)
        movements = await self._reports.sales(call.caller, _scope(call.query), period)
        return Reply(present_sales(movements, period, call.query.by))


class _SalesFile(_ReportResource):
    @operation(
        "Export a sales report",
        permission=Permission.REPORTS_READ,
        query=FileQuery,
        file_types=_FILE_TYPES,
        problems=_MISSING,
    )
    async def on_get(self, call: Call[None, FileQuery]) -> Download:
        """A row per day, performance, way of sale, grade and price type; amounts in units."""
        query, period = call.query, self._period(call.query)

        async def rows() -> Parts:
            yield sales_rows(await self._reports.sales(call.caller, _scope(query), period))

        return self._file(_name("sales", period), query.format, SALES_COLUMNS, rows)


class _Settlement(_ReportResource):
    @operation(
        "Get a settlement report",
        permission=Permission.REPORTS_READ,
        query=ReportQuery,
        returns=SettlementReport,
        problems=_MISSING,
    )
    async def on_get(self, call: Call[None, ReportQuery]) -> Reply:
        """What the ledger owes to organizations before and after a period, and what moved it.

        Payouts and fees of payment providers are not in the ledger, and so not in here."""
        period = self._period(call.query)
        settled = await self._reports.settlement(call.caller, _scope(call.query), period)
        return Reply(present_settlement(settled, period))


class _SettlementFile(_ReportResource):
    @operation(
        "Export a settlement report",
        permission=Permission.REPORTS_READ,
        query=FileQuery,
        file_types=_FILE_TYPES,
        problems=_MISSING,
    )
    async def on_get(self, call: Call[None, FileQuery]) -> Download:
        """A row per performance; amounts in units of their currency."""
        query, period = call.query, self._period(call.query)

        async def rows() -> Parts:
            settled = await self._reports.settlement(call.caller, _scope(query), period)
            yield settlement_rows(settled, period)

        return self._file(_name("settlement", period), query.format, SETTLEMENT_COLUMNS, rows)


class _Attendees(_ReportResource):
    @operation(
        "List attendees",
        permission=Permission.ORDERS_READ,
        path=_SCHEDULE,
        query=AttendeeQuery,
        returns=Page[AttendeeOut],
        problems=(CursorInvalid,),
    )
    async def on_get(self, call: Call[None, AttendeeQuery]) -> Reply:
        """The tickets of a performance in the order of its seats, with names and addresses.

        The activity log has each read."""
        query = call.query
        found = await self._attendees.page(
            call.caller,
            AttendeeList(call.ids["schedule_id"], query.with_void),
            decode_cursor(query.cursor, AttendeePlace),
            query.limit,
            request_id=call.request_id,
        )
        place = lambda one: AttendeePlace(one.ordinal, one.ticket_id)  # noqa: E731
        return Reply(page(found, query.limit, present_attendee, place))


class _AttendeeFile(_ReportResource):
    @operation(
        "Export attendees",
        permission=Permission.ORDERS_READ,
        path=_SCHEDULE,
        query=AttendeeFileQuery,
        file_types=_FILE_TYPES,
    )
    async def on_get(self, call: Call[None, AttendeeFileQuery]) -> Download:
        """All tickets of a performance in the order of its seats, from one snapshot.

        The activity log has the export."""
        query = call.query
        wanted = AttendeeList(call.ids["schedule_id"], query.with_void)
        await self._attendees.begin_export(call.caller, wanted, request_id=call.request_id)

        async def rows() -> Parts:
            async with self._reports.place(), aclosing(self._attendees.rows(wanted)) as parts:
                async for part in parts:
                    yield part

        return self._file(f"attendees-{wanted.schedule_id}", query.format, COLUMNS, rows)


def _scope(query: ReportQuery) -> ReportScope:
    return ReportScope(query.organization_id, query.concert_id, query.schedule_id)


def _name(report: str, period: Period) -> str:
    return f"{report}-{period.since}-{period.until}"


def routes(
    reports: Reports,
    attendees: Attendees,
    dependencies: RouteDependencies,
    settings: ReportSettings,
) -> list[tuple[str, object]]:
    """Return the resources of this module by URI template."""
    parts: tuple[Any, ...] = (reports, attendees, dependencies, settings)
    listed = "/v1/admin/schedules/{schedule_id}/attendees"
    return [
        ("/v1/admin/reports/sales", _Sales(*parts)),
        ("/v1/admin/reports/sales/export", _SalesFile(*parts)),
        ("/v1/admin/reports/settlement", _Settlement(*parts)),
        ("/v1/admin/reports/settlement/export", _SettlementFile(*parts)),
        (listed, _Attendees(*parts)),
        (f"{listed}/export", _AttendeeFile(*parts)),
    ]
