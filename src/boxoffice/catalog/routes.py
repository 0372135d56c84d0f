"""The catalog over HTTP: lookups and event streams for everybody, and the addresses of the room."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import blake2b
from math import ceil
from typing import Any, NamedTuple, TypeVar

import msgspec

from boxoffice.catalog import operator_routes, organizer_routes
from boxoffice.catalog.paths import CONCERT, SCHEDULE, cursor_at, place_of
from boxoffice.catalog.service import Catalog, Lookup
from boxoffice.catalog.views import (
    Concert,
    ConcertItem,
    OneSchedule,
    SaleEvent,
    ScheduleOnOffer,
    SeatMap,
    SeatsAlive,
    SeatsChange,
    SeatsSnapshot,
)
from boxoffice.errors import CursorInvalid
from boxoffice.http.api.headers import FixedHeaders, accepts_gzip
from boxoffice.http.api.operation import Call, Reply, RouteDependencies, operation
from boxoffice.http.api.paging import Page, PageQuery, page
from boxoffice.http.streams import Channel, Stream, Streams, event
from boxoffice.seats.feed.feed import Pace, SeatFeeds
from boxoffice.seats.feed.history import ALIVE, CHANGES, SALE, SNAPSHOT, Told
from boxoffice.seats.seat_maps import SeatMaps
from boxoffice.settings import Settings

_encode = msgspec.json.Encoder().encode

T = TypeVar("T")


class Concerts:
    """`/v1/concerts`."""

    def __init__(
        self, service: Catalog, dependencies: RouteDependencies, headers: FixedHeaders
    ) -> None:
        self.dependencies = dependencies
        self._service = service
        self._headers = headers

    @operation(
        "List the published concerts",
        query=PageQuery,
        returns=Page[ConcertItem],
        cached=True,
        fast_path=True,
        problems=[CursorInvalid],
    )
    async def on_get(self, call: Call[None, PageQuery]) -> Reply:
        """The newest come first."""
        limit = call.query.limit
        lookup = await self._service.concerts(limit, place_of(call.query.cursor))
        return _reply(lookup, lambda found: _concert_page(found, limit), self._headers)


class OneConcert:
    """`/v1/concerts/{concert_id}`."""

    def __init__(
        self, service: Catalog, dependencies: RouteDependencies, headers: FixedHeaders
    ) -> None:
        self.dependencies = dependencies
        self._service = service
        self._headers = headers

    @operation("Look a concert up", path=CONCERT, returns=Concert, cached=True, fast_path=True)
    async def on_get(self, call: Call[None, None]) -> Reply:
        """A concert that is not published does not exist here."""
        lookup = await self._service.concert(call.ids["concert_id"])
        return _reply(lookup, lambda found: found, self._headers)


class Schedules:
    """`/v1/concerts/{concert_id}/schedules`."""

    def __init__(
        self, service: Catalog, dependencies: RouteDependencies, headers: FixedHeaders
    ) -> None:
        self.dependencies = dependencies
        self._service = service
        self._headers = headers

    @operation(
        "List the schedules of a concert",
        path=CONCERT,
        returns=Page[ScheduleOnOffer],
        cached=True,
        fast_path=True,
    )
    async def on_get(self, call: Call[None, None]) -> Reply:
        """All of them in one page, the earliest first, with their seats counted."""
        lookup = await self._service.schedules(call.ids["concert_id"])
        return _reply(lookup, lambda found: Page(items=found), self._headers)


class ScheduleResource:
    """`/v1/schedules/{schedule_id}`."""

    def __init__(
        self, service: Catalog, dependencies: RouteDependencies, headers: FixedHeaders
    ) -> None:
        self.dependencies = dependencies
        self._service = service
        self._headers = headers

    @operation(
        "Look a schedule up", path=SCHEDULE, returns=OneSchedule, cached=True, fast_path=True
    )
    async def on_get(self, call: Call[None, None]) -> Reply:
        """With what is performed; how many seats are left its concert's list tells."""
        lookup = await self._service.schedule(call.ids["schedule_id"])
        return _reply(lookup, lambda found: found, self._headers)


class Seats:
    """`/v1/schedules/{schedule_id}/seats`."""

    def __init__(
        self, seat_maps: SeatMaps, dependencies: RouteDependencies, headers: FixedHeaders
    ) -> None:
        self.dependencies = dependencies
        self._seat_maps = seat_maps
        self._headers = headers
        self._gzip_headers = FixedHeaders({**headers, "Content-Encoding": "gzip"})

    @operation("Look the seat map up", path=SCHEDULE, returns=SeatMap, cached=True, fast_path=True)
    async def on_get(self, call: Call[None, None]) -> Reply:
        """A seat that is shown as available may be gone: only a reservation tells."""
        rendered = await self._seat_maps.rendered(call.ids["schedule_id"])
        tag = await rendered.tag()
        if not accepts_gzip(call.req.get_header("Accept-Encoding")):
            return Reply(encoded=await rendered.body(), etag=f'"{tag}"', headers=self._headers)
        # A strong tag names bytes, and the compressed ones are others (RFC 9110, section 8.8.3).
        return Reply(
            encoded=await rendered.gzip(),
            etag=f'"{tag}-gzip"',
            headers=self._gzip_headers,
        )


class Alive(NamedTuple):
    """The sign that the seats are still followed, and how much silence it ends."""

    every_s: float
    event: bytes


def _alive(settings: Settings) -> Alive:
    """A feed looks so often that the sign is late by one look at the most."""
    within_ms = settings.seats.seat_events_alive_ms + settings.seats.seats_cache_ms
    sign = SeatsAlive(next_within_ms=within_ms)
    return Alive(settings.seats.seat_events_alive_ms / 1000, event(ALIVE, _encode(sign)))


class _SeatChannel:
    """Who watches a schedule, as its feed sees them: what is told is encoded once."""

    def __init__(self, streams: Streams, alive: Alive, on_empty: Callable[[], None]) -> None:
        self.channel = Channel(streams, "seats", on_empty)
        self._alive = alive
        self._last: tuple[Told | None, bytes] = None, b""

    def tell(self, events: Sequence[Told]) -> None:
        """Tell everybody."""
        for one in events:
            self.channel.send(self.encoded(one))

    async def told(self) -> None:
        """Return when it is written."""
        await self.channel.sent()

    def confirm(self) -> None:
        """Tell those who have heard nothing for a while that nothing has changed.

        A page cannot see a stream's heartbeat, and that would say nothing of the seats: it goes on
        while PostgreSQL is away.
        """
        silent_s = asyncio.get_running_loop().time() - self.channel.sent_at
        if silent_s >= self._alive.every_s:
            self.channel.send(self._alive.event)

    def end(self) -> None:
        """End all streams."""
        self.channel.end()

    def encoded(self, told: Told) -> bytes:
        """Return the event; a snapshot is encoded once for all who come while nothing changes."""
        if self._last[0] is not told:
            self._last = told, event(told.name, _encode(told.data), told.state)
        return self._last[1]


class SeatEvents:
    """`/v1/schedules/{schedule_id}/seats/events`."""

    def __init__(self, feeds: SeatFeeds[_SeatChannel], dependencies: RouteDependencies) -> None:
        self.dependencies = dependencies
        self._feeds = feeds

    @operation(
        "Follow the seats",
        path=SCHEDULE,
        events={
            SNAPSHOT: SeatsSnapshot,
            CHANGES: SeatsChange,
            SALE: SaleEvent,
            ALIVE: SeatsAlive,
        },
        fast_path=True,
    )
    async def on_get(self, call: Call[None, None]) -> Stream:
        """A stream that begins with every seat's status, or with what has changed since Last-Event-ID.

        An event whose `seq` is not one more than that of the event before tells that one was missed.
        `alive` has none: it ends a silence in which nothing has changed. Whoever hears nothing at all
        for a few times `next_within_ms` has lost the shop.
        """
        feed = await self._feeds.of(call.ids["schedule_id"])
        seats = feed.broadcast
        return Stream(
            seats.channel,
            lambda: seats.encoded(feed.history.since(call.last_event_id)),
            opened=lambda _subscriber: feed.start(),
        )


def routes(
    service: Catalog,
    seat_maps: SeatMaps,
    dependencies: RouteDependencies,
    settings: Settings,
    streams: Streams,
) -> list[tuple[str, object]]:
    """Return the resources of this room by URI template."""
    fresh_s = ceil(settings.catalog.catalog_cache_ms / 1000)
    lookup = FixedHeaders({"Cache-Control": f"public, max-age={fresh_s}"})
    # Who has just held a seat wants to see it: browsers ask again, with the ETag; only caches that
    # many people share keep the map for as long as this process does.
    shared_s = ceil(settings.seats.seats_cache_ms / 1000)
    seat_map = FixedHeaders(
        {"Cache-Control": f"public, max-age=0, s-maxage={shared_s}", "Vary": "Accept-Encoding"}
    )
    pace = Pace(settings.seats.seat_events_every_ms / 1000, settings.seats.seats_cache_ms / 1000)
    feeds = SeatFeeds(
        seat_maps,
        pace,
        settings.seats.seat_events_kept_max,
        partial(_SeatChannel, streams, _alive(settings)),
    )
    return [
        ("/v1/concerts", Concerts(service, dependencies, lookup)),
        ("/v1/concerts/{concert_id}", OneConcert(service, dependencies, lookup)),
        ("/v1/concerts/{concert_id}/schedules", Schedules(service, dependencies, lookup)),
        ("/v1/schedules/{schedule_id}", ScheduleResource(service, dependencies, lookup)),
        ("/v1/schedules/{schedule_id}/seats", Seats(seat_maps, dependencies, seat_map)),
        ("/v1/schedules/{schedule_id}/seats/events", SeatEvents(feeds, dependencies)),
        *organizer_routes.routes(service, dependencies, settings),
        *operator_routes.routes(service, dependencies),
    ]


def _reply(lookup: Lookup[T], present: Callable[[T], Any], headers: FixedHeaders) -> Reply:
    if lookup.shown is None:
        body = _encode(present(lookup.found))
        lookup.shown = (body, f'"{blake2b(body, digest_size=12).hexdigest()}"')
    body, etag = lookup.shown
    return Reply(encoded=body, etag=etag, headers=headers)


def _concert_page(found: Sequence[ConcertItem], limit: int) -> Page[ConcertItem]:
    return page(found, limit, lambda item: item, _after)


def _after(item: ConcertItem) -> object:
    return cursor_at(item.published_at, item.concert_id)
