"""Runs the checks; each statement tells its count and its samples."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from boxoffice.audit.report import Check
from boxoffice.errors import Unavailable
from boxoffice.platform.postgres import database, sql_files
from boxoffice.platform.postgres.database import Record
from boxoffice.settings import Settings

_ROOM = "boxoffice.audit"
_CHECKS = sql_files.load(_ROOM)
_SNAPSHOT = sql_files.load(_ROOM, "snapshot.sql")
_DESCRIBED = re.compile(r"^-- name: *(\w+)\n((?:--.*\n)+)", re.MULTILINE)
_WORK_MEM = "64MB"


def _descriptions(text: str) -> dict[str, str]:
    return {
        name: " ".join(line.removeprefix("--").strip() for line in lines.splitlines())
        for name, lines in _DESCRIBED.findall(text)
    }


_DESCRIPTIONS = _descriptions(sql_files.read(_ROOM, "queries.sql"))


def names() -> list[str]:
    """Return the names of all checks, in the order in which they run."""
    return list(_CHECKS)


class Snapshot:
    """One state of the database: every check sees the same commits."""

    def __init__(self, connection: "asyncpg.Connection[Record]", taken_at: datetime) -> None:
        self._connection = connection
        self._taken_at = taken_at

    async def is_alone(self) -> bool:
        """Take the place of the one auditor for this transaction; say whether it was free."""
        alone: bool = await self._connection.fetchval(_SNAPSHOT["is_alone"])
        return alone

    async def check(self, name: str) -> Check:
        """Run one check; raise `Unavailable` where the database does not finish it."""
        statement = _CHECKS[name]
        args = (self._taken_at,) if "$1" in statement else ()
        try:
            rows = await self._connection.fetch(statement, *args)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            raise Unavailable(f"The audit did not get past {name}: {error}") from error
        violations = rows[0]["violations"] if rows else 0
        return Check(name, _DESCRIPTIONS[name], violations, [_sample(row) for row in rows])


def _sample(row: Record) -> dict[str, Any]:
    sample: dict[str, Any] = msgspec.to_builtins(dict(row))
    del sample["violations"]
    return sample


@asynccontextmanager
async def snapshot(settings: Settings, statement_timeout_ms: int) -> AsyncIterator[Snapshot]:
    """Open a connection, and one read-only transaction on it.

    The connection asks for no settings of its own, so that the audit sees those that others get.

    Raises `Unavailable` where PostgreSQL cannot be reached.
    """
    connection = await database.connect(settings, bounded=False, plain=True)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await connection.execute(_SNAPSHOT["bound"], str(statement_timeout_ms), _WORK_MEM)
            taken_at = await connection.fetchval(_SNAPSHOT["taken_at"])
            yield Snapshot(connection, taken_at)
    finally:
        await connection.close()
