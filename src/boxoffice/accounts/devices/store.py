"""Named SQL in, frozen types out."""

from datetime import datetime
from uuid import UUID

import msgspec

from boxoffice.accounts.revocations import RevokedToken
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database

_Q = sql_files.load("boxoffice.accounts.devices")


class ListedSession(msgspec.Struct, frozen=True):
    """A log-in whose token is valid; `browser` and `system` are empty where they are not known."""

    session_id: UUID
    started_at: datetime
    expires_at: datetime
    browser: str
    system: str
    token_id: str


class DeviceStore:
    """The log-ins of people."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def sessions(self, user_id: UUID, count_max: int) -> list[ListedSession]:
        """Return the valid log-ins of a person, the newest first."""
        rows = await self._db.read(_Q["sessions"], user_id, count_max)
        return [ListedSession(**row) for row in rows]

    async def end(self, user_id: UUID, session_id: UUID) -> RevokedToken | None:
        """Revoke the token of a log-in; None where the person has no such log-in."""
        async with self._db.writing() as connection:
            row = await connection.fetchrow(_Q["end_session"], user_id, session_id)
        return None if row is None else RevokedToken(**row)
