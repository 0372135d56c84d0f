"""The statistics of a sale over HTTP, for organizers."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from boxoffice.catalog.paths import SCHEDULE_ID
from boxoffice.http.api.operation import Call, Reply, RouteDependencies, operation
from boxoffice.permissions import Permission
from boxoffice.platform.values import Money
from boxoffice.sales_stats import rules
from boxoffice.sales_stats.rules import Point
from boxoffice.sales_stats.service import SalesStats, ScheduleStats, Traffic


class StatsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """How far the series goes back."""

    window_s: Annotated[
        int,
        Meta(
            ge=rules.WINDOW_MIN_S,
            le=rules.WINDOW_MAX_S,
            description="How many seconds the series goes back.",
        ),
    ] = 600


class SeatCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Seats by state; a hold that has lapsed counts as available."""

    available: int
    held: int
    sold: int
    blocked: int


class SalesStatsOut(msgspec.Struct, frozen=True, kw_only=True):
    """The statistics of a schedule.

    `sales` counts payments, `revenue` sums them. `shop` is the traffic of the whole shop in the last
    step: for operators, null for organizers. `series` has a point for every `step_s` seconds and counts
    the calls whose path names the schedule. Traffic is null where it is not known.
    """

    schedule_id: UUID
    at: datetime
    status: str
    seats: SeatCounts
    sales: int
    revenue: Money
    shop: Traffic | None
    step_s: int
    series: list[Point]


class AdminStats:
    """`/v1/admin/schedules/{schedule_id}/stats`."""

    def __init__(self, service: SalesStats, dependencies: RouteDependencies) -> None:
        self.dependencies = dependencies
        self._service = service

    @operation(
        "Watch a sale",
        path={"schedule_id": SCHEDULE_ID},
        permission=Permission.REPORTS_READ,
        query=StatsQuery,
        returns=SalesStatsOut,
    )
    async def on_get(self, call: Call[None, StatsQuery]) -> Reply:
        """Counts all processes together. At most a second old; a few seconds for a huge hall."""
        schedule_id = call.ids["schedule_id"]
        whose = call.caller.organization_ids
        stats = await self._service.read(whose, schedule_id, call.query.window_s)
        return Reply(_present(schedule_id, stats))


def _present(schedule_id: UUID, stats: ScheduleStats) -> SalesStatsOut:
    totals = stats.totals
    return SalesStatsOut(
        schedule_id=schedule_id,
        at=stats.at,
        status=stats.schedule.status,
        seats=SeatCounts(
            available=totals.available,
            held=totals.held,
            sold=totals.sold,
            blocked=totals.blocked,
        ),
        sales=totals.sales,
        revenue=Money(totals.revenue, stats.schedule.currency),
        shop=stats.shop,
        step_s=rules.STEP_S,
        series=stats.series,
    )


def routes(service: SalesStats, dependencies: RouteDependencies) -> list[tuple[str, object]]:
    """Return the resources of this module by URI template."""
    return [("/v1/admin/schedules/{schedule_id}/stats", AdminStats(service, dependencies))]
