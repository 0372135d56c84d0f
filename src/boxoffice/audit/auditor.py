"""The auditor role: runs an audit on request, and when the last one is too old.

It reads the whole database on its own connection, one statement at a time. An advisory lock admits one
auditor at a time. The request of an auditor that dies stays open, and another auditor takes it over.
"""

import asyncio
from functools import partial

from boxoffice.audit import metrics, store
from boxoffice.audit.report import Report
from boxoffice.audit.runs import AuditRuns
from boxoffice.errors import Unavailable
from boxoffice.observability.lag import keep_measuring
from boxoffice.observability.logs import log
from boxoffice.observability.rounds import rounds
from boxoffice.observability.tracing import spans
from boxoffice.platform.concurrency.supervision import supervised
from boxoffice.platform.concurrency.tasks import cancel_and_wait
from boxoffice.platform.postgres.database import Database
from boxoffice.settings import Settings

ROLE = "auditor"

_LOOK_EVERY_S = 2.0
_WAIT_AFTER_FAILURE_S = 10.0


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Audit until `stop` is set; a running audit is then cancelled and repeated later.

    Raises connection errors at the start; continues after later outages.
    """
    db = Database(settings)
    await db.open()
    rounds.done(ROLE)
    runs = AuditRuns(db, settings.audit.audit_request_min_interval_s)
    every_s = settings.observability.lag_check_interval_ms / 1000
    try:
        async with supervised({"lag": lambda: keep_measuring(partial(_measure, runs), every_s)}):
            await _until(stop, asyncio.create_task(_run_audits(runs, settings)))
    finally:
        await db.close()


async def _until(stop: asyncio.Event, auditing: "asyncio.Task[None]") -> None:
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({auditing, stopping}, return_when=asyncio.FIRST_COMPLETED)
    await cancel_and_wait((auditing, stopping))
    if not auditing.cancelled():
        auditing.result()


async def _measure(runs: AuditRuns) -> None:
    figures = await runs.measure()
    if figures is not None:
        metrics.show(figures)


async def _run_audits(runs: AuditRuns, settings: Settings) -> None:
    while True:
        try:
            await audit_once(runs, settings)
        except Exception as error:  # the role survives any failed audit
            reason = str(error) if isinstance(error, Unavailable) else repr(error)
            log.warning("audit_failed", reason=reason)
            await asyncio.sleep(_WAIT_AFTER_FAILURE_S)
            continue
        rounds.done(ROLE)
        await asyncio.sleep(_LOOK_EVERY_S)


async def audit_once(runs: AuditRuns, settings: Settings) -> bool:
    """Run the audit that is due, if any, and store its result; return whether there was one.

    Raises `Unavailable` without the database.
    """
    run_id = await runs.due(settings.audit.audit_interval_s)
    if run_id is None:
        return False
    started_at = await runs.now()
    try:
        with spans.span("audit"):
            result = await _audited(settings)
    except Unavailable as error:
        # A timed-out check is a result too; otherwise the audit would be repeated for ever.
        await runs.finish(run_id, started_at, str(error), settings.audit.audit_runs_kept_max)
        return True
    if result is None:
        return False
    await runs.finish(run_id, started_at, result, settings.audit.audit_runs_kept_max)
    if not result.ok:
        log.error("audit_violations_found", checks=[check.name for check in result.broken])
    return True


async def _audited(settings: Settings) -> Report | None:
    """Check every invariant; None while another auditor runs."""
    async with store.snapshot(settings, settings.audit.audit_statement_timeout_ms) as snapshot:
        if not await snapshot.try_lock():
            return None
        return Report([await snapshot.check(name) for name in store.names()])
