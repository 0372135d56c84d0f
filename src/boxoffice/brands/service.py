"""The use cases of brands. Each change and its entry in the activity log commit together."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET
from msgspec.structs import asdict

from boxoffice.brands import presenting, store
from boxoffice.brands.logos import encode_logo
from boxoffice.brands.store import BrandStore, StoredBrand
from boxoffice.brands.views import Brand, BrandEdit, BrandInFull, OwnBrand
from boxoffice.errors import ConcertNotFound, OrganizationNotFound
from boxoffice.organizations.service import locked, noted
from boxoffice.permissions import Actor, OrganizationIds
from boxoffice.platform.cache import Cache
from boxoffice.platform.conditional import require_version
from boxoffice.platform.ids import parse_uuid
from boxoffice.posters.files import PictureFiles, hash_of
from boxoffice.settings import CatalogSettings

_LOGGED_CHARS_MAX = 200
_NO_LOGO = {"logo_hash": None, "logo_width_px": None, "logo_height_px": None, "logo_ground": None}


class Brands:
    """Brands of organizations, for buyers and for their owners."""

    def __init__(
        self, brands: BrandStore, pictures: PictureFiles, settings: CatalogSettings
    ) -> None:
        self._store = brands
        self._pictures = pictures
        fresh_s = settings.catalog_cache_ms / 1000
        self._origins: Cache[UUID, Sequence[str]] = Cache(
            self._load_origins,
            ttl_s=lambda _origins: fresh_s,
            weight_max=settings.catalog_cache_entries_max,
        )

    async def of_concert(self, concert_id: UUID) -> Brand | None:
        """Return the brand of the organization of a concert, None without the concert."""
        found = await self._store.of_concert(concert_id)
        return presenting.brief(found) if found else None

    async def widget_origins(self, concert_id: str) -> Sequence[str]:
        """Return the sites that may embed a concert's widget, from memory; raise `ConcertNotFound`."""
        found = parse_uuid(concert_id)
        if found is None:
            raise ConcertNotFound
        return await self._origins.get(found)

    async def _load_origins(self, concert_id: UUID) -> Sequence[str]:
        stored = await self._store.of_concert(concert_id)
        if stored is None:
            raise ConcertNotFound
        return stored.widget_origins

    async def shown(self, organization_id: UUID) -> BrandInFull:
        """Return the brand of an organization with its terms; raise `OrganizationNotFound`."""
        found = await self._store.brand(organization_id)
        if found is None:
            raise OrganizationNotFound
        return presenting.in_full(found)

    async def own(self, own: OrganizationIds, organization_id: UUID) -> OwnBrand:
        """Return the brand of one of these organizations; raise `OrganizationNotFound`."""
        found = await self._store.brand(organization_id, own)
        if found is None:
            raise OrganizationNotFound
        return presenting.own(found)

    async def edit(
        self,
        actor: Actor,
        organization_id: UUID,
        edit: BrandEdit,
        version: int,
        *,
        request_id: str = "",
    ) -> OwnBrand:
        """Change members of a brand; raise `OrganizationNotFound` and `PreconditionFailed`."""
        wanted = {name: value for name, value in asdict(edit).items() if value is not UNSET}
        async with self._store.transaction() as connection:
            before = await _read(connection, actor, organization_id, version)
            changed = {
                name: [getattr(before, name), value]
                for name, value in wanted.items()
                if getattr(before, name) != value
            }
            if not changed:
                return presenting.own(before)
            after = await store.put(connection, msgspec.structs.replace(before, **wanted))
            details = {"changed": _shortened(changed)}
            await noted(connection, actor.user_id, organization_id, "brand.changed",
                        request_id, details)  # fmt: skip
        return presenting.own(after)

    async def put_logo(
        self, actor: Actor, organization_id: UUID, raw: bytes, version: int, *, request_id: str = ""
    ) -> OwnBrand:
        """Make an uploaded picture the logo.

        Raises `OrganizationNotFound`, `PreconditionFailed` and `LogoInvalid`.
        """
        # Encoding is dear: what is refused in any case is refused before.
        known = await self.own(actor.organization_ids, organization_id)
        require_version(version, known.version)
        encoded = await self._pictures.encoded(encode_logo, raw)
        image_hash = hash_of(encoded.files)
        contents = await self._pictures.stored(image_hash, encoded.files)
        logo = {
            "logo_hash": image_hash,
            "logo_width_px": encoded.width_px,
            "logo_height_px": encoded.height_px,
            "logo_ground": encoded.ground,
        }
        async with self._store.transaction() as connection:
            before = await _read(connection, actor, organization_id, version)
            after = await store.put(connection, msgspec.structs.replace(before, **logo))
            forgotten = await self._pictures.write(connection, image_hash, contents)
            await noted(connection, actor.user_id, organization_id, "brand.logo_uploaded",
                        request_id, {})  # fmt: skip
        await self._pictures.delete(forgotten)
        return presenting.own(after)

    async def delete_logo(
        self, actor: Actor, organization_id: UUID, version: int, *, request_id: str = ""
    ) -> None:
        """Take the logo away; raise `OrganizationNotFound` and `PreconditionFailed`."""
        async with self._store.transaction() as connection:
            before = await _read(connection, actor, organization_id, version)
            if before.logo_hash is None:
                return
            await store.put(connection, msgspec.structs.replace(before, **_NO_LOGO))
            await noted(connection, actor.user_id, organization_id, "brand.logo_removed",
                        request_id, {})  # fmt: skip


async def _read(
    connection: store.Connection, actor: Actor, organization_id: UUID, version: int
) -> StoredBrand:
    """Lock the organization and return its brand, if it has this version."""
    await locked(connection, actor, organization_id)
    before = await store.locked_brand(connection, organization_id)
    require_version(version, before.version)
    return before


def _shortened(changed: Mapping[str, Any]) -> dict[str, list[str | None]]:
    return {
        name: [None if value is None else str(value)[:_LOGGED_CHARS_MAX] for value in values]
        for name, values in changed.items()
    }
