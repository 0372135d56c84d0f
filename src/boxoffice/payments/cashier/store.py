"""Named SQL in, frozen types out. Driver errors pass through."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from boxoffice.payments.cashier.rules import CALLING
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database

_QUERIES = sql_files.load("boxoffice.payments.cashier")
_CALLING = sorted(CALLING)


class Work(NamedTuple):
    """A piece of work that is due; `now` is the database's time, `provider` None if it calls none."""

    kind: str
    subject_id: UUID
    user_id: UUID
    due_at: datetime
    tries: int
    provider: str | None
    now: datetime


class WorkLength(NamedTuple):
    """How many pieces of work of a kind are due, and how long the oldest has waited."""

    kind: str
    length: int
    age_s: float


class WorkStore:
    """The cashier's work; what it writes needs the fencing token of the lease."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def due(
        self, queue: str, providers: Collection[str], in_progress: Collection[UUID], count_max: int
    ) -> list[Work]:
        """Return work of a queue that is due, without those `in_progress`.

        The queue of a provider has its name; the queue without a name has the rest.
        """
        rows = await self._db.fetch(
            _QUERIES["due"], queue, sorted(providers), list(in_progress), _CALLING, count_max
        )
        return [Work(**dict(row)) for row in rows]

    async def done(self, work: Work, token: int) -> None:
        """Remove work, unless it has been planned anew or another cashier has the lease."""
        await self._db.fetch(_QUERIES["done"], work.kind, work.subject_id, work.due_at, token)

    async def postpone(self, work: Work, token: int, after_s: float) -> None:
        """Have work done later, unless it has been planned anew or another cashier has the lease."""
        await self._db.fetch(
            _QUERIES["postpone"], work.kind, work.subject_id, work.due_at, token, after_s
        )

    async def lengths(self) -> list[WorkLength]:
        """Return what is due, by kind."""
        return [WorkLength(**dict(row)) for row in await self._db.fetch(_QUERIES["lengths"])]

    async def wake_refunds(self, provider: str, payment_key: str, user_id: UUID) -> None:
        """Have the refunds of a payment looked at now."""
        await self._db.fetch(_QUERIES["wake_refunds"], provider, payment_key, user_id)
