"""Named SQL in, frozen types out."""

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import NamedTuple, TypeAlias
from uuid import UUID

import asyncpg
import msgspec

from boxoffice.payments.providers.port import Movement, StatementLine
from boxoffice.payments.reconciliation.rules import (
    AwaitedRefund,
    DueRun,
    StatementFinding,
    StatementTotal,
    StatementWindow,
)
from boxoffice.platform.ids import ScopedId, new_id, parse_scoped
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database, Record

Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[Record]"

_QUERIES = sql_files.load("boxoffice.payments.reconciliation")


class RunKey(NamedTuple):
    """What identifies a run: the provider, `hour` or `day`, and the beginning of the window."""

    provider: str
    kind: str
    since: datetime


class StartedRun(NamedTuple):
    """Where a run begins or goes on; `now` is the database's time."""

    cursor: str | None
    lines: int
    started_at: datetime
    now: datetime


class StatementRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run and the findings of its window; it has no totals before it is finished."""

    provider: str
    kind: str
    since: datetime
    until: datetime
    started_at: datetime
    finished_at: datetime | None
    lines: int
    totals: list[StatementTotal]
    findings: int
    open_findings: int


class KeptFinding(msgspec.Struct, frozen=True, kw_only=True):
    """A finding as it is kept; without `resolved_by` it is over by itself."""

    finding_id: UUID
    provider: str
    transaction_key: str
    kind: str
    movement: str
    currency: str
    there_minor: int | None
    here_minor: int | None
    order_id: str | None
    payment_key: str | None
    happened_at: datetime
    found_at: datetime
    seen_at: datetime
    resolved_at: datetime | None
    resolved_by: UUID | None
    note: str | None


class FindingFilter(NamedTuple):
    """Which findings are wanted; None for no condition."""

    only_open: bool = False
    provider: str | None = None
    window: StatementWindow | None = None


class StatementStore:
    """Runs, lines and findings of all providers."""

    def __init__(self, db: Database) -> None:
        self._db = db

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Lend a connection inside a transaction; raise `Unavailable` and `OutcomeUnknown`."""
        async with self._db.writing() as connection:
            yield connection

    async def now_s(self) -> float:
        """Return the database's time in seconds since the Unix epoch."""
        return await self._db.now_s()

    async def compared(self, provider: str, since: datetime) -> set[tuple[str, datetime]]:
        """Return the kinds and beginnings of the finished runs since a time."""
        rows = await self._db.read(_QUERIES["compared"], provider, since)
        return {(row["kind"], row["since"]) for row in rows}

    async def lost_since(self) -> datetime | None:
        """Return since when a restore of the last week has lost what happened; None without one."""
        rows = await self._db.read(_QUERIES["lost_since"])
        found: datetime | None = rows[0]["lost_since"]
        return found

    async def start(self, key: RunKey, until: datetime) -> StartedRun | None:
        """Begin a run or go on with it; None if it is finished."""
        async with self.transaction() as connection:
            row = await connection.fetchrow(_QUERIES["start"], *key, until)
        return None if row is None else StartedRun(*row)

    async def ask(self, key: RunKey, until: datetime) -> None:
        """Let a run begin, or begin anew."""
        async with self.transaction() as connection:
            await connection.execute(_QUERIES["ask"], *key, until)

    async def unfinished(self, provider: str) -> list[DueRun]:
        """Return the runs that are not finished, the oldest first."""
        rows = await self._db.read(_QUERIES["unfinished"], provider)
        return [DueRun(row["kind"], StatementWindow(row["since"], row["until"])) for row in rows]

    async def save(self, key: RunKey, lines: Sequence[StatementLine], cursor: str | None) -> None:
        """Keep a page, and the place after it, in one transaction."""
        # A page may have a line twice; one statement inserts it once.
        unique = list({line.movement.key: line for line in reversed(lines)}.values())
        async with self.transaction() as connection:
            await connection.execute(
                _QUERIES["save_lines"],
                key.provider,
                [one.movement.key for one in unique],
                [one.movement.happened_at for one in unique],
                [one.movement.amount_minor for one in unique],
                [one.fee_minor for one in unique],
                [one.movement.kind for one in unique],
                [one.movement.currency for one in unique],
                [one.payment_key for one in unique],
                [one.order_id for one in unique],
            )
            await connection.execute(_QUERIES["save_place"], *key, cursor, len(unique))

    async def lines(
        self, provider: str, window: StatementWindow, read_since: datetime
    ) -> list[StatementLine]:
        """Return the lines of a window, by time, that were in the statement then or later."""
        rows = await self._db.read(
            _QUERIES["lines"], provider, window.since, window.until, read_since
        )
        return [
            StatementLine(
                _movement(row, "movement"), row["order_id"], row["payment_key"], row["fee_minor"]
            )
            for row in rows
        ]

    async def movements(self, provider: str, window: StatementWindow) -> list[Movement]:
        """Return the booked movements of a window."""
        rows = await self._db.read(_QUERIES["movements"], provider, window.since, window.until)
        return [_movement(row, "kind") for row in rows]

    async def awaited(self, provider: str) -> list[AwaitedRefund]:
        """Return the refunds that were sent and are not booked."""
        rows = await self._db.read(_QUERIES["awaited"], provider)
        return [AwaitedRefund(row["payment_key"], row["amount_minor"]) for row in rows]

    async def known(self, provider: str, lines: Iterable[StatementLine]) -> set[str]:
        """Return which orders and payment keys of the lines are ours."""
        listed = list(lines)
        keys = sorted({line.payment_key for line in listed})
        rows = await self._db.read(_QUERIES["known_keys"], provider, keys)
        intents = _intents(line.order_id for line in listed)
        found = await self._db.read(_QUERIES["known_intents"], *_columns(intents))
        orders = {str(ScopedId(row["user_id"], row["intent_id"])) for row in found}
        return {row["payment_key"] for row in rows} | orders

    async def finish(
        self,
        key: RunKey,
        window: StatementWindow,
        findings: Sequence[StatementFinding],
        totals: Sequence[StatementTotal],
    ) -> None:
        """Keep the result of a run, end the findings that are over, and let the cashier look up."""
        async with self.transaction() as connection:
            await _save_findings(connection, key.provider, findings)
            seen = [f"{one.key} {one.kind}" for one in findings]
            await connection.execute(
                _QUERIES["heal_findings"], key.provider, window.since, window.until, seen
            )
            await self._look_up(connection, key.provider, findings)
            text = msgspec.json.encode(totals).decode()
            await connection.execute(_QUERIES["finish"], *key, text)

    async def heal_booked(self) -> None:
        """End the findings, of all providers, whose lines have been booked since."""
        async with self.transaction() as connection:
            await connection.execute(_QUERIES["heal_booked"])

    @staticmethod
    async def _look_up(
        connection: Connection, provider: str, findings: Sequence[StatementFinding]
    ) -> None:
        wanted = _intents(one.order_id for one in findings if one.kind == "missing_here")
        absent = [one.key for one in findings if one.kind == "missing_there"]
        rows = await connection.fetch(_QUERIES["intents_of_transactions"], provider, absent)
        wanted |= {ScopedId(row["user_id"], row["intent_id"]) for row in rows}
        await connection.execute(_QUERIES["look_up"], *_columns(wanted))

    async def runs(
        self,
        provider: str | None,
        kind: str | None,
        before: tuple[datetime, str, str] | None,
        count: int,
    ) -> list[StatementRun]:
        """Return at most `count` runs, the newest first; None means every provider or kind."""
        place = before or (None, None, None)
        rows = await self._db.read(_QUERIES["runs"], provider, *place, count, kind)
        return [_run(row) for row in rows]

    async def run(self, key: RunKey) -> StatementRun | None:
        """Return a run, also one that is not finished."""
        row = await self._db.read_one(_QUERIES["run"], *key)
        return None if row is None else _run(row)

    async def findings(
        self, after: UUID | None, wanted: FindingFilter, count: int
    ) -> list[KeptFinding]:
        """Return at most `count` findings, the oldest first."""
        window = wanted.window
        rows = await self._db.read(
            _QUERIES["findings"],
            after,
            wanted.only_open,
            wanted.provider,
            None if window is None else window.since,
            None if window is None else window.until,
            count,
        )
        return [_finding(row) for row in rows]

    async def finding(self, finding_id: UUID) -> KeptFinding | None:
        """Return a finding."""
        row = await self._db.read_one(_QUERIES["finding"], finding_id)
        return None if row is None else _finding(row)


async def resolve(
    connection: Connection, finding_id: UUID, user_id: UUID, note: str
) -> KeptFinding | None:
    """Resolve an open finding in the caller's transaction; None where there is none."""
    row = await connection.fetchrow(_QUERIES["resolve"], finding_id, user_id, note)
    return None if row is None else _finding(row)


async def _save_findings(
    connection: Connection, provider: str, findings: Sequence[StatementFinding]
) -> None:
    await connection.execute(
        _QUERIES["save_findings"],
        provider,
        [one.key for one in findings],
        [one.kind for one in findings],
        [new_id() for _ in findings],
        [one.happened_at for one in findings],
        [one.there_minor for one in findings],
        [one.here_minor for one in findings],
        [one.movement for one in findings],
        [one.currency for one in findings],
        [one.order_id for one in findings],
        [one.payment_key for one in findings],
    )


def _intents(order_ids: Iterable[str | None]) -> set[ScopedId]:
    """Return the intents whose public ids are among these; other ids are another shop's."""
    parsed = (parse_scoped(one) for one in order_ids if one is not None)
    return {one for one in parsed if one is not None}


def _columns(intents: Collection[ScopedId]) -> tuple[list[UUID], list[UUID]]:
    listed = sorted(intents, key=str)
    return [one.schedule_id for one in listed], [one.own_id for one in listed]


def _movement(row: Record, kind: str) -> Movement:
    return Movement(
        row["transaction_key"], row[kind], row["amount_minor"], row["currency"], row["happened_at"]
    )


def _run(row: Record) -> StatementRun:
    totals = msgspec.json.decode(row["totals"] or "[]", type=list[StatementTotal])
    return StatementRun(**{**dict(row), "totals": totals})


def _finding(row: Record) -> KeptFinding:
    return KeptFinding(**{name: row[name] for name in KeptFinding.__struct_fields__})
