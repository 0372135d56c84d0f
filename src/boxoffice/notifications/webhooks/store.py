"""Webhook endpoints and deliveries in PostgreSQL: named SQL in, frozen types out."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

import asyncpg
import msgspec

from boxoffice.errors import IntegrityError
from boxoffice.permissions import OrganizationIds
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database, Record

Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[Record]"

_SQL = sql_files.load("boxoffice.notifications.webhooks")


class WebhookEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook endpoint; the secrets only where a statement returns them."""

    endpoint_id: UUID
    organization_id: UUID
    url: str
    topics: list[str]
    state: str
    disabled_reason: str | None
    created_at: datetime
    previous_until: datetime | None
    secret: bytes | None = None
    rotation_key: str | None = None


class WebhookDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """An event for an endpoint, and the result of its last try."""

    event_id: int
    topic: str
    queued_at: datetime
    state: str
    tries: int
    due_at: datetime
    tried_at: datetime | None
    last_status: int | None
    last_error: str | None
    last_answer: str | None
    body: str


class ClaimedDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that this process is to send; `claimed_at_s` is the database's time since 1970."""

    endpoint_id: UUID
    event_id: int
    attempts: int
    tries: int
    body: str
    url: str
    secret: bytes
    previous_secret: bytes | None
    claimed_at_s: float


class DeliveryResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one attempt; `delay_s` until the next where the state is WAITING."""

    claimed: ClaimedDelivery
    state: str
    delay_s: float = 0.0
    status: int | None = None
    error: str | None = None
    answer: str | None = None


class WebhookStore:
    """What organizers read and change; the functions below take part in a transaction."""

    def __init__(self, db: Database) -> None:
        self._db = db

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Lend a connection inside a transaction; raises `Unavailable` or `OutcomeUnknown`."""
        async with self._db.writing() as connection:
            yield connection

    async def endpoints(
        self, organization_ids: OrganizationIds, before: UUID | None, limit: int
    ) -> list[WebhookEndpoint]:
        """Return up to `limit` endpoints made before `before`; None as the organizations means all."""
        rows = await self._db.read(_SQL["endpoints"], organization_ids, before, limit)
        return [WebhookEndpoint(**row) for row in rows]

    async def endpoint(
        self, organization_ids: OrganizationIds, endpoint_id: UUID
    ) -> WebhookEndpoint | None:
        """Return an endpoint of the organizations, or of any for None."""
        row = await self._db.read_one(_SQL["own_endpoint"], endpoint_id, organization_ids)
        return WebhookEndpoint(**row) if row else None

    async def deliveries(
        self,
        endpoint_id: UUID,
        before: tuple[datetime, int] | None,
        state: str | None,
        limit: int,
    ) -> list[WebhookDelivery]:
        """Return up to `limit` deliveries queued before the place `before`, newest first."""
        place = before or (None, None)
        rows = await self._db.read(_SQL["deliveries"], endpoint_id, *place, state, limit)
        return [WebhookDelivery(**row) for row in rows]


async def lock_organization(connection: Connection, organization_id: UUID) -> None:
    """Let the creations of one organization take turns until the transaction ends."""
    await connection.execute(_SQL["lock_organizer"], organization_id)


async def by_creation_key(
    connection: Connection, organization_id: UUID, key: str
) -> WebhookEndpoint | None:
    """Return the endpoint that a request with this key has created."""
    row = await connection.fetchrow(_SQL["by_creation_key"], organization_id, key)
    return WebhookEndpoint(**row) if row else None


async def count_endpoints(connection: Connection, organization_id: UUID) -> int:
    """Return how many endpoints an organization has."""
    count: int = await connection.fetchval(_SQL["count_endpoints"], organization_id)
    return count


async def insert_endpoint(
    connection: Connection,
    endpoint_id: UUID,
    organization_id: UUID,
    *,
    url: str,
    topics: Sequence[str],
    secret: bytes,
    key: str,
) -> WebhookEndpoint:
    """Add an active endpoint."""
    row = await connection.fetchrow(
        _SQL["insert_endpoint"], endpoint_id, organization_id, url, topics, secret, key
    )
    return WebhookEndpoint(**_present(row))


async def lock_endpoint(
    connection: Connection, organization_ids: OrganizationIds, endpoint_id: UUID
) -> WebhookEndpoint | None:
    """Lock an endpoint of these organizations until the transaction ends."""
    row = await connection.fetchrow(_SQL["lock_endpoint"], endpoint_id, organization_ids)
    return WebhookEndpoint(**row) if row else None


async def update_endpoint(
    connection: Connection,
    endpoint_id: UUID,
    *,
    url: str,
    topics: Sequence[str],
    state: str,
    reason: str | None,
) -> WebhookEndpoint:
    """Change a locked endpoint."""
    row = await connection.fetchrow(
        _SQL["update_endpoint"], endpoint_id, url, topics, state, reason
    )
    return WebhookEndpoint(**_present(row))


async def rotate_secret(
    connection: Connection, endpoint_id: UUID, secret: bytes, key: str, overlap_s: int
) -> WebhookEndpoint:
    """Give a locked endpoint a new secret; the one before it signs for `overlap_s` more."""
    row = await connection.fetchrow(
        _SQL["rotate_secret"], endpoint_id, secret, key, float(overlap_s)
    )
    return WebhookEndpoint(**_present(row))


async def delete_endpoint(connection: Connection, endpoint_id: UUID) -> None:
    """End a locked endpoint."""
    await connection.execute(_SQL["delete_endpoint"], endpoint_id)


async def queue_test(connection: Connection, endpoint_id: UUID, topic: str) -> WebhookDelivery:
    """Queue a test event for a locked endpoint."""
    row = await connection.fetchrow(_SQL["queue_test"], endpoint_id, topic)
    return WebhookDelivery(**_present(row))


async def replay(
    connection: Connection, endpoint_id: UUID, event_id: int
) -> WebhookDelivery | None:
    """Queue a delivery again; None where there is none."""
    row = await connection.fetchrow(_SQL["replay"], endpoint_id, event_id)
    return WebhookDelivery(**row) if row else None


async def disable_gone(connection: Connection, endpoint_id: UUID, url: str) -> UUID | None:
    """Disable an endpoint whose receiver is gone; return its organization, None if nothing changed."""
    row = await connection.fetchrow(_SQL["disable_gone"], endpoint_id, url)
    return row["organization_id"] if row else None


def _present(row: Record | None) -> Record:
    if row is None:
        raise IntegrityError("a locked webhook endpoint is missing")
    return row


class DeliveryQueue:
    """The deliveries as the messenger takes them. Driver errors pass through."""

    def __init__(self, db: Database) -> None:
        self._db = db

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Lend a connection inside a transaction."""
        async with self._db.writing(forces_write=False) as connection:
            yield connection

    async def claim(
        self,
        token: int,
        claim_s: float,
        room: Mapping[UUID, int],
        *,
        endpoint_max: int,
        total_max: int,
    ) -> list[ClaimedDelivery]:
        """Claim due deliveries under the lease's `token`: `room` more of known endpoints.

        Empty where the lease is another's.
        """
        rows = await self._db.fetch(
            _SQL["claim"],
            token,
            claim_s,
            list(room),
            list(room.values()),
            endpoint_max,
            total_max,
        )
        return [ClaimedDelivery(**row) for row in rows]

    async def requeue(self, token: int, claim_s: float) -> None:
        """Make due what earlier holders of the lease had claimed."""
        await self._db.fetch(_SQL["requeue"], token, claim_s)

    async def write(self, results: Sequence[DeliveryResult]) -> None:
        """Write results; one of a delivery that was claimed or replayed since is dropped."""
        await self._db.fetch(
            _SQL["write_results"],
            [one.claimed.endpoint_id for one in results],
            [one.claimed.event_id for one in results],
            [one.claimed.attempts for one in results],
            [one.state for one in results],
            [one.delay_s for one in results],
            [one.status for one in results],
            [one.error for one in results],
            [one.answer for one in results],
        )

    async def forget(self, history_s: float, count_max: int) -> int:
        """Delete up to `count_max` deliveries older than this, and endpoints left without any."""
        rows = await self._db.fetch(_SQL["forget"], history_s, count_max)
        await self._db.fetch(_SQL["forget_endpoints"])
        return len(rows)

    async def backlog(self) -> tuple[int, float]:
        """Return how many deliveries wait, and the seconds that the longest has been due."""
        (row,) = await self._db.read(_SQL["backlog"])
        return row["waiting"], row["overdue_s"]
