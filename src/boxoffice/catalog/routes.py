"""The catalog over HTTP: lookups for everybody, commands for organizers."""

import asyncio
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import blake2b
from math import ceil
from typing import Annotated, Any, NamedTuple, TypeVar
from uuid import UUID

import msgspec
from msgspec import Meta

from boxoffice.catalog import rules
from boxoffice.catalog.rules import NewConcert, NewSchedule, NewSeat
from boxoffice.catalog.seat_feeds import Pace, SeatFeeds
from boxoffice.catalog.seat_history import CHANGES, SALE, SNAPSHOT, Told
from boxoffice.catalog.seat_maps import SeatMaps
from boxoffice.catalog.service import Catalog, Lookup, Place
from boxoffice.catalog.views import (
    Concert,
    ConcertItem,
    OneSchedule,
    OwnConcert,
    OwnConcertInFull,
    OwnSchedule,
    SaleEvent,
    Schedule,
    ScheduleOnOffer,
    ScheduleState,
    SeatMap,
    SeatMapPreview,
    SeatsAdded,
    SeatsChange,
    SeatsSnapshot,
)
from boxoffice.errors import (
    AlreadyPublished,
    ConcertNotFound,
    CursorInvalid,
    Invalid,
    NotOnSale,
    NotPublishable,
    OutcomeUnknown,
    ScheduleLimit,
    ScheduleNotFound,
    ScheduleNotOpenable,
    SeatExists,
    SeatMapInvalid,
    SeatMapLocked,
)
from boxoffice.http import body as bodies
from boxoffice.http.headers import FixedHeaders, accepts_gzip
from boxoffice.http.operation import Call, Gate, PathId, RawBody, Reply, operation
from boxoffice.http.paging import Page, PageQuery, decode_cursor, page
from boxoffice.http.streams import Channel, Stream, Streams, event
from boxoffice.platform.ids import parse_uuid
from boxoffice.platform.values import Label, Line, Paragraph, ShortLine
from boxoffice.settings import Settings

CONCERT_ID = PathId(parse_uuid, ConcertNotFound, "The id of a concert.")
SCHEDULE_ID = PathId(parse_uuid, ScheduleNotFound, "The id of a schedule.", counted_apart=True)

_CONCERT = {"concert_id": CONCERT_ID}
_SCHEDULE = {"schedule_id": SCHEDULE_ID}
_CSV_TYPE = "text/csv"
_CSV_EXAMPLE = "section,row,number,grade,price\nA,1,1,VIP,110000\nA,1,2,VIP,110000\n"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SEAT_AT = re.compile(r"\[(\d+)\]")
_encode = msgspec.json.Encoder().encode

Moment = Annotated[datetime, Meta(tz=True)]
HoldTtl = Annotated[int, Meta(ge=1, le=86_400, description="How many seconds a hold lasts.")]
TicketLimit = Annotated[int, Meta(ge=1, le=1000, description="Tickets that one person may have.")]

T = TypeVar("T")


class Cursor(NamedTuple):
    """The place of a concert in a list; its time in microseconds since 1970, up to the year 2200."""

    at_us: Annotated[int, Meta(ge=0, le=7_258_118_400_000_000)]
    concert_id: UUID


class ConcertBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A concert to be."""

    title: Line
    artist: Line
    venue: Line
    description: Paragraph = ""


class ScheduleBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A performance to be; the times have an offset from UTC (RFC 3339)."""

    starts_at: Moment
    sale_opens_at: Moment
    sale_closes_at: Moment | None = None
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$", max_length=3)] | None = None
    hold_ttl_s: HoldTtl | None = None
    ticket_limit: TicketLimit | None = None


class SeatBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A seat to be; `price` in minor units of the schedule's currency."""

    section: ShortLine
    row: ShortLine
    number: Annotated[int, Meta(ge=1, le=rules.NUMBER_MAX)]
    grade: ShortLine
    price: Annotated[int, Meta(ge=0, le=rules.PRICE_MAX_MINOR)]
    seat_id: Label | None = None


class SeatMapBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A seat map; without a `seat_id` a seat is called after its section, row and number."""

    seats: Annotated[list[SeatBody], Meta(min_length=1)]


class Concerts:
    """`/v1/concerts`."""

    def __init__(self, service: Catalog, gate: Gate, headers: FixedHeaders) -> None:
        self.gate = gate
        self._service = service
        self._headers = headers

    @operation(
        "List the published concerts",
        query=PageQuery,
        returns=Page[ConcertItem],
        cached=True,
        swift=True,
        problems=[CursorInvalid],
    )
    async def on_get(self, call: Call[None, PageQuery]) -> Reply:
        """The newest come first."""
        limit = call.query.limit
        lookup = await self._service.concerts(limit, _place(call.query.cursor))
        return _reply(lookup, lambda found: _concert_page(found, limit), self._headers)


class OneConcert:
    """`/v1/concerts/{concert_id}`."""

    def __init__(self, service: Catalog, gate: Gate, headers: FixedHeaders) -> None:
        self.gate = gate
        self._service = service
        self._headers = headers

    @operation("Look a concert up", path=_CONCERT, returns=Concert, cached=True, swift=True)
    async def on_get(self, call: Call[None, None]) -> Reply:
        """A concert that is not published does not exist here."""
        lookup = await self._service.concert(call.ids["concert_id"])
        return _reply(lookup, lambda found: found, self._headers)


class Schedules:
    """`/v1/concerts/{concert_id}/schedules`."""

    def __init__(self, service: Catalog, gate: Gate, headers: FixedHeaders) -> None:
        self.gate = gate
        self._service = service
        self._headers = headers

    @operation(
        "List the schedules of a concert",
        path=_CONCERT,
        returns=Page[ScheduleOnOffer],
        cached=True,
        swift=True,
    )
    async def on_get(self, call: Call[None, None]) -> Reply:
        """All of them in one page, the earliest first, with their seats counted."""
        lookup = await self._service.schedules(call.ids["concert_id"])
        return _reply(lookup, lambda found: Page(items=found), self._headers)


class ScheduleResource:
    """`/v1/schedules/{schedule_id}`."""

    def __init__(self, service: Catalog, gate: Gate, headers: FixedHeaders) -> None:
        self.gate = gate
        self._service = service
        self._headers = headers

    @operation("Look a schedule up", path=_SCHEDULE, returns=OneSchedule, cached=True, swift=True)
    async def on_get(self, call: Call[None, None]) -> Reply:
        """With what is performed; how many seats are left its concert's list tells."""
        lookup = await self._service.schedule(call.ids["schedule_id"])
        return _reply(lookup, lambda found: found, self._headers)


class Seats:
    """`/v1/schedules/{schedule_id}/seats`."""

    def __init__(self, seat_maps: SeatMaps, gate: Gate, headers: FixedHeaders) -> None:
        self.gate = gate
        self._seat_maps = seat_maps
        self._headers = headers
        self._gzip_headers = FixedHeaders({**headers, "Content-Encoding": "gzip"})

    @operation("Look the seat map up", path=_SCHEDULE, returns=SeatMap, cached=True, swift=True)
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


class _SeatChannel:
    """Who watches a schedule, as its feed sees them: what is told is encoded once."""

    def __init__(self, streams: Streams, on_empty: Callable[[], None]) -> None:
        self.channel = Channel(streams, "seats", on_empty)
        self._last: tuple[Told | None, bytes] = None, b""

    def tell(self, events: Sequence[Told]) -> None:
        """Tell everybody."""
        for one in events:
            self.channel.send(self.encoded(one))

    async def told(self) -> None:
        """Return when it is written."""
        await self.channel.sent()

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

    def __init__(self, feeds: SeatFeeds[_SeatChannel], gate: Gate) -> None:
        self.gate = gate
        self._feeds = feeds

    @operation(
        "Follow the seats",
        path=_SCHEDULE,
        events={SNAPSHOT: SeatsSnapshot, CHANGES: SeatsChange, SALE: SaleEvent},
        swift=True,
    )
    async def on_get(self, call: Call[None, None]) -> Stream:
        """A stream that begins with every seat's status, or with what has changed since Last-Event-ID.

        An event whose `seq` is not one more than that of the event before tells that one was missed.
        """
        feed = await self._feeds.of(call.ids["schedule_id"])
        seats = feed.broadcast
        return Stream(
            seats.channel,
            lambda: seats.encoded(feed.history.since(call.last_event_id)),
            opened=lambda _subscriber: feed.start(),
        )


_seat_map_reader: bodies.Reader[SeatMapBody] = bodies.Reader(SeatMapBody, {"seats": SeatMapInvalid})


class AdminConcerts:
    """`/v1/admin/concerts`."""

    def __init__(self, service: Catalog, gate: Gate) -> None:
        self.gate = gate
        self._service = service

    @operation(
        "List my concerts",
        role="organizer",
        query=PageQuery,
        returns=Page[OwnConcert],
        problems=[CursorInvalid],
    )
    async def on_get(self, call: Call[None, PageQuery]) -> Reply:
        """Those of the calling organizer, drafts too, the newest first."""
        limit = call.query.limit
        found = await self._service.own_concerts(
            call.caller.user_id, limit + 1, _place(call.query.cursor)
        )
        return Reply(page(found, limit, lambda concert: concert, _made_before))

    @operation(
        "Create a concert",
        201,
        role="organizer",
        body=ConcertBody,
        returns=Concert,
        problems=[OutcomeUnknown],
    )
    async def on_post(self, call: Call[ConcertBody, None]) -> Reply:
        """It is a draft, which only its organizer can change and nobody sees, until published."""
        given = call.body
        concert = NewConcert(
            title=given.title,
            artist=given.artist,
            venue=given.venue,
            description=given.description,
        )
        made = await self._service.create_concert(
            call.caller.user_id, concert, request_id=call.request_id
        )
        return Reply(made)


class AdminConcert:
    """`/v1/admin/concerts/{concert_id}`."""

    def __init__(self, service: Catalog, gate: Gate) -> None:
        self.gate = gate
        self._service = service

    @operation("Look at my concert", path=_CONCERT, role="organizer", returns=OwnConcertInFull)
    async def on_get(self, call: Call[None, None]) -> Reply:
        """With its schedules and their seats counted, as they are now."""
        concert_id = call.ids["concert_id"]
        return Reply(await self._service.own_concert(call.caller.user_id, concert_id))


class AdminSchedule:
    """`/v1/admin/schedules/{schedule_id}`."""

    def __init__(self, service: Catalog, gate: Gate) -> None:
        self.gate = gate
        self._service = service

    @operation("Look at my schedule", path=_SCHEDULE, role="organizer", returns=OwnSchedule)
    async def on_get(self, call: Call[None, None]) -> Reply:
        """With its concert, and its seats counted as they are now."""
        schedule_id = call.ids["schedule_id"]
        return Reply(await self._service.own_schedule(call.caller.user_id, schedule_id))


class AdminSchedules:
    """`/v1/admin/concerts/{concert_id}/schedules`."""

    def __init__(self, service: Catalog, gate: Gate, settings: Settings) -> None:
        self.gate = gate
        self._service = service
        self._settings = settings

    @operation(
        "Add a schedule to a concert",
        201,
        path=_CONCERT,
        role="organizer",
        body=ScheduleBody,
        returns=Schedule,
        problems=[ScheduleLimit, OutcomeUnknown],
    )
    async def on_post(self, call: Call[ScheduleBody, None]) -> Reply:
        """It has no seats yet, and is not on sale until it is opened."""
        schedule = self._with_defaults(call.body)
        concert_id = call.ids["concert_id"]
        made = await self._service.create_schedule(
            call.caller.user_id, concert_id, schedule, request_id=call.request_id
        )
        return Reply(made)

    def _with_defaults(self, given: ScheduleBody) -> NewSchedule:
        settings = self._settings
        return NewSchedule(
            starts_at=given.starts_at,
            sale_opens_at=given.sale_opens_at,
            sale_closes_at=given.sale_closes_at,
            currency=given.currency or settings.currency,
            hold_ttl_s=given.hold_ttl_s or settings.hold_ttl_default_s,
            ticket_limit=given.ticket_limit or settings.ticket_limit_default,
        )


class AdminPublish:
    """`/v1/admin/concerts/{concert_id}/publish`."""

    def __init__(self, service: Catalog, gate: Gate) -> None:
        self.gate = gate
        self._service = service

    @operation(
        "Publish a concert",
        path=_CONCERT,
        role="organizer",
        returns=Concert,
        problems=[AlreadyPublished, NotPublishable, OutcomeUnknown],
    )
    async def on_post(self, call: Call[None, None]) -> Reply:
        """It needs a schedule with seats."""
        published = await self._service.publish(
            call.caller.user_id, call.ids["concert_id"], request_id=call.request_id
        )
        return Reply(published)


class AdminOpen:
    """`/v1/admin/schedules/{schedule_id}/open`."""

    def __init__(self, service: Catalog, gate: Gate) -> None:
        self.gate = gate
        self._service = service

    @operation(
        "Open the sale",
        path=_SCHEDULE,
        role="organizer",
        returns=ScheduleState,
        problems=[ScheduleNotOpenable, OutcomeUnknown],
    )
    async def on_post(self, call: Call[None, None]) -> Reply:
        """Seats are sold from `sale_opens_at` on; the seat map is final. Opening again is no error."""
        state = await self._service.open(
            call.caller.user_id, call.ids["schedule_id"], request_id=call.request_id
        )
        return Reply(state)


class AdminClose:
    """`/v1/admin/schedules/{schedule_id}/close`."""

    def __init__(self, service: Catalog, gate: Gate) -> None:
        self.gate = gate
        self._service = service

    @operation(
        "Close the sale",
        path=_SCHEDULE,
        role="organizer",
        returns=ScheduleState,
        problems=[NotOnSale, OutcomeUnknown],
    )
    async def on_post(self, call: Call[None, None]) -> Reply:
        """Nothing more is held; what is held can be paid. A closed sale can be opened again."""
        state = await self._service.close(
            call.caller.user_id, call.ids["schedule_id"], request_id=call.request_id
        )
        return Reply(state)


def _seat_upload(
    service: Catalog, gate: Gate, settings: Settings, at_a_time: asyncio.Semaphore
) -> object:
    """Return the resource of `/v1/admin/schedules/{schedule_id}/seats`.

    The class is made here because the size of its body is a setting and part of its declaration.
    """

    class AdminSeats:
        def __init__(self) -> None:
            self.gate = gate

        @operation(
            "Add seats to a schedule",
            201,
            path=_SCHEDULE,
            role="organizer",
            raw_body=RawBody(
                (bodies.JSON_TYPE, _CSV_TYPE),
                settings.seat_map_max_bytes,
                SeatMapBody,
                {_CSV_TYPE: _CSV_EXAMPLE},
            ),
            returns=SeatsAdded,
            problems=[SeatMapInvalid, SeatMapLocked, SeatExists, OutcomeUnknown],
        )
        async def on_post(self, call: Call[None, None]) -> Reply:
            """All of them or none, before the schedule is opened.

            A CSV has a header with the columns section, row, number, grade, price (minor units) and
            optionally seat_id; an error names its line.
            """
            is_csv = bodies.media_type(call.req) == _CSV_TYPE
            read = rules.parse_csv if is_csv else _parse_json
            async with at_a_time:
                # A large map takes long enough to hold everybody else up.
                seats = await asyncio.to_thread(read, call.raw, settings.seats_per_schedule_max)
                added = await service.add_seats(
                    call.caller.user_id, call.ids["schedule_id"], seats, request_id=call.request_id
                )
            return Reply(added)

    return AdminSeats()


def _seat_preview(
    service: Catalog, gate: Gate, settings: Settings, at_a_time: asyncio.Semaphore
) -> object:
    """Return the resource of `/v1/admin/schedules/{schedule_id}/seats/preview`."""

    class AdminSeatsPreview:
        def __init__(self) -> None:
            self.gate = gate

        @operation(
            "Look at a seat map before it is added",
            path=_SCHEDULE,
            role="organizer",
            raw_body=RawBody(
                (_CSV_TYPE,), settings.seat_map_max_bytes, SeatMapBody, {_CSV_TYPE: _CSV_EXAMPLE}
            ),
            returns=SeatMapPreview,
            problems=[SeatMapInvalid, SeatMapLocked],
        )
        async def on_post(self, call: Call[None, None]) -> Reply:
            """Says what the upload would bring, and what is wrong, line by line. Nothing is written."""
            if not call.raw:
                raise SeatMapInvalid("Line 1: the file is empty.", line=1, reason="no_seats")
            async with at_a_time:
                checked = await asyncio.to_thread(
                    rules.check_csv,
                    call.raw,
                    settings.seats_per_schedule_max,
                    settings.seat_map_errors_max,
                )
                preview = await service.preview_seats(
                    call.caller.user_id, call.ids["schedule_id"], checked
                )
            return Reply(preview)

    return AdminSeatsPreview()


def routes(
    service: Catalog, seat_maps: SeatMaps, gate: Gate, settings: Settings, streams: Streams
) -> list[tuple[str, object]]:
    """Return the resources of this room by URI template."""
    fresh_s = ceil(settings.catalog_cache_ms / 1000)
    lookup = FixedHeaders({"Cache-Control": f"public, max-age={fresh_s}"})
    # Who has just held a seat wants to see it: browsers ask again, with the ETag; only caches that
    # many people share keep the map for as long as this process does.
    shared_s = ceil(settings.seats_cache_ms / 1000)
    seat_map = FixedHeaders(
        {"Cache-Control": f"public, max-age=0, s-maxage={shared_s}", "Vary": "Accept-Encoding"}
    )
    # A map of 100,000 seats takes tens of megabytes while it is read.
    at_a_time = asyncio.Semaphore(settings.seat_maps_in_flight_max)
    pace = Pace(settings.seat_events_every_ms / 1000, settings.seats_cache_ms / 1000)
    feeds = SeatFeeds(
        seat_maps, pace, settings.seat_events_kept_max, partial(_SeatChannel, streams)
    )
    return [
        ("/v1/concerts", Concerts(service, gate, lookup)),
        ("/v1/concerts/{concert_id}", OneConcert(service, gate, lookup)),
        ("/v1/concerts/{concert_id}/schedules", Schedules(service, gate, lookup)),
        ("/v1/schedules/{schedule_id}", ScheduleResource(service, gate, lookup)),
        ("/v1/schedules/{schedule_id}/seats", Seats(seat_maps, gate, seat_map)),
        ("/v1/schedules/{schedule_id}/seats/events", SeatEvents(feeds, gate)),
        ("/v1/admin/concerts", AdminConcerts(service, gate)),
        ("/v1/admin/concerts/{concert_id}", AdminConcert(service, gate)),
        ("/v1/admin/schedules/{schedule_id}", AdminSchedule(service, gate)),
        ("/v1/admin/concerts/{concert_id}/schedules", AdminSchedules(service, gate, settings)),
        ("/v1/admin/concerts/{concert_id}/publish", AdminPublish(service, gate)),
        (
            "/v1/admin/schedules/{schedule_id}/seats",
            _seat_upload(service, gate, settings, at_a_time),
        ),
        (
            "/v1/admin/schedules/{schedule_id}/seats/preview",
            _seat_preview(service, gate, settings, at_a_time),
        ),
        ("/v1/admin/schedules/{schedule_id}/open", AdminOpen(service, gate)),
        ("/v1/admin/schedules/{schedule_id}/close", AdminClose(service, gate)),
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
    return Cursor((item.published_at - _EPOCH) // _MICROSECOND, item.concert_id)


def _made_before(concert: OwnConcert) -> object:
    return Cursor((concert.created_at - _EPOCH) // _MICROSECOND, concert.concert_id)


def _place(cursor: str) -> Place | None:
    place = decode_cursor(cursor, Cursor)
    if place is None:
        return None
    return _EPOCH + place.at_us * _MICROSECOND, place.concert_id


def _parse_json(raw: bytes, seats_max: int) -> list[NewSeat]:
    try:
        seat_map = _seat_map_reader.read(raw)
    except Invalid as problem:
        raise _with_index(problem) from problem
    return rules.seats_of(seat_map.seats, seats_max)


def _with_index(problem: Invalid) -> Invalid:
    at = _SEAT_AT.search(str(problem.extra.get("errors", "")))
    if at is None:
        return problem
    index = int(at.group(1))
    return SeatMapInvalid(f"Seat at index {index}: {problem.detail}", index=index, **problem.extra)
