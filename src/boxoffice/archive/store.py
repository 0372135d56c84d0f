"""Named SQL in, frozen types out."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database

_QUERIES = sql_files.load("boxoffice.archive")


@dataclass(frozen=True, slots=True)
class Moved:
    """How many reservations were moved, whether more can be moved now, and how many stay."""

    archived: int
    more: bool
    kept: int


class ArchiveStore:
    """Moves into the archive. Driver errors pass through: the next call moves what is left."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def take_stock(self) -> int:
        """List closed reservations that are not listed; return how many."""
        (row,) = await self._db.fetch(_QUERIES["take_stock"])
        return int(row["listed"])

    async def closed_before(self, retention_s: float) -> datetime:
        """Return the time `retention_s` seconds ago, by the database's clock."""
        (row,) = await self._db.read(_QUERIES["closed_before"], float(retention_s))
        moment: datetime = row["closed_before"]
        return moment

    async def due_schedules(self, closed_before: datetime) -> list[UUID]:
        """Return the schedules with reservations to move, the oldest first."""
        rows = await self._db.read(_QUERIES["due_schedules"], closed_before)
        return [row["schedule_id"] for row in rows]

    async def move(self, schedule_id: UUID, closed_before: datetime, count: int) -> Moved:
        """Move at most `count` closed reservations of one schedule."""
        (row,) = await self._db.fetch(_QUERIES["move"], schedule_id, closed_before, count)
        return Moved(**row)

    async def past_waiting_rooms(self, over_before: datetime) -> list[UUID]:
        """Return the schedules with records of a waiting room that ended long ago."""
        rows = await self._db.read(_QUERIES["past_waiting_rooms"], over_before)
        return [row["schedule_id"] for row in rows]

    async def move_record(self, schedule_id: UUID, count: int) -> int:
        """Move at most `count` joins and as many admissions of one schedule; return how many."""
        (row,) = await self._db.fetch(_QUERIES["move_record"], schedule_id, count)
        return int(row["archived"])

    async def note_progress(self, closed_before: datetime) -> None:
        """Record that no reservation closed before this time is left."""
        await self._db.fetch(_QUERIES["note_progress"], closed_before)
