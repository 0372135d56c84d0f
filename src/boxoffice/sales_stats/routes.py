"""The live figures over HTTP, for organizers."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from boxoffice.accounts.rules import SELLERS, readable_by
from boxoffice.catalog.paths import SCHEDULE_ID
from boxoffice.http.api.operation import Call, Reply, RouteDependencies, operation
from boxoffice.platform.values import Money
from boxoffice.sales_stats import rules
from boxoffice.sales_stats.rules import Point
from boxoffice.sales_stats.service import Figures, LiveFigures, Traffic


class FiguresQuery(msgspec.Struct, frozen=True, kw_only=True):
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


class FiguresOut(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of a schedule.

    `sales` are payments, `revenue` what was paid. `shop` is of all calls of people to the whole shop in
    the last step; it is for operators, and null for an organizer. `series` has a point for every
    `step_s` seconds; the calls that are counted in it are those whose address names the schedule. What
    was asked is null where it is not known.
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


class AdminFigures:
    """`/v1/admin/schedules/{schedule_id}/figures`."""

    def __init__(self, service: LiveFigures, dependencies: RouteDependencies) -> None:
        self.dependencies = dependencies
        self._service = service

    @operation(
        "Watch a sale",
        path={"schedule_id": SCHEDULE_ID},
        role=SELLERS,
        query=FiguresQuery,
        returns=FiguresOut,
    )
    async def on_get(self, call: Call[None, FiguresQuery]) -> Reply:
        """At most a second old, of a huge hall a few; true for all processes together."""
        schedule_id = call.ids["schedule_id"]
        whose = readable_by(call.caller)
        figures = await self._service.read(whose, schedule_id, call.query.window_s)
        return Reply(_present(schedule_id, figures))


def _present(schedule_id: UUID, figures: Figures) -> FiguresOut:
    totals = figures.totals
    return FiguresOut(
        schedule_id=schedule_id,
        at=figures.at,
        status=figures.schedule.status,
        seats=SeatCounts(
            available=totals.available,
            held=totals.held,
            sold=totals.sold,
            blocked=totals.blocked,
        ),
        sales=totals.sales,
        revenue=Money(totals.revenue, figures.schedule.currency),
        shop=figures.shop,
        step_s=rules.STEP_S,
        series=figures.series,
    )


def routes(service: LiveFigures, dependencies: RouteDependencies) -> list[tuple[str, object]]:
    """Return the resources of this room by URI template."""
    return [("/v1/admin/schedules/{schedule_id}/figures", AdminFigures(service, dependencies))]
