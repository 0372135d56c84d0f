"""Named SQL in, fencing tokens out. Errors of the driver pass through."""

from uuid import UUID

from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database

_QUERIES = sql_files.load("boxoffice.platform.lease")


class LeaseStore:
    """Takes and gives back the lease of one role for one holder."""

    def __init__(self, database: Database, role: str, holder: UUID) -> None:
        self._database = database
        self._role = role
        self._holder = holder

    async def take(self, ttl_ms: int) -> int | None:
        """Take or renew for `ttl_ms`; return the fencing token, or None while another holds it."""
        rows = await self._database.fetch(_QUERIES["take_lease"], self._role, self._holder, ttl_ms)
        token: int | None = rows[0]["token"]
        return token

    async def release(self, token: int) -> None:
        """Give the lease back, if it is still ours under `token`."""
        await self._database.fetch(_QUERIES["release_lease"], self._role, self._holder, token)
