"""Statements about sales: named SQL in, frozen types out."""

from uuid import UUID

import msgspec

from boxoffice.permissions import OrganizationIds
from boxoffice.platform.ids import first_id_since
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database
from boxoffice.sales_stats.rules import STEP_S, Sold, starts_at

_SQL = sql_files.load("boxoffice.sales_stats")
# Reservation ids carry the time of a pod's clock. A clock that is further off loses holds in the
# series, never in the totals.
_SKEW_S = 3_600


class StatsSchedule(msgspec.Struct, frozen=True):
    """The fields of a schedule that its statistics need."""

    status: str
    currency: str
    hold_ttl_s: int


class Totals(msgspec.Struct, frozen=True):
    """Seats by state, and payments: how many, and how much in minor units."""

    available: int
    held: int
    sold: int
    blocked: int
    sales: int
    revenue: int


class SalesStatsStore:
    """Reads the seats and payments of one schedule."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def schedule(
        self, schedule_id: UUID, organization_ids: OrganizationIds
    ) -> StatsSchedule | None:
        """Return a schedule of these organizations; None as the organizations means any."""
        row = await self._db.read_one(_SQL["schedule"], schedule_id, organization_ids)
        return None if row is None else StatsSchedule(**row)

    async def totals(self, schedule_id: UUID) -> Totals:
        """Return the totals since the sale began."""
        (row,) = await self._db.read(_SQL["totals"], schedule_id)
        return Totals(**row)

    async def sold(self, schedule_id: UUID, steps: range, hold_ttl_s: int) -> list[Sold]:
        """Return holds and sales by step, for the steps in which there were some."""
        since = starts_at(steps.start)
        first = first_id_since(since.timestamp() - hold_ttl_s - _SKEW_S)
        rows = await self._db.read(_SQL["sold_by_step"], schedule_id, since, first, STEP_S)
        return [Sold(**row) for row in rows]
