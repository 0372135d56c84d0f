"""The use cases of reports: sales of a period, and what is owed to an organization."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from boxoffice.errors import ConcertNotFound, Invalid, Overloaded, ScheduleNotFound
from boxoffice.permissions import Actor, narrowed
from boxoffice.reports.rules import (
    Period,
    PeriodSettlement,
    ReportedPerformance,
    SalesMovement,
    period_of,
)
from boxoffice.reports.store import ReportStore
from boxoffice.settings import ReportSettings

_ALL = 1_000_000


class ReportScope(NamedTuple):
    """What a report is about: one performance, a concert, an organization, or all of the actor's."""

    organization_id: UUID | None = None
    concert_id: UUID | None = None
    schedule_id: UUID | None = None


class Reports:
    """Reads reports for members of organizations; a few at a time, because each reads much."""

    def __init__(
        self, store: ReportStore, settings: ReportSettings, time_zone: str, now: Callable[[], float]
    ) -> None:
        self._store = store
        self._settings = settings
        self._zone = ZoneInfo(time_zone)
        self._now = now
        self._places = asyncio.Semaphore(settings.reports_concurrent_max)

    def period(self, since: date | None, until: date | None) -> Period:
        """Return a period, by default the last 30 days; raise `Invalid`."""
        today = datetime.fromtimestamp(self._now(), self._zone).date()
        return period_of(since, until, today, self._settings.report_days_max)

    async def sales(self, actor: Actor, scope: ReportScope, period: Period) -> list[SalesMovement]:
        """Return what was sold and returned, in one snapshot.

        Raises `ConcertNotFound`, `ScheduleNotFound`, `OrganizationNotFound`, `Invalid` for too many
        performances, `Overloaded` and `Unavailable`.
        """
        performances = await self._performances(actor, scope)
        async with self.place():
            return await self._movements(performances, period)

    async def settlement(
        self, actor: Actor, scope: ReportScope, period: Period
    ) -> list[tuple[ReportedPerformance, PeriodSettlement]]:
        """Return what is owed for each performance, in one snapshot; raises what `sales` raises."""
        performances = await self._performances(actor, scope)
        async with self.place():
            return await self._settlements(performances, period)

    async def sales_of(
        self, organization_ids: Sequence[UUID], period: Period
    ) -> list[SalesMovement]:
        """Return the sales of organizations, however many performances they have."""
        found = await self._store.performances(organization_ids, None, None, _ALL)
        return await self._movements(found, period)

    async def settlement_of(
        self, organization_ids: Sequence[UUID], period: Period
    ) -> list[tuple[ReportedPerformance, PeriodSettlement]]:
        """Return what is owed to organizations, however many performances they have."""
        found = await self._store.performances(organization_ids, None, None, _ALL)
        return await self._settlements(found, period)

    async def _movements(
        self, performances: Sequence[ReportedPerformance], period: Period
    ) -> list[SalesMovement]:
        found: list[SalesMovement] = []
        async with self._store.snapshot() as snapshot:
            for one in performances:
                found += await snapshot.movements(one, period)
        return found

    async def _settlements(
        self, performances: Sequence[ReportedPerformance], period: Period
    ) -> list[tuple[ReportedPerformance, PeriodSettlement]]:
        async with self._store.snapshot() as snapshot:
            found = [(one, await snapshot.settlement(one, period)) for one in performances]
        return [(one, settlement) for one, settlement in found if settlement != PeriodSettlement()]

    async def _performances(
        self, actor: Actor, scope: ReportScope
    ) -> Sequence[ReportedPerformance]:
        most = self._settings.report_performances_max
        organization_ids = narrowed(actor, scope.organization_id)
        found = await self._store.performances(
            organization_ids, scope.concert_id, scope.schedule_id, most + 1
        )
        if not found and scope.schedule_id is not None:
            raise ScheduleNotFound
        if not found and scope.concert_id is not None:
            raise ConcertNotFound
        if len(found) > most:
            raise Invalid(f"A report may have {most} performances: choose a concert.")
        return found

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Take one of the places for readings; raise `Overloaded` if none is free."""
        # guard: reports_at_one_time_are_bounded => if False:
        if self._places.locked():
            raise Overloaded("Other reports are being read: try again.")
        async with self._places:
            yield
