"""The statements of reports: named SQL in, frozen types out."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from boxoffice.permissions import OrganizationIds
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database
from boxoffice.reports.rules import (
    COMPLIMENTARY,
    Figures,
    LedgerSum,
    Period,
    PeriodSettlement,
    ReportedPerformance,
    SalesMovement,
    settled,
)

_SQL = sql_files.load("boxoffice.reports")
_KEYS = frozenset({"day", "source", "channel", "grade", "price_type"})


class ReportStore:
    """Reads sales and the ledger; `time_zone` is that of performances without a venue."""

    def __init__(self, db: Database, time_zone: str) -> None:
        self._db = db
        self._time_zone = time_zone

    async def performances(
        self,
        organization_ids: OrganizationIds,
        concert_id: UUID | None,
        schedule_id: UUID | None,
        limit: int,
    ) -> list[ReportedPerformance]:
        """Return up to `limit` performances, the earliest first; for None, of all organizations."""
        rows = await self._db.read(
            _SQL["performances"], organization_ids, concert_id, schedule_id, limit
        )
        return [
            ReportedPerformance(**{**dict(row), "time_zone": row["time_zone"] or self._time_zone})
            for row in rows
        ]

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator["ReportSnapshot"]:
        """Open one snapshot for several readings; raises `Unavailable` or `Overloaded`."""
        async with self._db.snapshot() as connection:
            await connection.fetch(_SQL["plan"])
            yield ReportSnapshot(connection)


class ReportSnapshot:
    """Committed records as of one moment, a performance at a time."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def movements(
        self, performance: ReportedPerformance, period: Period
    ) -> list[SalesMovement]:
        """Return what was sold and returned in a period."""
        bounds = _bounds(performance, period)
        found: list[SalesMovement] = []
        for name in ("sold", "given", "returned"):
            rows = await self._connection.fetch(
                _SQL[name], performance.schedule_id, *bounds, performance.time_zone
            )
            found += [_movement(performance, dict(row)) for row in rows]
        return found

    async def settlement(
        self, performance: ReportedPerformance, period: Period
    ) -> PeriodSettlement:
        """Return what was owed before a period, and its movements, from the ledger."""
        bounds = _bounds(performance, period)
        rows = await self._connection.fetch(_SQL["settled"], performance.schedule_id, *bounds)
        [fees] = await self._connection.fetch(
            _SQL["booking_fees"], performance.schedule_id, *bounds
        )
        return settled([LedgerSum(**row) for row in rows], fees["booking_fees"])


def _bounds(performance: ReportedPerformance, period: Period) -> Sequence[datetime]:
    return period.bounds(ZoneInfo(performance.time_zone))


def _movement(performance: ReportedPerformance, row: dict[str, Any]) -> SalesMovement:
    day: date = row["day"]
    figures = {name: value for name, value in row.items() if name not in _KEYS}
    return SalesMovement(
        performance=performance,
        day=day,
        source=row.get("source", COMPLIMENTARY),
        channel=row.get("channel", ""),
        grade=row["grade"],
        price_type=row.get("price_type", ""),
        figures=Figures(**figures),
    )
