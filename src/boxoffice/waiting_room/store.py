"""Named SQL in, frozen types out: waiting rooms, issued numbers, admissions and departures."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, TypeAlias
from uuid import UUID

import asyncpg

from boxoffice.permissions import OrganizationIds
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database, Record
from boxoffice.waiting_room.engine.number_packs import NumberPack
from boxoffice.waiting_room.engine.queue_state import Admission, Exit, IssuedNumbers, SpentNumber
from boxoffice.waiting_room.rules import Gap, Mode, WaitingRoomState

Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[Record]"

_SQL = sql_files.load("boxoffice.waiting_room")
_SPENT_AT_ONCE = 2_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class RoomDefaults(NamedTuple):
    """Defaults of a new room; `opens_at` in seconds since the epoch."""

    rate_per_s: float
    inside_max: int
    inside_s: int
    grace_s: int
    opens_at: float
    seed: bytes


class ScheduleSale(NamedTuple):
    """The sale of a schedule; `opens_at` in seconds since the epoch."""

    opens_at: float
    concert_id: UUID
    organization_id: UUID


class Departure(NamedTuple):
    """Numbers that left in one transaction; their last pass expires in `passes_for_s`."""

    schedule_id: UUID
    numbers: list[int]
    written_by: int
    passes_for_s: float


class DeparturePage(NamedTuple):
    """A page of departures; the next read starts at `seen_to`."""

    seen_to: int
    departures: list[Departure]


class AdmissionRecord(NamedTuple):
    """A recorded admission; `leaves_at` in seconds since the epoch."""

    is_theirs: bool
    is_out: bool
    leaves_at: float


class Redemption(NamedTuple):
    """Whether a number was redeemed, by this account, and whether that had its turn by another."""

    is_redeemed: bool
    is_theirs: bool
    had_turn: bool


class QueueStore:
    """Waiting rooms in PostgreSQL. Driver errors pass through unless stated otherwise."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def rooms(self, at_most: int) -> list[WaitingRoomState]:
        """Return up to `at_most` open rooms; raise `Unavailable`."""
        return [_room(row) for row in await self._db.read(_SQL["rooms"], at_most)]

    async def room(self, schedule_id: UUID) -> WaitingRoomState | None:
        """Return a room, also one that is off; raise `Unavailable`."""
        row = await self._db.read_one(_SQL["room"], schedule_id)
        return None if row is None else _room(row)

    async def departures(self, after: int, at_most: int) -> DeparturePage:
        """Return the departures of transactions that the read with `seen_to` `after` may have missed.

        Raises `Unavailable`.
        """
        rows = await self._db.read(_SQL["departures"], after, at_most)
        departures = [
            Departure(row["schedule_id"], row["numbers"], row["written_by"], row["passes_for_s"])
            for row in rows
            if row["schedule_id"] is not None
        ]
        return DeparturePage(rows[0]["seen_to"], departures)

    async def purge_departures(self) -> None:
        """Delete departures whose passes have expired."""
        await self._db.fetch(_SQL["purge_departures"])

    def transaction(self) -> AbstractAsyncContextManager[Connection]:
        """Open a transaction; raise as `Database.writing`."""
        return self._db.writing()

    async def sale(
        self, schedule_id: UUID, organization_ids: OrganizationIds
    ) -> ScheduleSale | None:
        """Return the sale of a schedule of these organizations, of any for None; None without one."""
        row = await self._db.read_one(_SQL["sale_of_organizer"], schedule_id, organization_ids)
        return None if row is None else ScheduleSale(*row)

    async def checkpoint(
        self, schedule_id: UUID, token: int, joined: int, called: int, numbers_to: int
    ) -> int | None:
        """Save the progress; return the last number that may be issued, None when fenced."""
        args = (schedule_id, token, joined, called, numbers_to)
        rows = await self._db.fetch(_SQL["checkpoint"], *args)
        return int(rows[0]["numbers_to"]) if rows else None

    async def draw(self, schedule_id: UUID, token: int, lobby_size: int) -> None:
        """Fix the size of the draw; does nothing when it is fixed, or when fenced."""
        await self._db.fetch(_SQL["draw"], schedule_id, token, lobby_size)

    async def begin_epoch(self, schedule_id: UUID, token: int, number_prefetch: int) -> bool:
        """Begin the next epoch; return False when fenced."""
        (row,) = await self._db.fetch(_SQL["begin_epoch"], schedule_id, token, number_prefetch)
        return bool(row["begun"])

    async def admit(
        self,
        schedule_id: UUID,
        epoch: int,
        called: int,
        now_ms: int,
        admissions: Sequence[Admission],
    ) -> list[AdmissionRecord] | None:
        """Record `admissions` in one transaction; return the record of each.

        None after the end of `epoch` or the sale: then none is recorded.
        """
        rows = await self._db.fetch(
            _SQL["admit"],
            schedule_id,
            epoch,
            [one.number for one in admissions],
            [one.user_id for one in admissions],
            [one.place for one in admissions],
            called,
            [one.inside for one in admissions],
            [one.inside_max for one in admissions],
            [_moment(one.admitted_ms) for one in admissions],
            [_moment(one.ends_ms) for one in admissions],
            _moment(now_ms),
        )
        if admissions and not rows:
            return None
        return [AdmissionRecord(row["is_theirs"], row["is_out"], row["leaves_at"]) for row in rows]

    async def record_exits(self, schedule_id: UUID, out: Sequence[Exit]) -> None:
        """Record exits and publish them as departures."""
        await self._db.fetch(
            _SQL["record_exits"],
            schedule_id,
            [one.number for one in out],
            [_moment(one.at_ms) for one in out],
            [one.reason for one in out],
        )

    async def record_joins(self, schedule_id: UUID, given: IssuedNumbers) -> None:
        """Record issued numbers with their accounts."""
        await self._db.fetch(_SQL["record_joins"], schedule_id, given.numbers, given.accounts)

    async def pack_joins(self, schedule_id: UUID, at_most: int, at_least: int = 1) -> int:
        """Pack up to about `at_most` recorded numbers, if `at_least` are in no pack.

        Returns how many rows this or a concurrent call has packed, 0 where there is nothing to pack.
        """
        rows = await self._db.fetch(_SQL["pack_joins"], schedule_id, at_most, at_least)
        return int(rows[0]["packed"])

    async def number_packs(self, schedule_id: UUID, parts: range) -> list[NumberPack]:
        """Return these parts of all packs, in the order of the parts."""
        rows = await self._db.fetch(_SQL["number_packs"], schedule_id, parts[0], parts[-1])
        return [NumberPack(*row) for row in rows]

    async def spent_numbers(self, schedule_id: UUID) -> AsyncIterator[list[SpentNumber]]:
        """Yield the admitted numbers.

        A user who was admitted and joins again gets a new number, not the spent one.
        """
        after = 0
        while rows := await self._db.fetch(
            _SQL["spent_numbers"], schedule_id, after, _SPENT_AT_ONCE
        ):
            yield [SpentNumber(*row) for row in rows]
            after = rows[-1]["number"]

    async def issued_in_gaps(self, schedule_id: UUID, gaps: Sequence[Gap]) -> set[int]:
        """Return the recorded numbers in `gaps`, which are few."""
        after, to = [gap.after for gap in gaps], [gap.to for gap in gaps]
        rows = await self._db.fetch(_SQL["issued_in_gaps"], schedule_id, after, to)
        return {row["number"] for row in rows}

    async def admissions(self, schedule_id: UUID, now_ms: int) -> list[Admission]:
        """Return the active admissions; the cap bounds their count."""
        rows = await self._db.fetch(_SQL["active_admissions"], schedule_id, _moment(now_ms))
        return [Admission(**row) for row in rows]

    async def admission_records(
        self, schedule_id: UUID, numbers: Sequence[int]
    ) -> dict[tuple[int, UUID], AdmissionRecord]:
        """Return the admissions of these numbers, by number and user; raise `Unavailable`."""
        rows = await self._db.read(_SQL["admission_records"], schedule_id, list(numbers))
        return {
            (row["number"], row["user_id"]): AdmissionRecord(True, row["is_out"], row["leaves_at"])
            for row in rows
        }


async def lock_room(
    connection: Connection, schedule_id: UUID, defaults: RoomDefaults
) -> WaitingRoomState:
    """Lock a room for the transaction, creating it if there is none."""
    await connection.execute(_SQL["add_room"], schedule_id, *defaults)
    await connection.fetch(_SQL["lock_room"], schedule_id)
    (row,) = await connection.fetch(_SQL["room"], schedule_id)
    return _room(row)


async def rooms_open(
    connection: Connection, schedule_id: UUID, organization_id: UUID
) -> tuple[int, int]:
    """Return the open rooms other than this one: of all organizations, and of this one.

    Blocks the opening of rooms until the transaction ends.
    """
    await connection.fetch(_SQL["lock_opening"])
    (row,) = await connection.fetch(_SQL["rooms_open"], schedule_id, organization_id)
    return row["rooms"], row["own"]


async def set_room(connection: Connection, room: WaitingRoomState) -> None:
    """Store the organizer's settings."""
    await connection.execute(
        _SQL["set_room"],
        room.schedule_id,
        room.mode,
        room.is_paused,
        room.is_closed,
        room.rate_per_s,
        room.inside_max,
        room.inside_s,
        room.grace_s,
        room.opens_at,
        room.allows_anonymous,
    )


async def redeem(
    connection: Connection, schedule_id: UUID, number: int, user_id: UUID
) -> Redemption:
    """Give a number without account to an account, once for either; return whose it is."""
    await connection.execute(_SQL["redeem"], schedule_id, number, user_id)
    (row,) = await connection.fetch(_SQL["redemption"], schedule_id, number, user_id)
    return Redemption(*row)


def _room(row: Record) -> WaitingRoomState:
    gaps = tuple(Gap(*pair) for pair in row["gaps"])
    return WaitingRoomState(**{**dict(row), "mode": Mode(row["mode"]), "gaps": gaps})


def _moment(ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=ms)
