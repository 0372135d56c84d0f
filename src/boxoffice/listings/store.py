"""Performances for lists: named SQL in, frozen types out."""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

import asyncpg

from boxoffice.listings.rules import Performance
from boxoffice.listings.views import PriceOfGrade
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database, Record
from boxoffice.platform.values import Money

Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[Record]"

_SQL = sql_files.load("boxoffice.listings")


class FeaturedRow(NamedTuple):
    """The featured concert and its organization."""

    concert_id: UUID
    organization_id: UUID
    title: str


class ListingStore:
    """Reads performances of several concerts at once, and the featured one."""

    def __init__(self, db: Database) -> None:
        self._db = db

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Lend a connection inside a transaction; raises `Unavailable` or `OutcomeUnknown`."""
        async with self._db.writing() as connection:
            yield connection

    async def featured(self) -> FeaturedRow | None:
        """Return the featured concert, also one that is not listed any more."""
        row = await self._db.read_one(_SQL["featured"])
        return FeaturedRow(*row) if row else None

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


async def locked_featured(connection: Connection) -> FeaturedRow | None:
    """Return the featured concert, locked until the transaction ends."""
    row = await connection.fetchrow(_SQL["lock_featured"])
    return FeaturedRow(*row) if row else None


async def feature(connection: Connection, concert_id: UUID, user_id: UUID) -> FeaturedRow | None:
    """Feature a concert; None for one that buyers do not see."""
    row = await connection.fetchrow(_SQL["feature"], concert_id, user_id)
    return FeaturedRow(*row) if row else None


async def feature_none(connection: Connection) -> None:
    """Feature no concert."""
    await connection.execute(_SQL["feature_none"])


def _values(row: Any) -> list[Any]:
    return list(row.values())
