"""Requested audits and their results."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from boxoffice.audit.report import Report
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database

_SQL = sql_files.load("boxoffice.audit", "runs.sql")


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """The count of violations of one check, without samples."""

    name: str
    description: str
    violations: int


class AuditRun(msgspec.Struct, frozen=True, kw_only=True):
    """A finished audit: `ok` with its `checks`, or None with a `failure`."""

    run_id: int
    asked_at: datetime
    started_at: datetime
    finished_at: datetime
    ok: bool | None
    checks: list[CheckResult]
    failure: str | None


class LatestAudit(msgspec.Struct, frozen=True, kw_only=True):
    """The newest result, and the time of the open request."""

    run: AuditRun | None
    requested_at: datetime | None


class AuditFigures(NamedTuple):
    """Of the newest result: seconds since its end, its duration, and how many checks are violated.

    `violated` is None where the audit failed.
    """

    age_s: float
    duration_s: float
    violated: int | None


class AuditRuns:
    """Requests and results in PostgreSQL."""

    def __init__(self, db: Database, request_min_interval_s: float) -> None:
        self._db = db
        self._request_min_interval_s = request_min_interval_s

    async def request(self, asked_by: UUID | None) -> bool:
        """Request an audit; return whether a request was added.

        None is added while one is open, or the last audit is younger than `request_min_interval_s`.
        """
        async with self._db.writing() as connection:
            row = await connection.fetchrow(_SQL["request"], asked_by, self._request_min_interval_s)
        return row is not None

    async def latest(self) -> LatestAudit:
        """Return the newest result."""
        (row,) = await self._db.read(_SQL["latest"])
        if row["run_id"] is None:
            return LatestAudit(run=None, requested_at=row["requested_at"])
        checks = msgspec.json.decode(row["checks"] or "[]", type=list[CheckResult])
        run = AuditRun(
            run_id=row["run_id"],
            asked_at=row["asked_at"],
            started_at=row["started_at"],
            finished_at=row["finished_at"],
            ok=row["ok"],
            checks=checks,
            failure=row["failure"],
        )
        return LatestAudit(run=run, requested_at=row["requested_at"])

    async def measure(self) -> AuditFigures | None:
        """Return figures of the newest result, None without one; raises what `read` raises."""
        row = await self._db.read_one(_SQL["measure"])
        return None if row is None else AuditFigures(*row)

    async def due(self, interval_s: float) -> int | None:
        """Return the open request; add one when the last audit is older than `interval_s`."""
        (row,) = await self._db.read(_SQL["due"], interval_s)
        if row["is_late"]:
            async with self._db.writing() as connection:
                made = await connection.fetchrow(_SQL["request"], None, 0.0)
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
        """Store the result or failure of a run, and delete all but `kept_max` results."""
        is_report = isinstance(result, Report)
        checks = None
        if isinstance(result, Report):
            found = [
                CheckResult(name=one.name, description=one.description, violations=one.violations)
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
