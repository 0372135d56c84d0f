"""The catalog over HTTP: public look-ups, and the routes of the module."""

from collections.abc import Callable, Sequence
from math import ceil
from typing import Any, TypeVar

import msgspec

from boxoffice.catalog import operator_routes, organizer_routes
from boxoffice.catalog.lookups import CatalogLookups, Lookup
from boxoffice.catalog.paths import CONCERT, SCHEDULE, cursor_at, place_of
from boxoffice.catalog.service import Catalog
from boxoffice.catalog.views import (
    ConcertItem,
    ConcertPage,
    OneSchedule,
    ScheduleOnOffer,
)
from boxoffice.errors import CursorInvalid
from boxoffice.http.api.headers import FixedHeaders
from boxoffice.http.api.operation import Call, Reply, RouteDependencies, operation
from boxoffice.http.api.paging import Page, PageQuery, page
from boxoffice.platform.conditional import content_tag
from boxoffice.settings import Settings

_encode = msgspec.json.Encoder().encode

T = TypeVar("T")


class Concerts:
    """`/v1/concerts`."""

    def __init__(
        self, lookups: CatalogLookups, dependencies: RouteDependencies, headers: FixedHeaders
    ) -> None:
        self.dependencies = dependencies
        self._lookups = lookups
        self._headers = headers

    @operation(
        "List the published concerts",
        query=PageQuery,
        returns=Page[ConcertItem],
        cached=True,
        problems=[CursorInvalid],
    )
    async def on_get(self, call: Call[None, PageQuery]) -> Reply:
        """Newest first."""
        limit = call.query.limit
        lookup = await self._lookups.concerts(limit, place_of(call.query.cursor))
        return _reply(lookup, lambda found: _concert_page(found, limit), self._headers)


class OneConcert:
    """`/v1/concerts/{concert_id}`."""

    def __init__(
        self, lookups: CatalogLookups, dependencies: RouteDependencies, headers: FixedHeaders
    ) -> None:
        self.dependencies = dependencies
        self._lookups = lookups
        self._headers = headers

    @operation("Get a concert", path=CONCERT, returns=ConcertPage, cached=True)
    async def on_get(self, call: Call[None, None]) -> Reply:
        """A concert that is not published is not found."""
        lookup = await self._lookups.concert(call.ids["concert_id"])
        return _reply(lookup, lambda found: found, self._headers)


class Schedules:
    """`/v1/concerts/{concert_id}/schedules`."""

    def __init__(
        self, lookups: CatalogLookups, dependencies: RouteDependencies, headers: FixedHeaders
    ) -> None:
        self.dependencies = dependencies
        self._lookups = lookups
        self._headers = headers

    @operation(
        "List the schedules of a concert",
        path=CONCERT,
        returns=Page[ScheduleOnOffer],
        cached=True,
    )
    async def on_get(self, call: Call[None, None]) -> Reply:
        """All in one page, earliest first, with seat counts."""
        lookup = await self._lookups.schedules(call.ids["concert_id"])
        return _reply(lookup, lambda found: Page(items=found), self._headers)


class ScheduleResource:
    """`/v1/schedules/{schedule_id}`."""

    def __init__(
        self, lookups: CatalogLookups, dependencies: RouteDependencies, headers: FixedHeaders
    ) -> None:
        self.dependencies = dependencies
        self._lookups = lookups
        self._headers = headers

    @operation("Get a schedule", path=SCHEDULE, returns=OneSchedule, cached=True)
    async def on_get(self, call: Call[None, None]) -> Reply:
        """Includes the concert; seat counts are in the list of the concert's schedules."""
        lookup = await self._lookups.schedule(call.ids["schedule_id"])
        return _reply(lookup, lambda found: found, self._headers)


def routes(
    service: Catalog, dependencies: RouteDependencies, settings: Settings
) -> list[tuple[str, object]]:
    """Return the resources of this module by URI template."""
    fresh_s = ceil(settings.catalog.catalog_cache_ms / 1000)
    headers = FixedHeaders({"Cache-Control": f"public, max-age={fresh_s}"})
    return [
        ("/v1/concerts", Concerts(service.lookups, dependencies, headers)),
        ("/v1/concerts/{concert_id}", OneConcert(service.lookups, dependencies, headers)),
        ("/v1/concerts/{concert_id}/schedules", Schedules(service.lookups, dependencies, headers)),
        ("/v1/schedules/{schedule_id}", ScheduleResource(service.lookups, dependencies, headers)),
        *organizer_routes.routes(service, dependencies, settings),
        *operator_routes.routes(service, dependencies),
    ]


def _reply(lookup: Lookup[T], present: Callable[[T], Any], headers: FixedHeaders) -> Reply:
    if lookup.shown is None:
        body = _encode(present(lookup.found))
        lookup.shown = (body, content_tag(body))
    body, etag = lookup.shown
    return Reply(encoded=body, etag=etag, headers=headers)


def _concert_page(found: Sequence[ConcertItem], limit: int) -> Page[ConcertItem]:
    return page(found, limit, lambda item: item, _after)


def _after(item: ConcertItem) -> object:
    return cursor_at(item.published_at, item.concert_id)
