"""Named SQL in, frozen types out: orders as ids, and as they are shown."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from boxoffice.backoffice.search.rules import SeatPlace
from boxoffice.permissions import OrganizationIds
from boxoffice.platform.ids import ScopedId
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database, Record

_SQL = sql_files.load("boxoffice.backoffice.search")
# Schedules and sections in which a seat is looked up.
_SCHEDULES_MAX = 500
_SECTIONS_MAX = 500


class FoundIds(NamedTuple):
    """Orders that a search has found; `is_all`: it has left nothing unread."""

    orders: tuple[ScopedId, ...] = ()
    is_all: bool = True


class FoundOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order with its performance, and the buyer or guest; the `email` may be empty."""

    schedule_id: UUID
    reservation_id: UUID
    organization_id: UUID
    concert_id: UUID
    title: str
    starts_at: datetime
    time_zone: str
    name: str
    email: str
    status: str
    seat_ids: tuple[str, ...]
    amount_minor: int
    currency: str
    created_at: datetime
    expires_at: datetime
    order_number: str | None
    now: datetime


class SearchStore:
    """Reads orders by what people know of them.

    `time_zone` is that of performances without a venue.
    """

    def __init__(self, db: Database, time_zone: str) -> None:
        self._db = db
        self._time_zone = time_zone

    async def by_number(
        self, own: OrganizationIds, prefix: str, numbers: Sequence[str], limit: int
    ) -> FoundIds:
        """Return the orders with one of these numbers, or with a number that begins so."""
        rows = await self._db.read(_SQL["by_number"], own, prefix, numbers, limit)
        return _ids(rows)

    async def by_seat(self, own: OrganizationIds, place: SeatPlace, limit: int) -> FoundIds:
        """Return the orders that have a seat now, in the newest schedules."""
        rows = await self._db.read(_SQL["by_seat"], own, place.seat_ids, limit, _SCHEDULES_MAX)
        if place.row_labels:
            rows = [
                *rows,
                *await self._db.read(
                    _SQL["by_place"], own, place.row_labels, place.number, limit, _SECTIONS_MAX
                ),
            ]
        return _ids(rows)

    async def newest(
        self,
        own: OrganizationIds,
        patterns: Sequence[str],
        similar: str | None,
        orders_max: int,
        limit: int,
    ) -> FoundIds:
        """Return those of the newest orders whose buyer or guest matches, or is similar."""
        row = await self._db.read_one(_SQL["newest"], own, patterns, similar, orders_max, limit)
        return _pairs(row)

    async def people(
        self,
        own: OrganizationIds,
        patterns: Sequence[str],
        similar: str | None,
        people_max: int,
        limit: int,
    ) -> FoundIds:
        """Return orders of buyers and guests that match, the newest first, or that are similar."""
        row = await self._db.read_one(_SQL["people"], own, patterns, similar, people_max, limit)
        return _pairs(row)

    async def orders(self, own: OrganizationIds, ids: Iterable[ScopedId]) -> list[FoundOrder]:
        """Return orders of these organizations, in the order of `ids`."""
        pairs = list(ids)
        schedules = [one.schedule_id for one in pairs]
        rows = await self._db.read(_SQL["orders"], own, schedules, [one.own_id for one in pairs])
        return [self._order(row) for row in rows]

    def _order(self, row: Record) -> FoundOrder:
        changed = {
            "seat_ids": tuple(row["seat_ids"]),
            "time_zone": row["time_zone"] or self._time_zone,
        }
        return FoundOrder(**{**dict(row), **changed})


def _ids(rows: Iterable[Record]) -> FoundIds:
    return FoundIds(tuple(dict.fromkeys(ScopedId(*row) for row in rows)))


def _pairs(row: Record | None) -> FoundIds:
    if row is None:
        return FoundIds()
    pairs = zip(row["schedule_ids"] or (), row["reservation_ids"] or (), strict=True)
    return FoundIds(tuple(ScopedId(*pair) for pair in pairs), row["is_all"])
