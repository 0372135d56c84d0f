"""The statements of the figures: named SQL in, frozen types out."""

from uuid import UUID

import msgspec

from boxoffice.platform.ids import first_id_since
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database
from boxoffice.sales_stats.rules import STEP_S, Sold, starts_at

_SQL = sql_files.load("boxoffice.sales_stats")
# Ids of reservations are made by pods, and a pod's clock may be wrong by this much before a hold of
# its own is missing in a chart. It is never missing in the totals.
_SKEW_S = 3_600


class OwnSchedule(msgspec.Struct, frozen=True):
    """What the figures of a schedule need to know of it."""

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


class FiguresStore:
    """Reads what became of the seats of one schedule."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def schedule(self, schedule_id: UUID, organizer_id: UUID | None) -> OwnSchedule | None:
        """Return a schedule of this organizer, with None of anybody."""
        row = await self._db.read_one(_SQL["schedule"], schedule_id, organizer_id)
        return None if row is None else OwnSchedule(**row)

    async def totals(self, schedule_id: UUID) -> Totals:
        """Return what is, since the beginning."""
        (row,) = await self._db.read(_SQL["totals"], schedule_id)
        return Totals(**row)

    async def sold(self, schedule_id: UUID, steps: range, hold_ttl_s: int) -> list[Sold]:
        """Return holds and sales by step, for the steps in which there were some."""
        since = starts_at(steps.start)
        first = first_id_since(since.timestamp() - hold_ttl_s - _SKEW_S)
        rows = await self._db.read(_SQL["sold_by_step"], schedule_id, since, first, STEP_S)
        return [Sold(**row) for row in rows]
