"""Refuses a connection that does not keep what the setting `db_pooler` says."""

from typing import Literal, TypeAlias

import asyncpg

from boxoffice.errors import SettingsInvalid
from boxoffice.platform.postgres import sql_files

PoolerMode: TypeAlias = Literal["none", "transaction", "transaction_prepared"]

_QUERIES = sql_files.load("boxoffice.platform.postgres.pooler")


async def require_pooler(
    connection: "asyncpg.Connection[asyncpg.Record]", mode: PoolerMode
) -> None:
    """End the connection and raise `SettingsInvalid` where it does not keep what `mode` needs."""
    try:
        if mode == "none":
            require_own_backend(connection, await connection.fetchval(_QUERIES["backend"]))
        elif mode == "transaction_prepared":
            await require_prepared(connection)
    except BaseException:
        connection.terminate()
        raise


def require_own_backend(connection: "asyncpg.Connection[asyncpg.Record]", pid: int) -> None:
    """Raise `SettingsInvalid` where the backend is not the one that the connection was made to.

    A pooler invents the process id that it names to its client.
    """
    # guard: pooler_is_not_taken_for_a_server => if False:
    if connection.get_server_pid() != pid:
        raise SettingsInvalid(
            "a pooler stands before PostgreSQL: set BOXOFFICE_DB_POOLER to transaction, or to "
            "transaction_prepared for PgBouncer 1.21 and newer with max_prepared_statements; "
            "`boxoffice migrate` needs the address of PostgreSQL itself"
        )


async def require_prepared(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Raise `SettingsInvalid` where a pooler does not track prepared statements.

    One that tracks them gives each text a name of its own, the same on every server connection. One
    that does not passes the client's name on; the same name is another statement for another client,
    whose rows would then be the answer.
    """
    # guard: pooler_that_tracks_no_statement_is_refused => if False:
    if not await _is_tracked(connection):
        raise SettingsInvalid(
            "the pooler does not track prepared statements: BOXOFFICE_DB_POOLER=transaction_prepared "
            "needs PgBouncer 1.21 or newer with max_prepared_statements above 0; "
            "BOXOFFICE_DB_POOLER=transaction needs neither"
        )


async def _is_tracked(connection: "asyncpg.Connection[asyncpg.Record]") -> bool:
    try:
        prepared = await connection.prepare(_QUERIES["own_statement"])
        rows = await prepared.fetch()
        own = prepared.get_name()
    except (asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError):
        return False
    if rows and rows[0]["pid"] == connection.get_server_pid():
        return True  # PostgreSQL itself
    return bool(rows) and all(row["name"] != own for row in rows)
