"""The last audit over HTTP, for operators."""

from datetime import datetime

import msgspec

from boxoffice.audit.runs import AuditRun, AuditRuns, CheckResult, LatestAudit
from boxoffice.http.api.operation import Call, Reply, RouteDependencies, operation


class AuditOut(msgspec.Struct, frozen=True, kw_only=True):
    """The last audit of all organizers' data, with the database's times.

    `finished_at` is null before the first audit. `ok` is null for an audit that failed, with the reason
    in `failure`. `requested_at` is the time of the open request.
    """

    ok: bool | None
    started_at: datetime | None
    finished_at: datetime | None
    invariants: int
    broken: int
    checks: list[CheckResult]
    failure: str | None
    requested_at: datetime | None


class AdminAudit:
    """`/v1/admin/audit`."""

    def __init__(self, runs: AuditRuns, dependencies: RouteDependencies) -> None:
        self.dependencies = dependencies
        self._runs = runs

    @operation("Get the last audit", role="operator", returns=AuditOut)
    async def on_get(self, call: Call[None, None]) -> Reply:
        """Every invariant, checked on the live database."""
        return Reply(_present(await self._runs.latest()))

    @operation("Request an audit", 202, role="operator", returns=AuditOut)
    async def on_post(self, call: Call[None, None]) -> Reply:
        """The auditor runs it within seconds. Does nothing beside an open request or a recent audit."""
        await self._runs.request(call.caller.user_id)
        return Reply(_present(await self._runs.latest()))


def _present(latest: LatestAudit) -> AuditOut:
    run: AuditRun | None = latest.run
    checks = run.checks if run else []
    return AuditOut(
        ok=run.ok if run else None,
        started_at=run.started_at if run else None,
        finished_at=run.finished_at if run else None,
        invariants=len(checks),
        broken=sum(check.violations > 0 for check in checks),
        checks=checks,
        failure=run.failure if run else None,
        requested_at=latest.requested_at,
    )


def routes(runs: AuditRuns, dependencies: RouteDependencies) -> list[tuple[str, object]]:
    """Return the resources of this module by URI template."""
    return [("/v1/admin/audit", AdminAudit(runs, dependencies))]
