"""Connections to PostgreSQL.

Every connection has timeouts in the server, and a longer client-side deadline for a server that
does not answer.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from boxoffice.errors import OutcomeUnknown, Overloaded, SettingsInvalid, Unavailable
from boxoffice.platform.postgres import multi_host, sql_files
from boxoffice.platform.postgres.metrics import observe_turn, observe_wait
from boxoffice.platform.postgres.outcomes import (
    UNAVAILABLE,
    BackendRegistry,
    Failure,
    StatementForbidden,
    acknowledged,
    classify,
)
from boxoffice.platform.postgres.pooler.probe import (
    require_own_backend,
    require_pooler,
    require_prepared,
)
from boxoffice.platform.postgres.pooler.statements import (
    LostStatements,
    new_number,
    numbered,
    permitted,
)
from boxoffice.platform.postgres.standby import StandbyRequired, require_standby
from boxoffice.settings import CLIENT_GRACE_MS, Settings

Record = asyncpg.Record

_QUERIES = sql_files.load("boxoffice.platform.postgres")
_CLIENT_GRACE_S = CLIENT_GRACE_MS / 1000
# Otherwise the driver replaces a connection from time to time, with all its prepared plans.
_QUERIES_PER_CONNECTION_MAX = 1 << 62
_FOR_EVER_S = 0
# Rows of a long answer that are in memory at one time.
_STREAMED_ROWS = 4_000
# Least time between two replacements of all connections after a read-only error.
_REPLACED_EVERY_S = 0.1


_DRIVER_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)
# `InternalClientError`: no host of the address takes writes.
_CANNOT_CONNECT = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)


class Database:
    """A bounded pool; every call raises `Unavailable` if no connection is free in time.

    `read` and `writing` together leave `batches_in_flight` connections to the batches.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pool: asyncpg.Pool[Record] | None = None
        self._backends = BackendRegistry()
        self._is_pooled = settings.database.db_pooler != "none"
        self._statements = LostStatements()
        self._beside_batches = asyncio.Semaphore(
            max(1, settings.database.db_pool_max - settings.batching.batches_in_flight)
        )
        self._waiting = 0
        self._replaced_at_s = -math.inf
        self._requires_standby = settings.database.db_standby == "required"
        # When a session was last seen whose commits wait for a standby.
        self._standby_seen_at_s = -math.inf

    async def open(self) -> None:
        """Connect, so that a wrong address fails at the start; raise `Unavailable`."""
        try:
            self._pool = await asyncpg.create_pool(
                self._settings.database.database_url,
                min_size=min(
                    self._settings.batching.batches_in_flight, self._settings.database.db_pool_max
                ),
                max_size=self._settings.database.db_pool_max,
                max_queries=_QUERIES_PER_CONNECTION_MAX,
                max_inactive_connection_lifetime=_FOR_EVER_S,
                reset=_keep,
                connect=multi_host.connect,  # type: ignore[call-overload]  # its stub wants all options
                init=self._register,
                **connection_options(self._settings),
            )
        except _CANNOT_CONNECT as error:
            raise _unreachable(error) from error

    async def _register(self, connection: "asyncpg.Connection[Record]") -> None:
        # A transaction pooler changes the backend with each transaction.
        if not self._is_pooled:
            require_own_backend(connection, await self._backends.register(connection))
        elif self._settings.database.db_pooler == "transaction_prepared":
            await require_prepared(connection)
        # After these: behind a wrong pooler its statement may be that of another client.
        if self._requires_standby:
            await require_standby(connection)

    async def close(self) -> None:
        """Close every connection, by force where a server does not answer."""
        if self._pool is None:
            return
        pool, self._pool = self._pool, None
        try:
            await asyncio.wait_for(pool.close(), timeout=2)
        except TimeoutError:
            pool.terminate()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator["asyncpg.pool.PoolConnectionProxy[Record]"]:
        """Lend a connection; raise `Unavailable` where none is free or the server is away."""
        if self._pool is None:
            raise Unavailable("PostgreSQL is not connected yet.")
        since_s = time.perf_counter()
        try:
            lent = await self._pool.acquire(
                timeout=self._settings.database.db_acquire_timeout_ms / 1000
            )
        except (*_CANNOT_CONNECT, SettingsInvalid) as error:
            raise Unavailable("PostgreSQL cannot be reached; try again.") from error
        finally:
            observe_wait(time.perf_counter() - since_s)
        pool = self._pool
        try:
            # guard: sessions_end_where_commits_no_longer_wait => if False:
            if self._requires_standby:
                await self._require_standby_still(pool, lent)
            yield lent
        except asyncpg.ReadOnlySQLTransactionError:
            # guard: session_takes_writes_or_is_replaced
            await self._replace(pool, lent)
            raise
        finally:
            await pool.release(lent)

    async def _replace(
        self, pool: "asyncpg.Pool[Record]", lent: "asyncpg.pool.PoolConnectionProxy[Record]"
    ) -> None:
        """Replace the connections after a read-only error: the server may be a standby now.

        The other connections are most likely to the same server, and read stale data there.
        """
        lent.terminate()
        now_s = time.monotonic()
        if now_s >= self._replaced_at_s + _REPLACED_EVERY_S:
            self._replaced_at_s = now_s
            await pool.expire_connections()

    async def _require_standby_still(
        self, pool: "asyncpg.Pool[Record]", lent: "asyncpg.pool.PoolConnectionProxy[Record]"
    ) -> None:
        """Check again at an interval: the server's setting may be emptied, and sessions have no end.

        Where commits wait no longer, each connection is closed when it is next used, and the one in its
        place is checked. Raises `Unavailable`.
        """
        now_s = time.monotonic()
        every_s = self._settings.database.standby_check_interval_ms / 1000
        if now_s < self._standby_seen_at_s + every_s:
            return
        try:
            await require_standby(lent)
        except StandbyRequired as error:
            await pool.expire_connections()
            raise Unavailable("PostgreSQL cannot be reached; try again.") from error
        except _CANNOT_CONNECT as error:
            raise Unavailable("PostgreSQL did not answer in time; try again.") from error
        self._standby_seen_at_s = now_s

    async def fetch(self, query: str, *args: object) -> list[Record]:
        """Run one statement as one transaction and return its rows.

        Driver errors pass through: `classify` gives their meaning. Raises `OutcomeUnknown` where the
        server committed without waiting for its standby.
        """
        async with self.connection() as connection:
            with self._backends.watched(connection):
                return await connection.fetch(query, *args)

    async def decide(self, query: str, *args: object, numbers: Sequence[int] = ()) -> list[Record]:
        """Run the `SELECT` that decides a batch as `fetch` does; `look_up` reads a lost outcome.

        `numbers` are those of other processes for which it decides, and which may `forbid` them. Raises
        `StatementForbidden` where one did; nothing was done then.
        """
        if not numbers:
            return await self._decide(query, *args)
        rows = await self._decide(permitted(query, len(args)), *args, numbers)
        # guard: handed_over_batch_without_rows_was_forbidden => if False:
        if not rows:
            raise StatementForbidden
        return rows

    def forbid(self, number: int) -> None:
        """Have the next `look_up` forbid what another process has not begun under this number.

        That look-up waits for what has begun.
        """
        self._statements.forbid(number)

    async def _decide(self, query: str, *args: object) -> list[Record]:
        # guard: statement_behind_a_pooler_has_a_number => if True:
        if not self._is_pooled:
            return await self.fetch(query, *args)
        number = new_number()
        async with self.connection() as connection:
            with self._statements.watched(connection, number):
                return await connection.fetch(numbered(query, len(args)), *args, number)

    async def look_up(self, query: str, *args: object, is_durable: bool = False) -> list[Record]:
        """Run a statement that reads the outcome of a `decide` whose answer was lost.

        A row that is found was committed, but may not be on the standby: the commit's wait was
        cancelled, or the server restarted. So the look-up writes, and its own commit waits for the
        standby, unless `is_durable`: a later commit has done so already.

        A row that is not found will not appear later, because lost backends are terminated first, or
        behind a pooler lost statements are given up. Raises `OutcomeUnknown` where the server is not
        available or one of them has not ended; driver errors pass through.
        """
        try:
            async with self.connection() as connection:
                await self._backends.terminate_lost(connection)
                await self._statements.give_up(connection)
                if is_durable:
                    return await connection.fetch(query, *args)
                async with asyncio.timeout(
                    self._settings.batching.unknown_outcome_timeout_ms / 1000
                ):
                    return await self._found(connection, query, *args)
        except UNAVAILABLE as error:
            raise OutcomeUnknown from error

    @staticmethod
    async def _found(
        connection: "asyncpg.pool.PoolConnectionProxy[Record]", query: str, *args: object
    ) -> list[Record]:
        """Read and write in one transaction, and so on one server: another may lack the rows."""
        with acknowledged(connection):
            async with connection.transaction():
                rows = await connection.fetch(query, *args)
                # guard: promise_what_look_up_finds_is_written_behind_once_more {
                if rows:
                    await _force_write(connection)
                # guard: }
        return rows

    async def read(self, query: str, *args: object) -> list[Record]:
        """Run a read-only statement.

        Raises `Unavailable` where the server fails, and `Overloaded` where too many reads wait.
        """
        try:
            async with self._place_beside_batches(), self.connection() as connection:
                return await connection.fetch(query, *args)
        except _DRIVER_ERRORS as error:
            if classify(error) is Failure.REFUSED:
                raise
            raise Unavailable("PostgreSQL did not answer in time; try again.") from error

    async def read_one(self, query: str, *args: object) -> Record | None:
        """Run a read-only statement and return its first row, if any."""
        rows = await self.read(query, *args)
        return rows[0] if rows else None

    async def stream(self, query: str, *args: object) -> AsyncIterator[list[Record]]:
        """Yield the rows of a read-only statement in parts, to bound the memory.

        Raises what `read` raises.
        """
        try:
            async with self._place_beside_batches(), self.transaction() as connection:
                cursor = await connection.cursor(query, *args)
                while rows := await cursor.fetch(_STREAMED_ROWS):
                    yield rows
        except _DRIVER_ERRORS as error:
            if classify(error) is Failure.REFUSED:
                raise
            raise Unavailable("PostgreSQL did not answer in time; try again.") from error

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator["asyncpg.pool.PoolConnectionProxy[Record]"]:
        """Lend a connection that reads one snapshot and writes nothing; raises what `read` raises."""
        try:
            async with (
                self._place_beside_batches(),
                self.connection() as connection,
                # guard: snapshot_is_one: isolation="repeatable_read", =>
                connection.transaction(isolation="repeatable_read", readonly=True),
            ):
                yield connection
        except _DRIVER_ERRORS as error:
            if classify(error) is Failure.REFUSED:
                raise
            raise Unavailable("PostgreSQL did not answer in time; try again.") from error

    async def now_s(self) -> float:
        """Return the database's time in seconds since the Unix epoch; raise `Unavailable`."""
        (row,) = await self.read(_QUERIES["now"])
        return float(row["now"])

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["asyncpg.pool.PoolConnectionProxy[Record]"]:
        """Lend a connection inside a transaction; leaving early rolls back.

        Raises `OutcomeUnknown` where the server committed without waiting for its standby.
        """
        async with self.connection() as connection:
            # guard: promise_transactions_commit_has_waited_for_standby => if True:
            with acknowledged(connection):
                async with connection.transaction():
                    yield connection

    @asynccontextmanager
    async def writing(
        self, *, forces_write: bool = True
    ) -> AsyncIterator["asyncpg.pool.PoolConnectionProxy[Record]"]:
        """Lend a connection inside a transaction, and translate its errors.

        With `forces_write` it always writes, so that its commit waits for the standby: a replayed
        command that changes nothing acknowledges an earlier commit. False is for work without an
        answer.

        Raises `OutcomeUnknown` where the server may have committed, `Overloaded` where too many wait,
        and `Unavailable` where nothing was done. Other refusals of the server pass through.
        """
        try:
            async with self._place_beside_batches(), self.transaction() as connection:
                yield connection
                # guard: promise_replay_writes_too {
                if forces_write:
                    await _force_write(connection)
                # guard: }
        except _DRIVER_ERRORS as error:
            match classify(error):
                case Failure.REFUSED:
                    raise
                case Failure.UNKNOWN:
                    raise OutcomeUnknown(
                        "The answer of the database was lost: look before trying again."
                    ) from error
                case _:
                    raise Unavailable("PostgreSQL could not do this now; try again.") from error

    @asynccontextmanager
    async def _place_beside_batches(self) -> AsyncIterator[None]:
        await self._wait_for_place()
        try:
            yield
        finally:
            self._beside_batches.release()

    async def _wait_for_place(self) -> None:
        if (
            self._beside_batches.locked()
            and self._waiting >= self._settings.database.db_reads_waiting_max
        ):
            raise Overloaded
        self._waiting += 1
        since_s = time.perf_counter()
        try:
            async with asyncio.timeout(self._settings.database.db_acquire_timeout_ms / 1000):
                await self._beside_batches.acquire()
        except TimeoutError as error:
            raise Overloaded from error
        finally:
            self._waiting -= 1
            observe_turn(time.perf_counter() - since_s)


async def _force_write(connection: "asyncpg.pool.PoolConnectionProxy[Record]") -> None:
    """Make this transaction's commit wait for the standby; raise like a write on a standby."""
    if not await connection.fetch(_QUERIES["force_write"]):
        raise asyncpg.ReadOnlySQLTransactionError("This server is a standby.")


async def _keep(_connection: object) -> None:
    """Leave a returned connection as it is: none of our statements changes the session.

    The driver's default resets it, which costs one round trip per batch.
    """


def connection_options(
    settings: Settings, *, bounded: bool = True, plain: bool = False
) -> dict[str, Any]:
    """Return the driver's options.

    `bounded=False` lifts the deadlines of statements and locks, to wait for another migration.
    `plain=True` sets nothing in the session.
    """
    limits = settings.database
    options: dict[str, Any] = {
        "timeout": limits.db_connect_timeout_ms / 1000,
        "command_timeout": limits.statement_timeout_ms / 1000 + _CLIENT_GRACE_S,
        "max_cached_statement_lifetime": _FOR_EVER_S,
    }
    if not bounded:
        options["command_timeout"] = None
    if limits.db_pooler == "transaction":
        # The pooler gives each transaction another server connection: no prepared statement survives.
        options["statement_cache_size"] = 0
    if plain or limits.db_pooler != "none":
        # No session setting survives either: the role carries the timeouts (docs/high-availability.md).
        return options
    options["server_settings"] = {
        "application_name": "boxoffice",
        # guard: session_commits_wait_for_disk: "on" => "off"
        "synchronous_commit": "on",
        # Otherwise the role's setting could suppress the warning that a commit did not wait.
        # guard: session_hears_every_warning
        "client_min_messages": "notice",
        "jit": "off",
        "timezone": "UTC",
        # guard: session_lock_wait_is_bounded
        "lock_timeout": str(limits.lock_timeout_ms if bounded else 0),
        # guard: session_statement_time_is_bounded
        "statement_timeout": str(limits.statement_timeout_ms if bounded else 0),
        # guard: session_idle_transaction_is_bounded
        "idle_in_transaction_session_timeout": str(limits.idle_in_transaction_timeout_ms),
    }
    return options


async def connect(
    settings: Settings, *, bounded: bool = True, plain: bool = False
) -> "asyncpg.Connection[Record]":
    """Open one connection outside a pool, for commands.

    Raises `Unavailable` where it fails, and `SettingsInvalid` where a pooler is not what the settings
    say.
    """
    options = connection_options(settings, bounded=bounded, plain=plain)
    try:
        made = await multi_host.connect(settings.database.database_url, **options)
        await require_pooler(made, settings.database.db_pooler)
    except _CANNOT_CONNECT as error:
        raise _unreachable(error) from error
    return made


def _unreachable(error: Exception) -> Unavailable:
    # PgBouncer refuses our settings of a session, unless it is told to ignore them.
    is_pooler = "unsupported startup parameter" in str(error)
    hint = "; behind a pooler set BOXOFFICE_DB_POOLER, except for migrate" if is_pooler else ""
    return Unavailable(f"PostgreSQL cannot be reached: {error}{hint}")


def column(rows: Sequence[Record], name: str) -> list[Any]:
    """Return one column of `rows`."""
    return [row[name] for row in rows]
