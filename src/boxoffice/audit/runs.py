"""Audits that were wished for, and what became of them."""

from datetime import datetime
from uuid import UUID

import msgspec

from boxoffice.audit.report import Report
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database

_SQL = sql_files.load("boxoffice.audit", "runs.sql")


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What one check found, without samples: they are for operators."""

    name: str
    description: str
    violations: int


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """An audit that ended: `ok` with its `checks`, or None with the `failure` that ended it."""

    run_id: int
    asked_at: datetime
    started_at: datetime
    finished_at: datetime
    ok: bool | None
    checks: list[Verdict]
    failure: str | None


class Latest(msgspec.Struct, frozen=True, kw_only=True):
    """The newest result, and since when the next one is wished for."""

    run: Run | None
    asked_again_at: datetime | None


class AuditRuns:
    """Wishes and results in PostgreSQL."""

    def __init__(self, db: Database, again_after_s: float) -> None:
        self._db = db
        self._again_after_s = again_after_s

    async def ask(self, asked_by: UUID | None) -> bool:
        """Wish for an audit; say whether that was done.

        It is not where one is wished for already, or the last one is younger than `again_after_s`.
        """
        async with self._db.writing() as connection:
            row = await connection.fetchrow(_SQL["ask"], asked_by, self._again_after_s)
        return row is not None

    async def latest(self) -> Latest:
        """Return the newest result."""
        (row,) = await self._db.read(_SQL["latest"])
        if row["run_id"] is None:
            return Latest(run=None, asked_again_at=row["asked_again_at"])
        checks = msgspec.json.decode(row["checks"] or "[]", type=list[Verdict])
        run = Run(
            run_id=row["run_id"],
            asked_at=row["asked_at"],
            started_at=row["started_at"],
            finished_at=row["finished_at"],
            ok=row["ok"],
            checks=checks,
            failure=row["failure"],
        )
        return Latest(run=run, asked_again_at=row["asked_again_at"])

    async def due(self, interval_s: float) -> int | None:
        """Return the run that is wished for, also because the last one is older than `interval_s`."""
        (row,) = await self._db.read(_SQL["due"], interval_s)
        if row["is_late"]:
            async with self._db.writing() as connection:
                made = await connection.fetchrow(_SQL["ask"], None, 0.0)
            return None if made is None else int(made["run_id"])
        return row["run_id"] or None

    async def now(self) -> datetime:
        """Return the database's time."""
        (row,) = await self._db.read(_SQL["now"])
        now: datetime = row["now"]
        return now

    async def finish(
        self, run_id: int, started_at: datetime, result: Report | str, kept_max: int
    ) -> None:
        """Write the result of a run, or why there is none, and forget all but `kept_max` results."""
        is_report = isinstance(result, Report)
        checks = None
        if isinstance(result, Report):
            found = [
                Verdict(name=one.name, description=one.description, violations=one.violations)
                for one in result.checks
            ]
            checks = msgspec.json.encode(found).decode()
        async with self._db.writing() as connection:
            await connection.execute(
                _SQL["finish"],
                run_id,
                started_at,
                result.ok if isinstance(result, Report) else None,
                checks,
                None if is_report else str(result)[:2_000],
            )
            await connection.execute(_SQL["forget"], kept_max)
