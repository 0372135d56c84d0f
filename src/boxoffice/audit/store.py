"""Runs the checks; each statement returns a count and samples of violations."""

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

_MODULE = "boxoffice.audit"
_CHECKS = sql_files.load(_MODULE)
_SNAPSHOT = sql_files.load(_MODULE, "snapshot.sql")
_DESCRIBED = re.compile(r"^-- name: *(\w+)\n((?:--.*\n)+)", re.MULTILINE)
_WORK_MEM = "64MB"


def _descriptions(text: str) -> dict[str, str]:
    return {
        name: " ".join(line.removeprefix("--").strip() for line in lines.splitlines())
        for name, lines in _DESCRIBED.findall(text)
    }


_DESCRIPTIONS = _descriptions(sql_files.read(_MODULE, "queries.sql"))


def names() -> list[str]:
    """Return the names of all checks, in order of execution."""
    return list(_CHECKS)


class Snapshot:
    """One snapshot of the database for all checks."""

    def __init__(self, connection: "asyncpg.Connection[Record]", taken_at: datetime) -> None:
        self._connection = connection
        self._taken_at = taken_at

    async def try_lock(self) -> bool:
        """Take the auditor's lock for this transaction; return whether it was free."""
        is_locked: bool = await self._connection.fetchval(_SNAPSHOT["try_lock"])
        return is_locked

    async def check(self, name: str) -> Check:
        """Run one check; raise `Unavailable` when the database does not finish it."""
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
    """Open a connection with one read-only transaction; raise `Unavailable`.

    The connection sets no parameters, so that the audit sees those of the server.
    """
    connection = await database.connect(settings, bounded=False, plain=True)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await connection.execute(_SNAPSHOT["bound"], str(statement_timeout_ms), _WORK_MEM)
            taken_at = await connection.fetchval(_SNAPSHOT["taken_at"])
            yield Snapshot(connection, taken_at)
    finally:
        await connection.close()
