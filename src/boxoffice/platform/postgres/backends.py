"""Which of a pool's sessions may still work on a statement whose answer was lost, and how they end.

A server can have received a statement and not have begun it when the line is cut. Such a statement
would take effect at some later time, unseen by a look for its outcome. With its session it is gone.
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
class Session:
    """One session of the server, for good: a process id is used again, its beginning is not."""

    pid: int
    began_at: datetime


class Sessions:
    """The sessions of one pool; those of the connections that live, and those that were lost."""

    def __init__(self) -> None:
        self._by_pid: dict[int, Session] = {}
        self._lost: set[Session] = set()

    async def introduce(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        """Learn who a new connection is to the server; for the `init` of a pool."""
        [row] = await connection.fetch(_QUERIES["session"])
        session = Session(row["pid"], row["began_at"])
        named = connection.get_server_pid()
        self._by_pid[named] = session
        connection.add_termination_listener(partial(self._forget, named, session))

    def of(self, connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]") -> Session | None:
        """Return the session of a connection, None where it was not introduced."""
        return self._by_pid.get(connection.get_server_pid())

    def lose(self, session: Session | None) -> None:
        """Remember a session that did not answer."""
        if session is not None:
            self._lost.add(session)

    async def end_lost(
        self, connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
    ) -> None:
        """Return when no lost session lives any more; their transactions have ended, or never will be.

        Raises `Unavailable` while one has been told to end and has not done so.
        """
        if not self._lost:
            return
        asked = list(self._lost)
        rows = await connection.fetch(
            _QUERIES["end_sessions"], [one.pid for one in asked], [one.began_at for one in asked]
        )
        living = {Session(row["pid"], row["began_at"]) for row in rows}
        self._lost.difference_update(set(asked) - living)
        if living:
            raise Unavailable("An interrupted transaction has not ended yet; try again.")

    def _forget(self, named: int, session: Session, _connection: Any) -> None:
        if self._by_pid.get(named) is session:
            del self._by_pid[named]
