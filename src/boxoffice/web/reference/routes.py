"""Routes of the reference. A page is rendered when it is first requested, and kept compressed."""

import asyncio
import gzip
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from boxoffice.errors import NotFound
from boxoffice.http.api.headers import accepts_gzip
from boxoffice.http.api.operation import Call, PathId, Reply, RouteDependencies, operation
from boxoffice.web.assets import REFERENCE_ENTRY, REFERENCE_STYLES, Assets
from boxoffice.web.reference.document import ApiDescription
from boxoffice.web.reference.pages import PREFIX, Reference

_TYPE = "text/html; charset=utf-8"


class _Pages:
    def __init__(self, document: Mapping[str, Any], found: Assets) -> None:
        template = files("boxoffice.web.reference").joinpath("page.html").read_text("utf-8")
        links = {
            "icon": found.address("icon.svg"),
            "script": found.address(REFERENCE_ENTRY),
            "styles": found.style_links(REFERENCE_STYLES),
        }
        self._reference = Reference(ApiDescription(document), template, links)
        self.names = frozenset(self._reference.names)
        self._packed: dict[str, bytes] = {}

    async def packed(self, name: str) -> bytes:
        """Return a page, compressed; rendering it would keep the event loop from its requests."""
        if name not in self._packed:
            self._packed[name] = await asyncio.to_thread(self._pack, name)
        return self._packed[name]

    def _pack(self, name: str) -> bytes:
        return gzip.compress(self._reference.page(name).encode(), mtime=0)


class _Page:
    is_page = True

    def __init__(
        self, dependencies: RouteDependencies, pages: _Pages, headers: Mapping[str, str]
    ) -> None:
        self.dependencies = dependencies
        self._pages = pages
        self._headers = headers

    async def _reply(self, call: Call[None, None], name: str) -> Reply:
        packed = await self._pages.packed(name)
        headers = {**self._headers, "Vary": "Accept-Encoding"}
        if accepts_gzip(call.req.get_header("Accept-Encoding")):
            return Reply(
                encoded=packed, media_type=_TYPE, headers={**headers, "Content-Encoding": "gzip"}
            )
        return Reply(encoded=gzip.decompress(packed), media_type=_TYPE, headers=headers)


class ReferenceOverview(_Page):
    """`GET /docs`."""

    @operation("The API reference", cached=True)
    async def on_get(self, call: Call[None, None]) -> Reply:
        """Return the overview."""
        return await self._reply(call, "")


class ReferencePart(_Page):
    """`GET /docs/{name}`: the operations of a part, or the events."""

    @operation(
        "A part of the API reference",
        cached=True,
        path={"name": PathId(str, NotFound, "The name of a part.")},
    )
    async def on_get(self, call: Call[None, None]) -> Reply:
        """Return its page."""
        name = call.ids["name"]
        if name not in self._pages.names:
            raise NotFound
        return await self._reply(call, name)


def reference_routes(
    dependencies: RouteDependencies,
    found: Assets,
    document: Mapping[str, Any],
    headers: Mapping[str, str],
) -> list[tuple[str, object]]:
    """Return the pages of the reference by URI template; `headers` are those of all pages."""
    pages = _Pages(document, found)
    return [
        (PREFIX, ReferenceOverview(dependencies, pages, headers)),
        (PREFIX + "/{name}", ReferencePart(dependencies, pages, headers)),
    ]
