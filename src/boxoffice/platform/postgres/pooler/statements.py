"""Forbids statements whose answers were lost, where this process cannot end their backends.

Behind a pooler in transaction mode a statement may be received and not started when its connection
breaks, and its backend cannot be terminated. So the statement of each batch has a number, which it
looks up before it decides; the look-up of its outcome gives the number up first.

The statements that another process decides for this one have a number of this one in the same way
(decision 0051).
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TypeAlias

import asyncpg

from boxoffice.errors import Unavailable
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.outcomes import Failure, acknowledged, classify

Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"

_QUERIES = sql_files.load("boxoffice.platform.postgres.pooler")
_STILL_RUNS = (
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    asyncpg.DeadlockDetectedError,
)


def numbered(query: str, arguments: int) -> str:
    """Return a query that takes its number as one more argument after its own `arguments`."""
    return _wrapped("numbered", query, arguments)


def permitted(query: str, arguments: int) -> str:
    """Return a query that takes a list of numbers as one more argument after its own `arguments`.

    It returns no row, and does nothing, where one of the numbers was given up.
    """
    return _wrapped("permitted", query, arguments)


@lru_cache(maxsize=256)
def _wrapped(name: str, query: str, arguments: int) -> str:
    text = _QUERIES[name].replace("$1", f"${arguments + 1}")
    return text.replace("(SELECT NULL)", f"(\n{query}\n)")


def new_number() -> int:
    """Return a number that no other statement has: 63 bits from the system, as forked workers share."""
    return secrets.randbits(63)


class LostStatements:
    """The numbers of statements of one pool whose outcomes are not known."""

    def __init__(self) -> None:
        self._lost: set[int] = set()
        # Those among them whose statements another process sends, perhaps after a crash of the server.
        self._of_others: set[int] = set()

    @contextmanager
    def watched(self, connection: Connection, number: int) -> Iterator[None]:
        """Have `give_up` forbid the number if the outcome of this block's statement is unknown.

        Raises `OutcomeUnknown` as `acknowledged` does.
        """
        with acknowledged(connection):
            try:
                yield
            except Exception as error:  # raised again
                # guard: statement_whose_answer_was_lost_is_given_up => if False:
                if classify(error) is Failure.UNKNOWN:
                    self._lost.add(number)
                raise

    def forbid(self, number: int) -> None:
        """Have the next `give_up` forbid the statements of another process that have this number."""
        self._lost.add(number)
        self._of_others.add(number)

    async def give_up(self, connection: Connection) -> None:
        """Return when no lost statement runs or can begin; raise `Unavailable` while one runs."""
        if not self._lost:
            return
        asked = list(self._lost)
        try:
            await connection.fetch(_QUERIES["forbid" if self._of_others else "give_up"], asked)
        except _STILL_RUNS as error:
            raise Unavailable("An interrupted transaction has not ended yet; try again.") from error
        self._lost.difference_update(asked)
        self._of_others.difference_update(asked)
