"""Statements about tickets that organizers issue: named SQL in, frozen types out."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, TypeAlias
from uuid import UUID

import asyncpg
import msgspec

from boxoffice.permissions import OrganizationIds
from boxoffice.platform.ids import new_id
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database, Record

Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[Record]"

_SQL = sql_files.load("boxoffice.inventory.issues")


@dataclass(frozen=True, slots=True)
class IssueCommand:
    """Tickets to issue; `method` and `expected_minor` are None for complimentary ones."""

    seat_ids: Sequence[str]
    name: str
    method: str | None = None
    expected_minor: int | None = None
    reference: str = ""
    email: str | None = None
    language: str | None = None
    reason: str = ""
    note: str = ""
    list_name: str = ""


class IssueOutcome(NamedTuple):
    """What the database decided: `in_the_way` are seats that are unknown or taken."""

    name: str
    reservation_id: UUID | None
    amount_minor: int | None
    seat_versions: Sequence[int] | None
    in_the_way: Sequence[str] | None


class VoidOutcome(NamedTuple):
    """What the database decided about tickets that become void."""

    name: str
    seat_ids: Sequence[str] | None
    seat_versions: Sequence[int] | None


class IssuingSchedule(NamedTuple):
    """The concert and the currency of a schedule of these organizations."""

    concert_id: UUID
    currency: str
    organization_id: UUID
    is_taken_down: bool


class LiveIssue(NamedTuple):
    """An issue that is not void, with the house account that owns its tickets."""

    reservation_id: UUID
    house_id: UUID
    concert_id: UUID
    organization_id: UUID


class IssuedSeat(msgspec.Struct, frozen=True):
    """The place of a ticket."""

    section: str
    row: str
    number: int
    grade: str


class Issue(msgspec.Struct, frozen=True, kw_only=True):
    """Tickets that were issued without a hold; `method` is None for complimentary ones."""

    organization_id: UUID
    concert_id: UUID
    schedule_id: UUID
    reservation_id: UUID
    kind: str
    name: str
    email: str | None
    reason: str
    note: str
    list_name: str
    issued_at: datetime
    issued_by: UUID
    voided_at: datetime | None
    ticket_ids: tuple[UUID, ...]
    seat_ids: tuple[str, ...]
    seats: tuple[IssuedSeat, ...]
    amount_minor: int
    currency: str
    method: str | None
    reference: str | None
    title: str
    starts_at: datetime
    order_number: str | None


class IssueStore:
    """Issues of organizers."""

    def __init__(self, db: Database) -> None:
        self._db = db

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Lend a connection inside a transaction; raises `Unavailable` and `OutcomeUnknown`."""
        async with self._db.writing() as connection:
            yield connection

    async def of_schedule(
        self,
        schedule_id: UUID,
        organization_ids: OrganizationIds,
        before: UUID | None,
        kind: str | None,
        count: int,
    ) -> list[Issue]:
        """Return at most `count` issues of a schedule, newest first; None means any organization."""
        rows = await self._db.read(
            _SQL["of_schedule"], schedule_id, organization_ids, before, kind, count, None
        )
        return [_issue(row) for row in rows]

    async def get(
        self, schedule_id: UUID, reservation_id: UUID, organization_ids: OrganizationIds
    ) -> Issue | None:
        """Return an issue of a schedule of these organizations, None for any."""
        row = await self._db.read_one(
            _SQL["of_schedule"], schedule_id, organization_ids, None, None, 1, reservation_id
        )
        return None if row is None else _issue(row)

    async def live(self, schedule_id: UUID, count: int) -> list[LiveIssue]:
        """Return at most `count` issues of a schedule that are not void."""
        rows = await self._db.fetch(_SQL["live"], schedule_id, count)
        return [LiveIssue(*row) for row in rows]


async def own_schedule(
    connection: Connection, schedule_id: UUID, organization_ids: OrganizationIds
) -> IssuingSchedule | None:
    """Return a schedule of these organizations, locked against a cancellation."""
    row = await connection.fetchrow(_SQL["own_schedule"], schedule_id, organization_ids)
    return IssuingSchedule(*row) if row else None


async def house(connection: Connection, schedule: IssuingSchedule) -> UUID:
    """Return the house account of a concert; it is made on first use."""
    user_id: UUID = await connection.fetchval(
        _SQL["house"], schedule.concert_id, new_id(), schedule.currency
    )
    return user_id


async def issue(
    connection: Connection,
    schedule_id: UUID,
    house_id: UUID,
    issued_by: UUID,
    command: IssueCommand,
    key: str,
    fingerprint: bytes,
) -> IssueOutcome:
    """Issue tickets in the caller's transaction."""
    is_sale = command.method is not None
    row = await connection.fetchrow(
        _SQL["issue"],
        schedule_id,
        house_id,
        new_id(),
        new_id() if is_sale else None,
        new_id(),
        command.method,
        command.reference if is_sale else None,
        command.expected_minor,
        [new_id() for _ in command.seat_ids],
        list(command.seat_ids),
        issued_by,
        command.name,
        command.email,
        command.language,
        command.reason,
        command.note,
        command.list_name,
        key,
        fingerprint,
    )
    return IssueOutcome(*row) if row else IssueOutcome("", None, None, None, None)


async def void(
    connection: Connection, schedule_id: UUID, house_id: UUID, reservation_id: UUID, by: UUID
) -> VoidOutcome:
    """Make the tickets of an issue void in the caller's transaction."""
    row = await connection.fetchrow(
        _SQL["void"],
        schedule_id,
        house_id,
        reservation_id,
        new_id(),
        [new_id(), new_id()],
        by,
    )
    return VoidOutcome(*row) if row else VoidOutcome("", None, None)


def _issue(row: Record) -> Issue:
    seats = msgspec.json.decode(row["seats"] or "[]", type=tuple[IssuedSeat, ...])
    lists = {name: tuple(row[name]) for name in ("ticket_ids", "seat_ids")}
    return Issue(**{**dict(row), **lists, "seats": seats})
