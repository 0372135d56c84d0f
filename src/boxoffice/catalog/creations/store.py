"""Named SQL in, frozen types out: keys of creations, and what they created."""

from typing import Literal, NamedTuple
from uuid import UUID

from boxoffice.catalog.store import Connection, placed
from boxoffice.catalog.views import Concert, Schedule
from boxoffice.errors import IdempotencyKeyReused
from boxoffice.platform.postgres import sql_files

_SQL = sql_files.load("boxoffice.catalog.creations")


class Creation(NamedTuple):
    """A request to create something in an organization; its `key` is empty where it has none."""

    organization_id: UUID
    kind: Literal["concert", "schedule"]
    key: str
    fingerprint: bytes


async def claim(connection: Connection, wanted: Creation, new_id: UUID) -> UUID | None:
    """Keep the key for `new_id`, or return the id of what the first request with it has created.

    Raises `IdempotencyKeyReused` where that was another request.
    """
    if not wanted.key:
        return None
    organization_id, kind, key, fingerprint = wanted
    place = organization_id, kind, key
    if await connection.fetchval(_SQL["claim_key"], *place, fingerprint, new_id):
        return None
    created_id: UUID
    [(created_id, first)] = await connection.fetch(_SQL["created_before"], *place)
    # guard: creation_of_another_request_is_refused => if False:
    if first != fingerprint:
        raise IdempotencyKeyReused
    return created_id


async def concert(connection: Connection, concert_id: UUID) -> Concert:
    """Return a concert that was created before; raise `IdempotencyKeyReused` where it is deleted."""
    row = await connection.fetchrow(_SQL["concert"], concert_id)
    if row is None:
        raise IdempotencyKeyReused
    return Concert(**row)


async def schedule(connection: Connection, schedule_id: UUID, time_zone: str) -> Schedule:
    """Return a schedule that was created before; raise `IdempotencyKeyReused` where it is deleted.

    `time_zone` is that of performances without a venue.
    """
    row = await connection.fetchrow(_SQL["schedule"], schedule_id)
    if row is None:
        raise IdempotencyKeyReused
    return Schedule(**placed(dict(row), time_zone))
