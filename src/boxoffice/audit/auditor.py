"""The auditor role: runs an audit when one is wished for, and when the last one is too old.

It reads the whole database, on a connection of its own, one statement at a time. Any number of auditors
may run: one works, the others find the place taken. One that dies leaves its wish open, and the next
turn of any auditor takes it up.
"""

import asyncio

from boxoffice.audit import store
from boxoffice.audit.report import Report
from boxoffice.audit.runs import AuditRuns
from boxoffice.errors import Unavailable
from boxoffice.observability.logs import log
from boxoffice.platform.concurrency.tasks import cancel_and_wait
from boxoffice.platform.postgres.database import Database
from boxoffice.settings import Settings

_LOOK_EVERY_S = 2.0
_WAIT_AFTER_FAILURE_S = 10.0


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Audit until `stop` is set; an audit that is under way then is given up and taken up later.

    Raises what connecting to PostgreSQL raises at the start; later outages are waited out.
    """
    db = Database(settings)
    await db.open()
    try:
        turns = asyncio.create_task(
            _turns(AuditRuns(db, settings.audit.audit_again_after_s), settings)
        )
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({turns, stopping}, return_when=asyncio.FIRST_COMPLETED)
        await cancel_and_wait((turns, stopping))
        if not turns.cancelled():
            turns.result()
    finally:
        await db.close()


async def _turns(runs: AuditRuns, settings: Settings) -> None:
    while True:
        try:
            await audit_once(runs, settings)
        except Exception as error:  # the role outlives whatever one turn meets
            reason = str(error) if isinstance(error, Unavailable) else repr(error)
            log.warning("audit_turn_failed", reason=reason)
            await asyncio.sleep(_WAIT_AFTER_FAILURE_S)
            continue
        await asyncio.sleep(_LOOK_EVERY_S)


async def audit_once(runs: AuditRuns, settings: Settings) -> bool:
    """Run the audit that is due, if any, and keep its result; say whether there was one.

    Raises `Unavailable` where the database cannot be reached.
    """
    run_id = await runs.due(settings.audit.audit_interval_s)
    if run_id is None:
        return False
    started_at = await runs.now()
    try:
        result = await _audited(settings)
    except Unavailable as error:
        # What a check did not finish in its time is a result too: else it would be tried for ever.
        await runs.finish(run_id, started_at, str(error), settings.audit.audit_runs_kept_max)
        return True
    if result is None:
        return False
    await runs.finish(run_id, started_at, result, settings.audit.audit_runs_kept_max)
    if not result.ok:
        log.error("audit_broken", checks=[check.name for check in result.broken])
    return True


async def _audited(settings: Settings) -> Report | None:
    """Check every invariant; None where another auditor is at it."""
    async with store.snapshot(settings, settings.audit.audit_statement_timeout_ms) as snapshot:
        if not await snapshot.is_alone():
            return None
        return Report([await snapshot.check(name) for name in store.names()])
