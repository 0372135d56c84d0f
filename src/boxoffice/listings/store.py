"""Performances for lists: named SQL in, frozen types out."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from boxoffice.listings.rules import Performance
from boxoffice.listings.views import PriceOfGrade
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.values import Money

_SQL = sql_files.load("boxoffice.listings")


class ListingStore:
    """Reads performances of several concerts at once."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def performances(self, concert_ids: Sequence[UUID]) -> dict[UUID, list[Performance]]:
        """Return the upcoming performances of these concerts, earliest first."""
        found: dict[UUID, list[Performance]] = defaultdict(list)
        for row in await self._db.read(_SQL["performances"], concert_ids):
            concert_id, *values = _values(row)
            found[concert_id].append(Performance(*values))
        return found

    async def prices(self, concert_id: UUID) -> list[PriceOfGrade]:
        """Return the prices of each grade of a concert, highest first."""
        rows = await self._db.read(_SQL["prices"], concert_id)
        return [
            PriceOfGrade(
                grade=row["grade"],
                price_min=Money(row["price_min_minor"], row["currency"]),
                price_max=Money(row["price_max_minor"], row["currency"]),
            )
            for row in rows
        ]


def _values(row: Any) -> list[Any]:
    return list(row.values())
