"""The role of everything but migrations: it may change rows, and owns no table.

An attacker in a serving process can do what the service does, but cannot drop a table, disable a
trigger, rewrite the ledger or replace a function.
"""

from collections.abc import Callable
from typing import Any

import asyncpg

from boxoffice.errors import BoxofficeError, SettingsInvalid
from boxoffice.platform.postgres import database, sql_files
from boxoffice.settings import Settings

_QUERIES = sql_files.load("boxoffice.platform.postgres", "runtime_role.sql")


async def grant(
    settings: Settings,
    role: str,
    say: Callable[[str], None] = lambda _: None,
    password: str | None = None,
) -> None:
    """Create `role` if it is missing and grant it what serving needs; idempotent.

    With a password it logs in by itself; without, it is a group for a role that does. Runs as the owner
    of the tables. Raises `SettingsInvalid` for a role that can do more, and `BoxofficeError` where
    PostgreSQL refuses.
    """
    direct = settings.replace(db_pooler="none")
    connection = await database.connect(direct, bounded=False)
    try:
        async with connection.transaction():
            await _apply(connection, "make_role", role)
            await _require_weak(connection, role)
            await _apply(connection, "grants", role)
            if password is not None:
                await _apply(connection, "let_log_in", role, password)
        try:
            await _apply(connection, "watch", role)
        except asyncpg.InsufficientPrivilegeError:
            say(f"{role} cannot see standbys: a superuser may grant pg_read_all_stats to it")
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise BoxofficeError(f"PostgreSQL did not make the role {role} ready: {error}") from error
    finally:
        await connection.close()


async def _require_weak(connection: "asyncpg.Connection[Any]", role: str) -> None:
    [row] = await connection.fetch(_QUERIES["trusted_with"], role)
    if row["is_powerful"]:
        raise SettingsInvalid(
            f"the role {role} is a superuser, makes roles or databases, or owns the tables: "
            "BOXOFFICE_RUNTIME_ROLE names one that may do less"
        )


async def _apply(connection: "asyncpg.Connection[Any]", name: str, *args: str) -> None:
    for row in await connection.fetch(_QUERIES[name], *args):
        await connection.execute(row["statement"])
