"""Whether a commit that PostgreSQL acknowledged is also on its synchronous standby.

A wait for the standby that is cancelled, by a deadline of ours or by an operator, ends as a successful
COMMIT with a warning: the transaction is committed here, and a failover may lose it. Who reads only the
command's status believes it. Source: `SyncRepWaitForLSN` in PostgreSQL's `syncrep.c`.
"""

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg

from boxoffice.errors import OutcomeUnknown

# A warning without a code of its own, and the one of a session that is told to end during the wait.
# Neither the text nor the localized severity is looked at: `lc_messages` translates both.
_CODES = frozenset({"01000", "57P01"})
# Warnings with the same code that say nothing of a commit: transaction ids run out, RAISE WARNING.
_HARMLESS_SOURCES = frozenset({"GetNewTransactionId", "GetNewMultiXactId", "exec_stmt_raise"})


def leaves_in_doubt(warning: Any) -> bool:
    """Say whether a message of the server means that a commit may not be on the standby.

    What is not known to be harmless counts as doubt: a pooler may have taken the source away.
    """
    if warning.severity_en not in ("WARNING", None) or warning.sqlstate not in _CODES:
        return False
    return warning.server_source_function not in _HARMLESS_SOURCES


@contextmanager
def acknowledged(
    connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record] | asyncpg.Connection[asyncpg.Record]",
) -> Iterator[None]:
    """Raise `OutcomeUnknown` where the commit that ends in the block did not wait for its standby.

    The driver hands warnings over before it wakes who waits for the statement.
    """
    doubts: list[str] = []

    def hear(_connection: object, message: Any) -> None:
        if leaves_in_doubt(message):
            doubts.append(message.sqlstate)

    connection.add_log_listener(hear)
    try:
        yield
    finally:
        # A connection that was lost meanwhile has been taken away from the pool's proxy.
        with contextlib.suppress(asyncpg.InterfaceError):
            connection.remove_log_listener(hear)
    if doubts:
        raise OutcomeUnknown("It is committed, and perhaps not on the standby.")
