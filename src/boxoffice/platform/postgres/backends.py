"""The server processes ("backends") of a pool, and the end of those whose answer was lost.

When a connection breaks, the server may have received a statement and not started it. The statement
could take effect after its outcome was looked up; ending its backend first rules that out.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import asyncpg

from boxoffice.errors import Unavailable
from boxoffice.platform.postgres import sql_files

_QUERIES = sql_files.load("boxoffice.platform.postgres")


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

    async def register(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        """Record the backend of a new connection; for the `init` of a pool."""
        [row] = await connection.fetch(_QUERIES["backend"])
        backend = Backend(row["pid"], row["began_at"])
        named = connection.get_server_pid()
        self._by_pid[named] = backend
        connection.add_termination_listener(partial(self._forget, named, backend))

    def of(self, connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]") -> Backend | None:
        """Return the backend of a connection, None where it was not recorded."""
        return self._by_pid.get(connection.get_server_pid())

    def lose(self, backend: Backend | None) -> None:
        """Remember a backend that did not answer."""
        if backend is not None:
            self._lost.add(backend)

    async def terminate_lost(
        self, connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
    ) -> None:
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
