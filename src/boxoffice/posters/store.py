"""Posters in PostgreSQL: named SQL in, frozen types out."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

import asyncpg

from boxoffice.errors import ConcertNotFound
from boxoffice.permissions import OrganizationIds
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database, Record
from boxoffice.posters.images import EncodedPoster
from boxoffice.posters.views import OwnPoster, addresses

Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[Record]"

_SQL = sql_files.load("boxoffice.posters")


class AltTexts(NamedTuple):
    """What replaces a picture for those who do not see it, by language."""

    alt: str
    alt_en: str | None
    alt_ko: str | None


class StoredFile(NamedTuple):
    """A file of a picture; None where the object store has its content."""

    content: bytes | None


class PosterStore:
    """Reads and writes of posters and their files."""

    def __init__(self, db: Database) -> None:
        self._db = db

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Lend a connection in a transaction."""
        async with self._db.writing() as connection:
            yield connection

    async def owner(self, concert_id: UUID, organization_ids: OrganizationIds) -> UUID | None:
        """Return the organization of a concert, None where it is none of these."""
        row = await self._db.read_one(_SQL["own_concert"], concert_id, organization_ids)
        return row["organization_id"] if row else None

    async def of(self, concert_ids: Sequence[UUID]) -> list[OwnPoster]:
        """Return the posters of these concerts."""
        rows = await self._db.read(_SQL["posters"], concert_ids)
        return [_poster(dict(row)) for row in rows]

    async def file(self, image_hash: str, name: str) -> StoredFile | None:
        """Return a file of a picture."""
        row = await self._db.read_one(_SQL["file"], image_hash, name)
        return None if row is None else StoredFile(row["content"])


async def store_files(
    connection: Connection, image_hash: str, contents: Mapping[str, bytes | None]
) -> None:
    """Store the files of a picture; a content of None is in the object store."""
    for name, content in sorted(contents.items()):
        await connection.execute(_SQL["store_file"], image_hash, name, content)


async def put(
    connection: Connection, concert_id: UUID, image_hash: str, encoded: EncodedPoster
) -> OwnPoster:
    """Make a picture the poster of a concert; raise `ConcertNotFound` where it was deleted."""
    try:
        (row,) = await connection.fetch(
            _SQL["put_poster"],
            concert_id,
            image_hash,
            encoded.width_px,
            encoded.height_px,
            encoded.widths_px,
            encoded.colour,
        )
    except asyncpg.ForeignKeyViolationError as error:
        raise ConcertNotFound from error
    return _poster(dict(row))


async def describe(connection: Connection, concert_id: UUID, texts: AltTexts) -> OwnPoster | None:
    """Set the alternative texts of a poster; None without one."""
    row = await connection.fetchrow(_SQL["describe_poster"], concert_id, *texts)
    return None if row is None else _poster(dict(row))


async def delete(connection: Connection, concert_id: UUID) -> bool:
    """Take a poster away; say whether there was one."""
    return await connection.fetchrow(_SQL["delete_poster"], concert_id) is not None


async def forget_files(connection: Connection, older_than_s: int) -> list[tuple[str, str]]:
    """Delete the files that no poster names; return their hashes and names."""
    rows = await connection.fetch(_SQL["forget_files"], older_than_s)
    return [(row["image_hash"], row["name"]) for row in rows]


def _poster(row: dict[str, Any]) -> OwnPoster:
    return OwnPoster(
        concert_id=row["concert_id"],
        width=row["width_px"],
        height=row["height_px"],
        colour=row["colour"],
        alt=row["alt"],
        alt_en=row["alt_en"],
        alt_ko=row["alt_ko"],
        **addresses(row["image_hash"], row["widths_px"]),
    )
