"""Reads holds, payments and the server's counters from the database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from boxoffice.errors import BoxofficeError
from boxoffice.platform.ids import ScopedId
from boxoffice.platform.postgres import database, sql_files
from boxoffice.platform.postgres.database import Record
from boxoffice.settings import Settings
from boxoffice_loadtest.analysis.comparison import ServerState, StoredHold, StoredPayment

_SQL = sql_files.load("boxoffice_loadtest.measurement")


@dataclass(frozen=True)
class TargetSchedule:
    """A schedule, as far as the load test needs it."""

    schedule_id: UUID
    concert_id: UUID
    hold_ttl_s: float
    seats: int


class DatabaseReader:
    """One connection for reads."""

    def __init__(self, connection: "asyncpg.Connection[Record]") -> None:
        self._connection = connection

    async def state(self, schedule_id: UUID, key_prefix: str, hold_ttl_s: float) -> ServerState:
        """Return the holds and payments of a schedule whose keys have a prefix."""
        holds = await self._connection.fetch(_SQL["holds"], schedule_id, key_prefix)
        payments = await self._connection.fetch(_SQL["payments"], schedule_id, key_prefix)
        return ServerState(
            [_hold(schedule_id, row) for row in holds],
            [_payment(schedule_id, row) for row in payments],
            hold_ttl_s,
        )

    async def terms(self, schedule_id: UUID) -> TargetSchedule:
        """Return a schedule; raise `BoxofficeError` if it does not exist."""
        row = await self._connection.fetchrow(_SQL["schedule"], schedule_id)
        if row is None:
            raise BoxofficeError(f"the database has no schedule {schedule_id}")
        return TargetSchedule(schedule_id, row["concert_id"], row["hold_ttl_s"], row["seats"])

    async def counters(self) -> dict[str, float]:
        """Return the server's counters and its current connections."""
        row = await self._connection.fetchrow(_SQL["counters"])
        return {name: float(value or 0) for name, value in dict(row or {}).items()}

    async def server(self) -> dict[str, str]:
        """Return the version and the settings of the server."""
        row = await self._connection.fetchrow(_SQL["server"])
        return {name: str(value) for name, value in dict(row or {}).items()}


@asynccontextmanager
async def open_reader(settings: Settings) -> AsyncIterator[DatabaseReader]:
    """Open a connection; raises `Unavailable`."""
    connection = await database.connect(settings, bounded=False, plain=True)
    try:
        yield DatabaseReader(connection)
    finally:
        await connection.close(timeout=5)


def _hold(schedule_id: UUID, row: Record) -> StoredHold:
    return StoredHold(
        str(ScopedId(schedule_id, row["reservation_id"])),
        str(row["user_id"]),
        tuple(row["seat_ids"]),
        row["status"],
        row["idempotency_key"],
    )


def _payment(schedule_id: UUID, row: Record) -> StoredPayment:
    return StoredPayment(
        str(ScopedId(schedule_id, row["payment_id"])),
        str(ScopedId(schedule_id, row["reservation_id"])),
        str(row["user_id"]),
        row["amount_minor"],
        row["idempotency_key"],
    )
