"""Named SQL in, frozen types out."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import accumulate
from typing import NamedTuple, TypeAlias
from uuid import UUID

import asyncpg

from boxoffice.permissions import OrganizationIds
from boxoffice.platform.ids import new_id
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database, Record
from boxoffice.waiting_list.rules import ReturningSeat, SeatOffer, Waiting

Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[Record]"

_QUERIES = sql_files.load("boxoffice.waiting_list")


class ShownList(NamedTuple):
    """Whether a list is on, and how many tickets of the schedule one person may have."""

    is_on: bool
    ticket_limit: int


class NewEntry(NamedTuple):
    """What a person asks for: `seats` adjacent seats of a grade, None for any."""

    user_id: UUID
    seats: int
    grade: str | None
    key: str
    fingerprint: bytes


class WaitingListEntry(NamedTuple):
    """An entry of a person; `ahead` of a waiting one: how many wait before it."""

    schedule_id: UUID
    entry_id: UUID
    seats: int
    grade: str | None
    joined_at: datetime
    reservation_id: UUID | None
    status: str
    offer_expires_at: datetime | None
    ahead: int | None


class SwitchedSchedule(NamedTuple):
    """The concert and the organization of a schedule that is locked."""

    concert_id: UUID
    organization_id: UUID


class ListSummary(NamedTuple):
    """A list for its organizer: numbers of entries, and the seats that the waiting ones want."""

    is_on: bool
    turn_s: int
    waiting: int
    seats_wanted: int
    offered: int
    taken: int
    lapsed: int


class LockedLine(NamedTuple):
    """A list that is locked for a turn."""

    is_on: bool
    has_offers: bool
    is_over: bool
    is_on_sale: bool
    may_let_go: bool


class WaitingListStore:
    """The waiting lists of all schedules."""

    def __init__(self, db: Database) -> None:
        self._db = db

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Lend a connection inside a transaction, for the functions of this module.

        Raises `Unavailable` and `OutcomeUnknown`.
        """
        async with self._db.writing() as connection:
            yield connection

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Connection]:
        """Lend a connection inside a transaction of a worker, whom no caller waits for."""
        async with self._db.writing(forces_write=False) as connection:
            yield connection

    async def waiting(self) -> int:
        """Return how many entries wait, over all schedules; raises what `read` raises."""
        (row,) = await self._db.read(_QUERIES["waiting"])
        return int(row["waiting"])

    async def shown(self, schedule_id: UUID) -> ShownList | None:
        """Return what buyers are shown of a list; None for a schedule that is not published."""
        row = await self._db.read_one(_QUERIES["shown"], schedule_id)
        return None if row is None else ShownList(*row)

    async def join(self, schedule_id: UUID, wanted: NewEntry) -> tuple[str, UUID | None]:
        """Join a line; the outcome and the entry, as `waiting_list_join_v1` names them."""
        async with self.transaction() as connection:
            row = await connection.fetchrow(
                _QUERIES["join"],
                schedule_id,
                new_id(),
                wanted.user_id,
                wanted.seats,
                wanted.grade,
                wanted.key,
                wanted.fingerprint,
            )
        return ("schedule_not_found", None) if row is None else (row["outcome"], row["entry_id"])

    async def has_joined(self, schedule_id: UUID, user_id: UUID, key: str) -> bool:
        """Return whether a key has made an entry."""
        found = await self._db.read(_QUERIES["entry_of_key"], user_id, schedule_id, key)
        return bool(found)

    async def leave(self, schedule_id: UUID, entry_id: UUID, user_id: UUID) -> str | None:
        """End an entry that waits; return its status before, None where there is none."""
        async with self.transaction() as connection:
            status: str | None = await connection.fetchval(
                _QUERIES["leave"], schedule_id, entry_id, user_id
            )
        return status

    async def of_person(
        self, user_id: UUID, before: UUID | None, count: int, schedule_id: UUID | None
    ) -> list[WaitingListEntry]:
        """Return at most `count` entries of a person, the newest first."""
        rows = await self._db.read(_QUERIES["of_person"], user_id, before, count, schedule_id)
        return [WaitingListEntry(**row) for row in rows]

    async def summary(
        self, schedule_id: UUID, organization_ids: OrganizationIds
    ) -> ListSummary | None:
        """Return the numbers of a list of these organizations."""
        row = await self._db.read_one(_QUERIES["summary"], schedule_id, organization_ids)
        return None if row is None else ListSummary(**row)

    async def due(self) -> list[UUID]:
        """Return the schedules whose line has something to do."""
        return [row["schedule_id"] for row in await self._db.read(_QUERIES["due"])]

    async def settle(self, schedule_id: UUID) -> None:
        """End the offers whose holds were paid or have ended."""
        async with self.turn() as connection:
            await connection.execute(_QUERIES["settle"], schedule_id)


async def lock_schedule(
    connection: Connection, schedule_id: UUID, organization_ids: OrganizationIds
) -> SwitchedSchedule | None:
    """Lock a schedule of these organizations until the transaction ends."""
    row = await connection.fetchrow(_QUERIES["lock_schedule"], schedule_id, organization_ids)
    return None if row is None else SwitchedSchedule(*row)


async def switch(connection: Connection, schedule_id: UUID, *, is_on: bool, turn_s: int) -> bool:
    """Switch a list on or off; return whether that changed anything."""
    changed = await connection.fetchval(_QUERIES["switch"], schedule_id, is_on)
    if is_on:
        await connection.execute(_QUERIES["set_turn"], schedule_id, turn_s)
    else:
        await close_entries(connection, schedule_id)
    return changed is not None


async def close_entries(connection: Connection, schedule_id: UUID) -> None:
    """End the entries that wait."""
    await connection.execute(_QUERIES["close_entries"], schedule_id)


async def lock_line(connection: Connection, schedule_id: UUID) -> LockedLine | None:
    """Lock a list for a turn; None where another worker has it."""
    row = await connection.fetchrow(_QUERIES["lock_line"], schedule_id)
    return None if row is None else LockedLine(**row)


async def wait_for_line(connection: Connection, schedule_id: UUID) -> LockedLine | None:
    """Lock a list that is on, after the turn of another worker; None without one."""
    if await connection.fetchval(_QUERIES["wait_for_line"], schedule_id) is None:
        return None
    return await lock_line(connection, schedule_id)


async def returning(connection: Connection, schedule_id: UUID) -> list[ReturningSeat]:
    """Return the seats that are held for reservations that have ended."""
    rows = await connection.fetch(_QUERIES["returning"], schedule_id)
    return [ReturningSeat(*row) for row in rows]


async def put_back(
    connection: Connection, schedule_id: UUID, seat_ids: Sequence[str]
) -> list[ReturningSeat]:
    """Return the seats of these that the transaction has put back on sale."""
    rows = await connection.fetch(_QUERIES["put_back"], schedule_id, list(seat_ids))
    return [ReturningSeat(*row) for row in rows]


async def next_entries(
    connection: Connection,
    schedule_id: UUID,
    seats_max: int,
    of_grades: dict[str, int],
    count: int,
) -> list[Waiting]:
    """Return the first entries for at most `seats_max` seats of any grade, or for those of a grade."""
    rows = await connection.fetch(
        _QUERIES["next_entries"],
        schedule_id,
        seats_max,
        list(of_grades),
        list(of_grades.values()),
        count,
    )
    return [Waiting(*row) for row in rows]


async def wanted_grades(connection: Connection, schedule_id: UUID) -> frozenset[str | None]:
    """Return the grades for which entries wait, None for any."""
    rows = await connection.fetch(_QUERIES["wanted_grades"], schedule_id)
    return frozenset(row["grade"] for row in rows)


async def offer(
    connection: Connection, schedule_id: UUID, offers: Sequence[SeatOffer], ttl_s: int
) -> list[str]:
    """Hold the seats of each offer for its person, and note it; the outcomes of the holds."""
    seats = [(at, seat) for at, one in enumerate(offers, 1) for seat in one.seats]
    counts = [len(one.seats) for one in offers]
    outcomes: list[str] = await connection.fetchval(
        _QUERIES["offer"],
        schedule_id,
        [one.entry.entry_id for one in offers],
        [new_id() for _ in offers],
        [one.entry.user_id for one in offers],
        [seat.seat_id for _, seat in seats],
        [seat.version for _, seat in seats],
        counts,
        list(accumulate(counts)),
        [at for at, _ in seats],
        ttl_s,
    )
    return outcomes


async def let_go(connection: Connection, schedule_id: UUID, seats: Sequence[ReturningSeat]) -> int:
    """Put returning seats on sale; return how many."""
    count: int = await connection.fetchval(
        _QUERIES["let_go"],
        schedule_id,
        [one.seat_id for one in seats],
        [one.version for one in seats],
    )
    return count
