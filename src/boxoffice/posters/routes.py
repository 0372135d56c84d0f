"""Posters over HTTP: an organizer's commands, and the files."""

import re

import msgspec

from boxoffice.errors import (
    ConcertNotFound,
    NotFound,
    OutcomeUnknown,
    PosterInvalid,
    PosterNotFound,
)
from boxoffice.http.api.headers import FixedHeaders
from boxoffice.http.api.operation import Call, PathId, RawBody, Reply, RouteDependencies, operation
from boxoffice.permissions import Permission
from boxoffice.platform.ids import parse_uuid
from boxoffice.platform.values import Line
from boxoffice.posters.files import PictureFiles, media_type_of
from boxoffice.posters.service import Posters
from boxoffice.posters.store import AltTexts
from boxoffice.posters.views import PREFIX, OwnPoster, PosterOfConcert

MEDIA_TYPES = ("image/jpeg", "image/png", "image/webp")
_CONCERT = {"concert_id": PathId(parse_uuid, ConcertNotFound, "The id of a concert.")}
_PICTURE = {"type": "string", "format": "binary", "minLength": 1}
_YEAR_S = 31_536_000
_HASH = re.compile(r"[0-9a-f]{32}")
_NAME = re.compile(r"shared\.jpg|logo\.(?:webp|png)|[1-9][0-9]{0,3}\.webp")
# A file is a picture and nothing else, also where a browser is asked to open it as a page.
_FILE_HEADERS = FixedHeaders(
    {
        "Cache-Control": f"public, max-age={_YEAR_S}, immutable",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "X-Content-Type-Options": "nosniff",
    }
)


class PosterTexts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The alternative texts of a poster; null where a language has none of its own."""

    alt: Line
    alt_en: Line | None = None
    alt_ko: Line | None = None


class AdminPoster:
    """`/v1/admin/concerts/{concert_id}/poster`, without its PUT."""

    def __init__(self, service: Posters, dependencies: RouteDependencies) -> None:
        self.dependencies = dependencies
        self._service = service

    @operation(
        "Get a poster",
        path=_CONCERT,
        permission=Permission.EVENTS_READ,
        returns=PosterOfConcert,
    )
    async def on_get(self, call: Call[None, None]) -> Reply:
        """Also of a draft, and of a concert that was taken down; null without one."""
        found = await self._service.own(call.caller, call.ids["concert_id"])
        return Reply(PosterOfConcert(poster=found))

    @operation(
        "Describe a poster",
        path=_CONCERT,
        permission=Permission.EVENTS_WRITE,
        body=PosterTexts,
        returns=OwnPoster,
        problems=[PosterNotFound, OutcomeUnknown],
    )
    async def on_patch(self, call: Call[PosterTexts, None]) -> Reply:
        """Sets the texts for people who do not see the picture."""
        texts = AltTexts(call.body.alt, call.body.alt_en, call.body.alt_ko)
        poster = await self._service.describe(
            call.caller, call.ids["concert_id"], texts, request_id=call.request_id
        )
        return Reply(poster)

    @operation(
        "Remove a poster",
        204,
        path=_CONCERT,
        permission=Permission.EVENTS_WRITE,
        problems=[OutcomeUnknown],
    )
    async def on_delete(self, call: Call[None, None]) -> Reply:
        """The pages show a drawing instead. Repeating is no error."""
        await self._service.delete(call.caller, call.ids["concert_id"], request_id=call.request_id)
        return Reply()


def _with_upload(service: Posters, dependencies: RouteDependencies, max_bytes: int) -> AdminPoster:
    """Return the resource with its PUT, declared here because the limit of its body is a setting."""

    class AdminPosterUpload(AdminPoster):
        @operation(
            "Set a poster",
            path=_CONCERT,
            permission=Permission.EVENTS_WRITE,
            raw_body=RawBody(MEDIA_TYPES, max_bytes, PosterTexts, text=_PICTURE),
            returns=OwnPoster,
            problems=[PosterInvalid, OutcomeUnknown],
        )
        async def on_put(self, call: Call[None, None]) -> Reply:
            """Sets the poster from a JPEG, PNG or WebP, which is encoded anew in several sizes."""
            poster = await self._service.put(
                call.caller, call.ids["concert_id"], call.raw, request_id=call.request_id
            )
            return Reply(poster)

    return AdminPosterUpload(service, dependencies)


class PosterFiles:
    """`/posters/{image_hash}/{name}`: a file whose content never changes."""

    def __init__(self, files: PictureFiles, dependencies: RouteDependencies) -> None:
        self.dependencies = dependencies
        self._files = files

    @operation(
        "A file of a poster",
        cached=True,
        path={
            "image_hash": PathId(str, NotFound, "The hash of all files of a picture."),
            "name": PathId(str, NotFound, "The name of a file among them."),
        },
    )
    async def on_get(self, call: Call[None, None]) -> Reply:
        """Return the file."""
        image_hash, name = call.ids["image_hash"], call.ids["name"]
        if not (_HASH.fullmatch(image_hash) and _NAME.fullmatch(name)):
            raise NotFound
        content = await self._files.file(image_hash, name)
        return Reply(
            encoded=content,
            etag=f'"{image_hash}"',
            headers=_FILE_HEADERS,
            media_type=media_type_of(name),
        )


def routes(
    service: Posters, dependencies: RouteDependencies, max_bytes: int
) -> list[tuple[str, object]]:
    """Return the resources of this module by URI template."""
    resource = _with_upload(service, dependencies, max_bytes)
    return [("/v1/admin/concerts/{concert_id}/poster", resource)]


def file_routes(files: PictureFiles, dependencies: RouteDependencies) -> list[tuple[str, object]]:
    """Return the addresses of files, which are no part of the API."""
    return [(PREFIX + "/{image_hash}/{name}", PosterFiles(files, dependencies))]
