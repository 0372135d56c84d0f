"""Whether a commit that PostgreSQL acknowledged is also on its synchronous standby.

A wait for the standby that is cancelled, by our deadline or by an operator, ends as a successful COMMIT
with a warning: the transaction is committed on the primary, and a failover may lose it. Source:
`SyncRepWaitForLSN` in PostgreSQL's `syncrep.c`.
"""

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg

from boxoffice.errors import OutcomeUnknown

# The generic warning, and that of a session that is terminated during the wait. The text and the
# localized severity are not read: `lc_messages` translates both.
_CODES = frozenset({"01000", "57P01"})
# Sources of warnings with the same code that concern no commit: wraparound of ids, RAISE WARNING.
_HARMLESS_SOURCES = frozenset({"GetNewTransactionId", "GetNewMultiXactId", "exec_stmt_raise"})


def leaves_in_doubt(warning: Any) -> bool:
    """Say whether a message of the server means that a commit may not be on the standby.

    An unknown source counts as doubt: a pooler may have removed the source.
    """
    if warning.severity_en not in ("WARNING", None) or warning.sqlstate not in _CODES:
        return False
    return warning.server_source_function not in _HARMLESS_SOURCES


@contextmanager
def acknowledged(
    connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record] | asyncpg.Connection[asyncpg.Record]",
) -> Iterator[None]:
    """Raise `OutcomeUnknown` where the commit that ends in the block did not wait for its standby.

    The driver delivers warnings before it wakes the statement's awaiter.
    """
    doubts: list[str] = []

    def hear(_connection: object, message: Any) -> None:
        if leaves_in_doubt(message):
            doubts.append(message.sqlstate)

    connection.add_log_listener(hear)
    try:
        yield
    finally:
        # The pool's proxy has no connection any more if it was lost meanwhile.
        with contextlib.suppress(asyncpg.InterfaceError):
            connection.remove_log_listener(hear)
    if doubts:
        raise OutcomeUnknown("It is committed, and perhaps not on the standby.")
