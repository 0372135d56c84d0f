"""Named SQL in, frozen types out."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import NamedTuple, TypeAlias
from uuid import UUID

import asyncpg
import msgspec

from boxoffice.payments.providers.port import ProviderDispute
from boxoffice.platform.ids import new_id
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database, Record

Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[Record]"

_QUERIES = sql_files.load("boxoffice.payments.disputes")


class Dispute(msgspec.Struct, frozen=True, kw_only=True):
    """A dispute as it is kept, and the valid tickets of its payment; that of a top-up has none."""

    dispute_id: UUID
    provider: str
    dispute_key: str
    user_id: UUID
    schedule_id: UUID | None
    payment_id: UUID | None
    entered_by: UUID | None
    amount_minor: int
    withdrawn_minor: int
    currency: str
    payment_key: str
    status: str
    reason: str
    opened_at: datetime
    closed_at: datetime | None
    valid_tickets: int


class PaidThrough(NamedTuple):
    """How a payment was made."""

    method: str
    provider_reference: str | None
    amount_minor: int
    currency: str


class Settled(NamedTuple):
    """What the database did about a dispute."""

    outcome: str
    dispute_id: UUID | None


class DisputeOwner(NamedTuple):
    """The organization and concert of a dispute's payment, if it is one for seats."""

    organization_id: UUID | None
    concert_id: UUID | None


class DisputeStore:
    """Disputes of all providers."""

    def __init__(self, db: Database) -> None:
        self._db = db

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Lend a connection inside a transaction; raise `Unavailable` and `OutcomeUnknown`."""
        async with self._db.writing() as connection:
            yield connection

    async def list(self, before: UUID | None, status: str | None, count: int) -> list[Dispute]:
        """Return at most `count` disputes, the newest first."""
        return [
            _dispute(row) for row in await self._db.read(_QUERIES["list"], before, status, count)
        ]

    async def get(self, dispute_id: UUID) -> tuple[Dispute, DisputeOwner] | None:
        """Return a dispute and its owner."""
        row = await self._db.read_one(_QUERIES["get"], dispute_id)
        if row is None:
            return None
        return _dispute(row), DisputeOwner(row["organization_id"], row["concert_id"])

    async def paid_through(self, schedule_id: UUID, payment_id: UUID) -> PaidThrough | None:
        """Return how a payment was made."""
        row = await self._db.read_one(_QUERIES["paid_through"], schedule_id, payment_id)
        return None if row is None else PaidThrough(*row)


async def settle(
    connection: Connection, provider: str, found: ProviderDispute, entered_by: UUID | None = None
) -> Settled:
    """Book a dispute as it stands, in the caller's transaction."""
    moved = found.movements
    row = await connection.fetchrow(
        _QUERIES["settle"],
        provider,
        found.key,
        new_id(),
        found.payment_key,
        found.status,
        found.amount_minor,
        found.currency,
        found.reason,
        [one.key for one in moved],
        [one.kind for one in moved],
        [one.amount_minor for one in moved],
        [one.happened_at for one in moved],
        [new_id() for _ in range(len(moved) + 1)],
        entered_by,
    )
    return Settled("", None) if row is None else Settled(row["outcome"], row["dispute_id"])


def _dispute(row: Record) -> Dispute:
    return Dispute(**{name: row[name] for name in Dispute.__struct_fields__})
