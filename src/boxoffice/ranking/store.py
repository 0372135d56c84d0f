"""Sales and concerts for the ranking: named SQL in, frozen types out."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from boxoffice.platform.ids import first_id_since
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database
from boxoffice.ranking.rules import HOUR_S

_SQL = sql_files.load("boxoffice.ranking")
# Payment ids carry the time of a pod's clock; sales of a clock that is further off are missed.
_SKEW_S = 3_600


class HourOfSales(NamedTuple):
    """How many tickets of a schedule were sold in an hour."""

    schedule_id: UUID
    hour: int
    tickets: int


class TitledConcert(NamedTuple):
    """A concert with its titles."""

    concert_id: UUID
    title: str
    title_en: str | None
    title_ko: str | None


class RankingStore:
    """Reads sales and concerts."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def now_s(self) -> float:
        """Return the database's time in seconds since 1970."""
        return await self._db.now_s()

    async def sold(
        self, hours: range, schedule_ids: Sequence[UUID] | None = None
    ) -> list[HourOfSales]:
        """Return the sales of these hours by schedule, of all upcoming ones without `schedule_ids`."""
        since_s = hours.start * HOUR_S
        since, first = datetime.fromtimestamp(since_s, UTC), first_id_since(since_s - _SKEW_S)
        rows = await self._db.read(_SQL["sold"], schedule_ids, since, first)
        return [HourOfSales(*row) for row in rows]

    async def ranked(self, scores: Mapping[UUID, float], limit: int) -> list[TitledConcert]:
        """Return the concerts that buyers see, by the sum of their schedules' scores, best first."""
        rows = await self._db.read(_SQL["ranked"], list(scores), list(scores.values()), limit)
        return [TitledConcert(*row) for row in rows]
