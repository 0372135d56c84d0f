"""Named SQL in, facts out."""

import time
from typing import NamedTuple

import asyncpg

from boxoffice.doctor.facts import PostgresFacts, RoleFacts
from boxoffice.errors import BoxofficeError, SettingsInvalid
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.postgres.migrations import require_current
from boxoffice.platform.postgres.standby_monitor import read_standby
from boxoffice.settings import Settings

_SQL = sql_files.load("boxoffice.doctor")


class DatabaseReading(NamedTuple):
    """What PostgreSQL told; `failure`: it could not be asked, `schema_fault`: it is behind."""

    postgres: PostgresFacts | None = None
    roles: RoleFacts | None = None
    is_protected: bool | None = None
    failure: str = ""
    schema_fault: str = ""


async def read(settings: Settings) -> DatabaseReading:
    """Ask PostgreSQL, over a connection of its own."""
    # What a shop that requires a standby would not even connect to is examined all the same.
    db = Database(settings.replace(db_standby="optional"))
    try:
        await db.open()
        return await _read(db)
    # `PostgresError`: the role may not read what it asks for.
    except (BoxofficeError, asyncpg.PostgresError) as error:
        return DatabaseReading(failure=str(error))
    finally:
        await db.close()


async def _read(db: Database) -> DatabaseReading:
    before_s = time.time()
    [row] = await db.read(_SQL["server"])
    found = dict(row)
    # Half of the round trip is assumed for the way back.
    offset_s = found.pop("now_s") - (before_s + time.time()) / 2
    facts = PostgresFacts(**found, clock_offset_s=offset_s)
    standby = await read_standby(db)
    try:
        await require_current(db)
    except SettingsInvalid as fault:
        return DatabaseReading(facts, None, standby.is_protected, schema_fault=str(fault))
    [roles] = await db.read(_SQL["roles"])
    return DatabaseReading(facts, RoleFacts(**dict(roles)), standby.is_protected)
