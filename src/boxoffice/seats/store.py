"""Statements about seats: named SQL in, frozen types out."""

from collections.abc import AsyncIterator
from typing import NamedTuple
from uuid import UUID

from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database, Record

_SQL = sql_files.load("boxoffice.seats")


class PublicSchedule(NamedTuple):
    """The fields of a schedule that a seat map needs; not public where the concert was taken down.

    `layout_version` grows when seats are added, or their prices or grades change.
    """

    currency: str
    is_public: bool
    layout_version: int


class StatesRow(NamedTuple):
    """One reading of a schedule's seats; `seat_states.unpack_states` unpacks it."""

    seats: int
    now: float
    states: bytes
    expires_at: bytes
    versions: bytes
    people: bytes
    is_open: bool
    opens_at: float
    closes_at: float
    layout_version: int


class SeatStore:
    """Reads the seats of a schedule and their states."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def public_schedule(self, schedule_id: UUID) -> PublicSchedule | None:
        """Return a schedule that is no draft, of a published concert."""
        row = await self._db.read_one(_SQL["public_schedule"], schedule_id)
        return PublicSchedule(*row) if row else None

    def seats(self, schedule_id: UUID) -> AsyncIterator[list[Record]]:
        """Yield id, section, row, number, grade and price of each seat, in the order of the seats."""
        return self._db.stream(_SQL["seats_of_schedule"], schedule_id)

    async def layout_version(self, schedule_id: UUID) -> int:
        """Return the version of a schedule's layout, 0 without a schedule."""
        row = await self._db.read_one(_SQL["layout_version"], schedule_id)
        return row["layout_version"] if row else 0

    async def seat_states(self, schedule_id: UUID) -> StatesRow | None:
        """Return the state of every seat in the order of `seats`; None without a schedule."""
        row = await self._db.read_one(_SQL["seat_states"], schedule_id)
        return StatesRow(*row) if row else None
