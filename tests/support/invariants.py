"""What must hold after anything at all; written apart from the audit, so that each checks the other."""

from pathlib import Path
from uuid import UUID

from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database

_FILE = Path(__file__).with_name("invariants.sql")
_QUERIES = sql_files.parse(_FILE.read_text(encoding="utf-8"), _FILE.name)


async def broken(db: Database, schedule_id: UUID) -> dict[str, int]:
    """Return the broken invariants of a schedule, and how often each is broken."""
    found = {name: len(await db.fetch(query, schedule_id)) for name, query in _QUERIES.items()}
    return {name: count for name, count in found.items() if count}
