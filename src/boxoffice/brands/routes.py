"""Brands over HTTP: what buyers see, and the commands of an organization's owners."""

from math import ceil
from uuid import UUID

import msgspec

from boxoffice.brands.errors import LogoInvalid
from boxoffice.brands.service import Brands
from boxoffice.brands.views import BrandEdit, BrandInFull, OwnBrand
from boxoffice.errors import OutcomeUnknown
from boxoffice.http.api.headers import FixedHeaders
from boxoffice.http.api.operation import Call, RawBody, Reply, RouteDependencies, operation
from boxoffice.organizations.routes import ORGANIZATION
from boxoffice.permissions import Permission
from boxoffice.platform.cache import Cache
from boxoffice.platform.conditional import content_tag, entity_tag
from boxoffice.posters.routes import MEDIA_TYPES
from boxoffice.settings import Settings

_PICTURE = {"type": "string", "format": "binary", "minLength": 1}


class BrandResource:
    """`/v1/organizations/{organization_id}/brand`, from memory."""

    def __init__(
        self, service: Brands, dependencies: RouteDependencies, settings: Settings
    ) -> None:
        self.dependencies = dependencies
        self._service = service
        fresh_s = settings.catalog.catalog_cache_ms / 1000
        self._headers = FixedHeaders({"Cache-Control": f"public, max-age={ceil(fresh_s)}"})
        self._encoded: Cache[UUID, bytes] = Cache(
            self._load,
            ttl_s=lambda _body: fresh_s,
            weight_max=settings.catalog.catalog_cache_entries_max,
        )

    @operation(
        "Get the brand of an organization", path=ORGANIZATION, returns=BrandInFull, cached=True
    )
    async def on_get(self, call: Call[None, None]) -> Reply:
        """Its names, logo, colour and terms."""
        body = await self._encoded.get(call.ids["organization_id"])
        etag = content_tag(body)
        return Reply(encoded=body, etag=etag, headers=self._headers)

    async def _load(self, organization_id: UUID) -> bytes:
        return msgspec.json.encode(await self._service.shown(organization_id))


class AdminBrand:
    """`/v1/admin/organizations/{organization_id}/brand`."""

    def __init__(self, service: Brands, dependencies: RouteDependencies) -> None:
        self.dependencies = dependencies
        self._service = service

    @operation(
        "Get my brand",
        path=ORGANIZATION,
        permission=Permission.TEAM_READ,
        returns=OwnBrand,
        tagged=True,
    )
    async def on_get(self, call: Call[None, None]) -> Reply:
        """Its ETag is needed to change it."""
        found = await self._service.own(call.caller.organization_ids, call.ids["organization_id"])
        return Reply(found, etag=entity_tag(found.version))

    @operation(
        "Change a brand",
        path=ORGANIZATION,
        permission=Permission.TEAM_WRITE,
        conditional=True,
        tagged=True,
        body=BrandEdit,
        has_large_body=True,
        returns=OwnBrand,
        problems=[OutcomeUnknown],
    )
    async def on_patch(self, call: Call[BrandEdit, None]) -> Reply:
        """Absent members stay. Shades of the accent that can be read are derived from the colour."""
        after = await self._service.edit(
            call.caller,
            call.ids["organization_id"],
            call.body,
            call.version,
            request_id=call.request_id,
        )
        return Reply(after, etag=entity_tag(after.version))


class AdminLogo:
    """`/v1/admin/organizations/{organization_id}/brand/logo`, without its PUT."""

    def __init__(self, service: Brands, dependencies: RouteDependencies) -> None:
        self.dependencies = dependencies
        self._service = service

    @operation(
        "Remove a logo",
        204,
        path=ORGANIZATION,
        permission=Permission.TEAM_WRITE,
        conditional=True,
        problems=[OutcomeUnknown],
    )
    async def on_delete(self, call: Call[None, None]) -> Reply:
        """The pages show the name alone."""
        await self._service.delete_logo(
            call.caller, call.ids["organization_id"], call.version, request_id=call.request_id
        )
        return Reply()


def _with_upload(service: Brands, dependencies: RouteDependencies, max_bytes: int) -> AdminLogo:
    """Return the resource with its PUT, declared here because the limit of its body is a setting."""

    class AdminLogoUpload(AdminLogo):
        @operation(
            "Set a logo",
            path=ORGANIZATION,
            permission=Permission.TEAM_WRITE,
            conditional=True,
            tagged=True,
            raw_body=RawBody(MEDIA_TYPES, max_bytes, BrandEdit, text=_PICTURE),
            returns=OwnBrand,
            problems=[LogoInvalid, OutcomeUnknown],
        )
        async def on_put(self, call: Call[None, None]) -> Reply:
            """From a JPEG, PNG or WebP, which is encoded anew on an opaque ground."""
            after = await self._service.put_logo(
                call.caller,
                call.ids["organization_id"],
                call.raw,
                call.version,
                request_id=call.request_id,
            )
            return Reply(after, etag=entity_tag(after.version))

    return AdminLogoUpload(service, dependencies)


def routes(
    service: Brands, dependencies: RouteDependencies, settings: Settings
) -> list[tuple[str, object]]:
    """Return the resources of this module by URI template."""
    own = "/v1/admin/organizations/{organization_id}/brand"
    max_bytes = settings.posters.poster_max_bytes
    return [
        (
            "/v1/organizations/{organization_id}/brand",
            BrandResource(service, dependencies, settings),
        ),
        (own, AdminBrand(service, dependencies)),
        (f"{own}/logo", _with_upload(service, dependencies, max_bytes)),
    ]
