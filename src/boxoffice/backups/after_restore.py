"""What a restored database must raise before it serves, so that nothing is given out twice.

The time between the point of the restore and the restore itself is lost here, but not at listeners,
buyers and payment providers: they have seen event ids, queue numbers and payments of it.
"""

import asyncio
from datetime import UTC, datetime
from typing import NamedTuple

import asyncpg
import msgspec

from boxoffice.backups.catalog import BackupCatalog
from boxoffice.backups.creation import QUERIES
from boxoffice.backups.errors import BackupError
from boxoffice.platform.postgres import database
from boxoffice.settings import Settings

INCARNATION_MAX = 127


class Incarnation(NamedTuple):
    """The life of a database that a restore began: its number, and what was raised with it."""

    number: int
    restored_at: datetime
    recovered_to: datetime
    waiting_rooms: int
    payments_looked_up: int


def begin(
    settings: Settings,
    catalog: BackupCatalog | None,
    *,
    recovered_to: datetime,
    backup_label: str,
    target: str,
    is_ending_sessions: bool,
    incarnation_min: int = 1,
) -> Incarnation:
    """Note the restore and raise what must not go backward, in one transaction.

    For a restored database before anything serves from it; the settings name its owner. The catalog
    gives out each incarnation once, also where one backup is restored twice. Raises `BackupError`.
    """
    least = incarnation_min
    if catalog is not None:
        note = {"at": datetime.now(UTC), "backup": backup_label, "target": target}
        least = max(least, catalog.next_incarnation(msgspec.json.encode(note)))
    if least > INCARNATION_MAX:
        raise BackupError(f"a database has {INCARNATION_MAX} incarnations at most")
    work = _begin(settings, least, recovered_to, backup_label, target, is_ending_sessions)
    try:
        return asyncio.run(work)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise BackupError(f"the restored database was not made ready: {error}") from error


async def _begin(
    settings: Settings,
    least: int,
    recovered_to: datetime,
    backup_label: str,
    target: str,
    is_ending_sessions: bool,
) -> Incarnation:
    connection = await database.connect(settings, bounded=False)
    try:
        async with connection.transaction():
            begun = await connection.fetchrow(
                QUERIES["begin"], least, recovered_to, backup_label, target
            )
            if begun is None:
                raise BackupError("the restore was not noted")
            number = begun["incarnation"]
            await connection.execute(QUERIES["jump_event_ids"], number)
            await connection.execute(QUERIES["jump_leases"], number)
            rooms = await connection.fetchval(
                QUERIES["jump_queues"], number, settings.backups.restore_queue_numbers
            )
            intents = await connection.fetchval(QUERIES["look_up_payments"])
            if is_ending_sessions:
                await connection.execute(QUERIES["end_sessions"])
        return Incarnation(number, begun["restored_at"], recovered_to, rooms, intents)
    finally:
        await connection.close()
