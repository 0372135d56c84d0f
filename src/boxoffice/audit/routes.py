"""The audit's last result over HTTP, for operators: it is about the whole shop."""

from datetime import datetime

import msgspec

from boxoffice.audit.runs import AuditRuns, Latest, Run, Verdict
from boxoffice.http.api.operation import Call, Reply, RouteDependencies, operation


class AuditOut(msgspec.Struct, frozen=True, kw_only=True):
    """The last audit of the whole shop, by the database's time.

    Before the first one `finished_at` is null. `ok` is null where it did not come to its end, with the
    reason in `failure`. `asked_again_at` says since when the next one is wished for.
    """

    ok: bool | None
    started_at: datetime | None
    finished_at: datetime | None
    invariants: int
    broken: int
    checks: list[Verdict]
    failure: str | None
    asked_again_at: datetime | None


class AdminAudit:
    """`/v1/admin/audit`."""

    def __init__(self, runs: AuditRuns, dependencies: RouteDependencies) -> None:
        self.dependencies = dependencies
        self._runs = runs

    @operation("Look at the last audit", role="operator", returns=AuditOut)
    async def on_get(self, call: Call[None, None]) -> Reply:
        """Every invariant of the shop, checked on the live database."""
        return Reply(_present(await self._runs.latest()))

    @operation("Wish for an audit", 202, role="operator", returns=AuditOut)
    async def on_post(self, call: Call[None, None]) -> Reply:
        """It runs soon, where an auditor does; a wish beside an open or a fresh one changes nothing."""
        await self._runs.ask(call.caller.user_id)
        return Reply(_present(await self._runs.latest()))


def _present(latest: Latest) -> AuditOut:
    run: Run | None = latest.run
    checks = run.checks if run else []
    return AuditOut(
        ok=run.ok if run else None,
        started_at=run.started_at if run else None,
        finished_at=run.finished_at if run else None,
        invariants=len(checks),
        broken=sum(check.violations > 0 for check in checks),
        checks=checks,
        failure=run.failure if run else None,
        asked_again_at=latest.asked_again_at,
    )


def routes(runs: AuditRuns, dependencies: RouteDependencies) -> list[tuple[str, object]]:
    """Return the resources of this room by URI template."""
    return [("/v1/admin/audit", AdminAudit(runs, dependencies))]
