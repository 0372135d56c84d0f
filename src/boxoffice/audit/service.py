"""The audit: every invariant, on one snapshot of the live database."""

from collections.abc import Callable

from boxoffice.audit import store
from boxoffice.audit.report import Check, Report
from boxoffice.settings import Settings

# A check reads whole tables, which takes longer than the deadline of a request.
STATEMENT_TIMEOUT_MS = 600_000


async def audit(settings: Settings, on_check: Callable[[Check], None] = lambda _: None) -> Report:
    """Check every invariant and return the report; call `on_check` after each.

    Locks and changes nothing. Raises `Unavailable` when the database cannot be read.
    """
    checks = []
    async with store.snapshot(settings, STATEMENT_TIMEOUT_MS) as snapshot:
        for name in store.names():
            check = await snapshot.check(name)
            on_check(check)
            checks.append(check)
    return Report(checks)
