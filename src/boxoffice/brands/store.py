"""Brands in PostgreSQL: named SQL in, frozen types out."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeAlias
from uuid import UUID

import asyncpg
import msgspec

from boxoffice.permissions import OrganizationIds
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.postgres.database import Database, Record

Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[Record]"

_SQL = sql_files.load("boxoffice.brands")


class StoredBrand(msgspec.Struct, frozen=True, kw_only=True):
    """A brand as it is kept; `version` is 0 where the organization has set nothing."""

    organization_id: UUID
    name: str
    name_en: str | None
    name_ko: str | None
    accent: str | None
    terms: str
    terms_en: str | None
    terms_ko: str | None
    logo_hash: str | None
    logo_width_px: int | None
    logo_height_px: int | None
    logo_ground: str | None
    widget_origins: list[str]
    version: int


class BrandStore:
    """Reads; the functions below take part in a transaction."""

    def __init__(self, db: Database) -> None:
        self._db = db

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Lend a connection inside a transaction; raises `Unavailable` or `OutcomeUnknown`."""
        async with self._db.writing() as connection:
            yield connection

    async def brand(
        self, organization_id: UUID, organization_ids: OrganizationIds = None
    ) -> StoredBrand | None:
        """Return the brand of an organization that is one of these; None as these means any."""
        row = await self._db.read_one(_SQL["brand"], organization_id, organization_ids)
        return StoredBrand(**row) if row else None

    async def of_concert(self, concert_id: UUID) -> StoredBrand | None:
        """Return the brand of the organization of a concert."""
        row = await self._db.read_one(_SQL["brand_of_concert"], concert_id)
        return StoredBrand(**row) if row else None


async def locked_brand(connection: Connection, organization_id: UUID) -> StoredBrand:
    """Return the brand of an organization, which is locked."""
    [row] = await connection.fetch(_SQL["brand"], organization_id, None)
    return StoredBrand(**row)


async def put(connection: Connection, brand: StoredBrand) -> StoredBrand:
    """Write all members of a brand whose organization is locked; return it with its new version."""
    version: int = await connection.fetchval(
        _SQL["put_brand"],
        brand.organization_id,
        brand.name_en,
        brand.name_ko,
        brand.accent,
        brand.terms,
        brand.terms_en,
        brand.terms_ko,
        brand.logo_hash,
        brand.logo_width_px,
        brand.logo_height_px,
        brand.logo_ground,
        brand.widget_origins,
    )
    return msgspec.structs.replace(brand, version=version)
