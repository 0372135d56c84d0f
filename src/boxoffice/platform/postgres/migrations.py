"""Migrates the schema: numbered files, then the functions of the modules.

The files have dbmate's format and share its table, so that dbmate can run them too. Functions are
installed after them, each file whole, whenever its text has changed; their names carry a version, so
the previous release's functions stay in place while its pods still run.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

import asyncpg

from boxoffice.errors import BoxofficeError, IntegrityError, SettingsInvalid
from boxoffice.platform.postgres import database, sql_files
from boxoffice.platform.postgres.outcomes import acknowledged
from boxoffice.settings import Settings

MODULES_WITH_FUNCTIONS = (
    "boxoffice.reservations",
    "boxoffice.inventory",
    "boxoffice.offers",
    "boxoffice.inventory.issues",
    "boxoffice.payments",
    "boxoffice.payments.refunds",
    "boxoffice.payments.intents",
    "boxoffice.payments.disputes",
    "boxoffice.payments.notices",
    "boxoffice.platform.lease",
    "boxoffice.platform.postgres.pooler",
    "boxoffice.waiting_room",
    "boxoffice.archive",
    "boxoffice.catalog.edits",
    "boxoffice.notifications",
    "boxoffice.organizations",
    "boxoffice.order_numbers",
    "boxoffice.accounts.credentials",
    "boxoffice.reports",
    "boxoffice.waiting_list",
    "boxoffice.backoffice.search",
)

_QUERIES = sql_files.load("boxoffice.platform.postgres", "migrations.sql")
_LOCK_KEY = 0x626F786F66666963  # "boxoffic": one migration at a time
_FUNCTION = re.compile(r"^CREATE OR REPLACE FUNCTION (\w+)", re.MULTILINE)
_UP = re.compile(r"^-- migrate:up\s*$(.*?)(?=^-- migrate:down|\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Migration:
    """One numbered file: its version (the digits of its name) and its statements."""

    version: str
    name: str
    statements: str


def numbered() -> list[Migration]:
    """Return the migrations in order; raise `IntegrityError` for a file that is not one."""
    return [_parse(name, text) for name, text in sorted(_texts())]


def _texts() -> Iterator[tuple[str, str]]:
    packaged = files("boxoffice").joinpath("_migrations")
    checkout = Path(__file__).parents[4] / "migrations"
    for entry in (packaged if packaged.is_dir() else checkout).iterdir():
        if entry.name.endswith(".sql"):
            yield entry.name, entry.read_text(encoding="utf-8")


def _parse(name: str, text: str) -> Migration:
    version, _, _ = name.partition("_")
    up = _UP.search(text)
    if not version.isdigit() or up is None:
        raise IntegrityError(f"{name} is not a migration")
    return Migration(version, name, up.group(1))


async def migrate(settings: Settings, say: Callable[[str], None] = lambda _: None) -> int:
    """Bring the database that the settings name up to date; return how many steps were taken.

    Safe to run from several pods at once: an advisory lock serializes them.
    Raises `BoxofficeError` where PostgreSQL refuses a step, or does not wait for its standby with it;
    the steps before it stay taken.
    """
    # Never through a pooler: the lock and the deadlines belong to the session.
    direct = settings.replace(db_pooler="none")
    connection = await database.connect(direct, bounded=False)
    try:
        await connection.execute(_QUERIES["lock"], _LOCK_KEY)
        await connection.execute(_QUERIES["create_tables"])
        steps = await _apply_numbered(connection, numbered(), say)
        return steps + await _install_functions(connection, say)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise BoxofficeError(f"PostgreSQL did not finish the migration: {error}") from error
    finally:
        await connection.close()


async def require_current(db: database.Database) -> None:
    """Raise `SettingsInvalid` that names the missing parts of this release's schema."""
    missing = await _missing_files(db) or await _missing_functions(db)
    if missing:
        raise SettingsInvalid(
            f"the database has not got {', '.join(missing)}: run `boxoffice migrate` first"
        )


async def _missing_files(db: database.Database) -> list[str]:
    try:
        done = set(database.column(await db.read(_QUERIES["applied"]), "version"))
    except asyncpg.UndefinedTableError:
        done = set()
    return [migration.name for migration in numbered() if migration.version not in done]


async def _missing_functions(db: database.Database) -> list[str]:
    wanted = [
        name
        for module in MODULES_WITH_FUNCTIONS
        for name in _FUNCTION.findall(sql_files.read(module, "functions.sql"))
    ]
    return database.column(await db.read(_QUERIES["missing_functions"], wanted), "name")


async def _apply_numbered(
    connection: "asyncpg.Connection[Any]",
    migrations: Sequence[Migration],
    say: Callable[[str], None],
) -> int:
    done = {row["version"] for row in await connection.fetch(_QUERIES["applied"])}
    waiting = [migration for migration in migrations if migration.version not in done]
    for migration in waiting:
        say(f"migrating: {migration.name}")
        with acknowledged(connection):
            async with connection.transaction():
                await connection.execute(migration.statements)
                await connection.execute(_QUERIES["record"], migration.version)
    return len(waiting)


async def _install_functions(
    connection: "asyncpg.Connection[Any]", say: Callable[[str], None]
) -> int:
    known = {row["room"]: row["digest"] for row in await connection.fetch(_QUERIES["installed"])}
    steps = 0
    for module in MODULES_WITH_FUNCTIONS:
        text = sql_files.read(module, "functions.sql")
        digest = sha256(text.encode()).digest()
        if known.get(module) == digest:
            continue
        say(f"installing: functions of {module}")
        with acknowledged(connection):
            async with connection.transaction():
                await connection.execute(text)
                await connection.execute(_QUERIES["record_functions"], module, digest)
        steps += 1
    return steps
