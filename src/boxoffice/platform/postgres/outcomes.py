"""Whether a transaction took effect: what errors say, commits in doubt, and sessions that were lost.

A wait for the synchronous standby that is cancelled, by our deadline or by an operator, ends as a
successful COMMIT with a warning: the transaction is committed on the primary, and a failover may lose
it. Source: `SyncRepWaitForLSN` in PostgreSQL's `syncrep.c`.

When a connection breaks, the server may have received a statement and not started it. The statement
could take effect after its outcome was looked up; ending its server process ("backend") first rules
that out.
"""

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from functools import partial
from typing import Any, TypeAlias

import asyncpg

from boxoffice.errors import OutcomeUnknown, Unavailable
from boxoffice.platform.postgres import sql_files

Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"

_QUERIES = sql_files.load("boxoffice.platform.postgres")

# The generic warning, and that of a session that is terminated during the wait. The text and the
# localized severity are not read: `lc_messages` translates both.
_CODES = frozenset({"01000", "57P01"})
# Sources of warnings with the same code that concern no commit: wraparound of ids, RAISE WARNING.
_HARMLESS_SOURCES = frozenset({"GetNewTransactionId", "GetNewMultiXactId", "exec_stmt_raise"})


class StatementForbidden(Exception):
    """One of the numbers of a statement was given up before it began: nothing was done."""


class Failure(Enum):
    """What an exception of the driver says about the transaction that it ended."""

    REFUSED = "refused"  # rolled back because of the request: a retry fails again
    TRANSIENT = "transient"  # rolled back because of concurrent work: a retry may succeed
    UNAVAILABLE = "unavailable"  # nothing was done: the server is not available
    UNKNOWN = "unknown"  # possibly committed: look it up


_TRANSIENT = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
)
UNAVAILABLE = (
    Unavailable,
    asyncpg.CannotConnectNowError,
    asyncpg.InsufficientResourcesError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.PostgresIOError,
)
_UNKNOWN = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InternalClientError,
    asyncpg.InterfaceError,
    OSError,
    TimeoutError,
)


def classify(error: BaseException) -> Failure:
    """Say what `error`, raised while a statement ran, means for its transaction."""
    if isinstance(error, asyncpg.exceptions.UnsupportedClientFeatureError | asyncpg.DataError):
        return Failure.REFUSED
    if isinstance(error, _TRANSIENT):
        return Failure.TRANSIENT
    if isinstance(error, OutcomeUnknown):
        return Failure.UNKNOWN
    if isinstance(error, UNAVAILABLE):
        return Failure.UNAVAILABLE
    if isinstance(error, _UNKNOWN):
        return Failure.UNKNOWN
    return Failure.REFUSED


def leaves_in_doubt(warning: Any) -> bool:
    """Say whether a message of the server means that a commit may not be on the standby.

    An unknown source counts as doubt: a pooler may have removed the source.
    """
    if warning.severity_en not in ("WARNING", None) or warning.sqlstate not in _CODES:
        return False
    return warning.server_source_function not in _HARMLESS_SOURCES


@contextmanager
def acknowledged(
    connection: "Connection | asyncpg.Connection[asyncpg.Record]",
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


@dataclass(frozen=True, slots=True)
class Backend:
    """One backend; process ids are reused, so its start time belongs to its identity."""

    pid: int
    began_at: datetime


class BackendRegistry:
    """The backends of one pool: those of its connections, and those of lost connections."""

    def __init__(self) -> None:
        self._by_pid: dict[int, Backend] = {}
        self._lost: set[Backend] = set()

    async def register(self, connection: "asyncpg.Connection[asyncpg.Record]") -> int:
        """Record the backend of a new connection, for the `init` of a pool; return its process id."""
        [row] = await connection.fetch(_QUERIES["backend"])
        backend = Backend(row["pid"], row["began_at"])
        named = connection.get_server_pid()
        self._by_pid[named] = backend
        connection.add_termination_listener(partial(self._forget, named, backend))
        return backend.pid

    @contextmanager
    def watched(self, connection: Connection) -> Iterator[None]:
        """Have `terminate_lost` end the backend if the outcome of this block's statement is unknown.

        Raises `OutcomeUnknown` as `acknowledged` does.
        """
        backend = self._by_pid.get(connection.get_server_pid())
        # guard: promise_batchs_commit_has_waited_for_standby => if True:
        with acknowledged(connection):
            try:
                yield
            except Exception as error:  # raised again
                if backend is not None and classify(error) is Failure.UNKNOWN:
                    self._lost.add(backend)
                raise

    async def terminate_lost(self, connection: Connection) -> None:
        """Terminate lost backends, and return when none is left: their transactions have ended.

        Raises `Unavailable` while a terminated backend still runs.
        """
        if not self._lost:
            return
        asked = list(self._lost)
        rows = await connection.fetch(
            _QUERIES["terminate_backends"],
            [one.pid for one in asked],
            [one.began_at for one in asked],
        )
        living = {Backend(row["pid"], row["began_at"]) for row in rows}
        self._lost.difference_update(set(asked) - living)
        if living:
            raise Unavailable("An interrupted transaction has not ended yet; try again.")

    def _forget(self, named: int, backend: Backend, _connection: Any) -> None:
        if self._by_pid.get(named) is backend:
            del self._by_pid[named]
