"""Statements about the seats of an organizer: named SQL in, frozen types out."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import NamedTuple, Protocol, TypeAlias
from uuid import UUID

import asyncpg

from boxoffice.catalog.rules import NewSeat
from boxoffice.errors import SeatExists
from boxoffice.inventory.rules import SeatCommand, Selection
from boxoffice.permissions import OrganizationIds
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database, Record

Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[Record]"

_SQL = sql_files.load("boxoffice.inventory")
_SEAT_KEYS = frozenset({"seats_pkey", "seats_place_unique"})


class SeatsForLine(Protocol):
    """A waiting list, which comes before the public."""

    async def offer(
        self, connection: Connection, schedule_id: UUID, seat_ids: Sequence[str]
    ) -> frozenset[str]:
        """Offer seats that the transaction has put back on sale; return those that were offered."""
        ...


class NoLine:
    """No waiting list."""

    async def offer(
        self, connection: Connection, schedule_id: UUID, seat_ids: Sequence[str]
    ) -> frozenset[str]:
        """No seat is offered."""
        return frozenset()


NO_LINE = NoLine()


class LockedSeats(NamedTuple):
    """A schedule that is locked against other commands about its seats."""

    concert_id: UUID
    status: str
    currency: str
    organization_id: UUID


class SeatsOutcome(NamedTuple):
    """Per seat, in the order asked for: the state before, and the new version, 0 where unchanged.

    A state is None for a seat that does not exist; then nothing changed. `layout_version` is the new
    one after a change of a price or a grade.
    """

    states: Sequence[str | None]
    versions: Sequence[int]
    layout_version: int | None

    def without(self, seat_ids: Sequence[str], offered: frozenset[str]) -> "SeatsOutcome":
        """Return the outcome with those seats unchanged that a waiting list has taken."""
        pairs = zip(seat_ids, self.versions, strict=True)
        versions = [0 if seat_id in offered else version for seat_id, version in pairs]
        return self._replace(versions=versions)


class SeatLabelsRow(NamedTuple):
    """A spelling of section, row and grade."""

    section: str
    row: str
    grade: str


class BlockedSeat(NamedTuple):
    """Why a seat is blocked."""

    seat_id: str
    reason: str
    note: str
    blocked_at: datetime
    blocked_by: UUID


class InventoryStore:
    """Commands about seats, each in a transaction of the caller."""

    def __init__(self, db: Database) -> None:
        self._db = db

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Lend a connection inside a transaction, for the functions of this module.

        Raises `SeatExists`, `Unavailable` and `OutcomeUnknown`.
        """
        try:
            async with self._db.writing() as connection:
                yield connection
        except asyncpg.UniqueViolationError as error:
            if error.constraint_name in _SEAT_KEYS:
                raise SeatExists from error
            raise

    async def blocks(
        self, schedule_id: UUID, organization_ids: OrganizationIds, after: str | None, count: int
    ) -> list[BlockedSeat]:
        """Return at most `count` blocked seats of a schedule of these organizations, None for any."""
        rows = await self._db.read(_SQL["blocks"], schedule_id, organization_ids, after, count)
        return [BlockedSeat(*row) for row in rows]


async def lock_schedule(
    connection: Connection, schedule_id: UUID, organization_ids: OrganizationIds
) -> LockedSeats | None:
    """Lock a schedule of these organizations until the transaction ends."""
    row = await connection.fetchrow(_SQL["lock_schedule"], schedule_id, organization_ids)
    return LockedSeats(*row) if row else None


async def selected(
    connection: Connection, schedule_id: UUID, selection: Selection, count: int
) -> list[str]:
    """Return the ids of at most `count` seats of a section, row or grade."""
    rows = await connection.fetch(
        _SQL["selected_seats"],
        schedule_id,
        selection.section,
        selection.row,
        selection.grade,
        count,
    )
    return [row["seat_id"] for row in rows]


async def change(
    connection: Connection,
    schedule_id: UUID,
    seat_ids: Sequence[str],
    command: SeatCommand,
    changed_by: UUID,
) -> SeatsOutcome:
    """Block, release or reprice seats."""
    row = await connection.fetchrow(
        _SQL["change"],
        schedule_id,
        list(seat_ids),
        command.command,
        command.price_minor,
        command.grade,
        command.reason,
        command.note,
        changed_by,
    )
    return SeatsOutcome(*row) if row else SeatsOutcome((), (), None)


async def conflicting_seats(
    connection: Connection, schedule_id: UUID, seats: Sequence[NewSeat], count: int
) -> list[str]:
    """Return the ids of at most `count` new seats whose id or place exists already."""
    rows = await connection.fetch(
        _SQL["conflicting_seats"],
        schedule_id,
        [seat.seat_id for seat in seats],
        [seat.section for seat in seats],
        [seat.row for seat in seats],
        [seat.number for seat in seats],
        count,
    )
    return [row["seat_id"] for row in rows]


async def labels(connection: Connection, schedule_id: UUID) -> tuple[int, list[SeatLabelsRow]]:
    """Return how many seats a schedule has, and the spellings of their labels."""
    rows = await connection.fetch(_SQL["labels"], schedule_id)
    found = [SeatLabelsRow(row["section"], row["row"], row["grade"]) for row in rows]
    return (rows[0]["seats"] if rows else 0), found


async def add(
    connection: Connection, schedule_id: UUID, seats: Sequence[NewSeat], *, blocked: bool
) -> int:
    """Add seats at the end of a layout; return its new version."""
    version: int = await connection.fetchval(
        _SQL["add"],
        schedule_id,
        [seat.seat_id for seat in seats],
        [seat.section for seat in seats],
        [seat.row for seat in seats],
        [seat.number for seat in seats],
        [seat.grade for seat in seats],
        [seat.price_minor for seat in seats],
        "BLOCKED" if blocked else "AVAILABLE",
    )
    return version
