"""Commands and look-ups of organizers over HTTP."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from boxoffice.catalog import rules
from boxoffice.catalog.paths import CONCERT, SCHEDULE, cursor_at, place_of
from boxoffice.catalog.rules import NewConcert, NewSchedule, NewSeat
from boxoffice.catalog.service import Catalog
from boxoffice.catalog.views import (
    Concert,
    OwnConcert,
    Schedule,
    ScheduleState,
    SeatMapPreview,
    SeatsAdded,
)
from boxoffice.errors import (
    AlreadyPublished,
    ConcertTakenDown,
    CursorInvalid,
    Invalid,
    NotOnSale,
    NotPublishable,
    OrganizationNotFound,
    OutcomeUnknown,
    ScheduleLimit,
    ScheduleNotOpenable,
    SeatExists,
    SeatMapInvalid,
    SeatMapLocked,
)
from boxoffice.http.api import body as bodies
from boxoffice.http.api.operation import Call, RawBody, Reply, RouteDependencies, operation
from boxoffice.http.api.paging import Page, PageQuery, page
from boxoffice.permissions import Permission, narrowed
from boxoffice.platform.values import Label, Line, Paragraph, ShortLine
from boxoffice.settings import CatalogSettings, Settings
from boxoffice.venues.errors import LocalTimeAmbiguous, LocalTimeSkipped, VenueNotFound
from boxoffice.venues.rules import VenueTime

_CSV_TYPE = "text/csv"
_CSV_EXAMPLE = "section,row,number,grade,price\nA,1,1,VIP,110000\nA,1,2,VIP,110000\n"
_SEAT_AT = re.compile(r"\[(\d+)\]")

HoldTtl = Annotated[int, Meta(ge=1, le=86_400, description="Duration of a hold in seconds.")]
TicketLimit = Annotated[
    int, Meta(ge=1, le=1000, description="Maximum number of tickets per person.")
]

ReturnDelay = Annotated[
    int,
    Meta(
        ge=0,
        le=600,
        description="Released and lapsed seats become available at a random moment within this time.",
    ),
]


class OwnConcertsQuery(PageQuery, frozen=True, kw_only=True):
    """A page of concerts, optionally of one organization."""

    organization_id: UUID | None = None


class ConcertBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A new concert, of the caller's only organization if none is named."""

    organization_id: UUID | None = None
    title: Line
    artist: Line
    venue: Line
    description: Paragraph = ""


class ScheduleBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A new performance; a time has an offset from UTC (RFC 3339), or is a local one of its venue."""

    starts_at: VenueTime
    sale_opens_at: VenueTime
    sale_closes_at: VenueTime | None = None
    doors_at: VenueTime | None = None
    venue_id: UUID | None = None
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$", max_length=3)] | None = None
    hold_ttl_s: HoldTtl | None = None
    ticket_limit: TicketLimit | None = None
    seats_return_delay_max_s: ReturnDelay = 0


class SeatBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A new seat; `price` in minor units of the schedule's currency."""

    section: ShortLine
    row: ShortLine
    number: Annotated[int, Meta(ge=1, le=rules.NUMBER_MAX)]
    grade: ShortLine
    price: Annotated[int, Meta(ge=0, le=rules.PRICE_MAX_MINOR)]
    seat_id: Label | None = None


class SeatMapBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A seat map; the default `seat_id` is made of section, row and number."""

    seats: Annotated[list[SeatBody], Meta(min_length=1)]


_seat_map_reader: bodies.Reader[SeatMapBody] = bodies.Reader(SeatMapBody, {"seats": SeatMapInvalid})


class AdminConcerts:
    """`/v1/admin/concerts`."""

    def __init__(self, service: Catalog, dependencies: RouteDependencies) -> None:
        self.dependencies = dependencies
        self._service = service

    @operation(
        "List my concerts",
        permission=Permission.EVENTS_READ,
        query=OwnConcertsQuery,
        returns=Page[OwnConcert],
        problems=[CursorInvalid, OrganizationNotFound],
    )
    async def on_get(self, call: Call[None, OwnConcertsQuery]) -> Reply:
        """Those of the caller's organizations, including drafts, newest first; an operator sees all."""
        limit = call.query.limit
        found = await self._service.own_concerts(
            narrowed(call.caller, call.query.organization_id),
            limit + 1,
            place_of(call.query.cursor),
        )
        return Reply(page(found, limit, lambda concert: concert, _made_before))

    @operation(
        "Create a concert",
        201,
        permission=Permission.EVENTS_WRITE,
        may_have_key=True,
        body=ConcertBody,
        returns=Concert,
        problems=[OrganizationNotFound, OutcomeUnknown],
    )
    async def on_post(self, call: Call[ConcertBody, None]) -> Reply:
        """Creates a draft: only its organizer sees it until it is published.

        With an `Idempotency-Key`, a repetition is answered with the first draft.
        """
        given = call.body
        concert = NewConcert(
            title=given.title,
            artist=given.artist,
            venue=given.venue,
            description=given.description,
        )
        made = await self._service.create_concert(
            call.caller,
            concert,
            organization_id=given.organization_id,
            key=call.key,
            request_id=call.request_id,
        )
        return Reply(made)


class AdminSchedules:
    """`/v1/admin/concerts/{concert_id}/schedules`."""

    def __init__(
        self, service: Catalog, dependencies: RouteDependencies, settings: Settings
    ) -> None:
        self.dependencies = dependencies
        self._service = service
        self._settings = settings

    @operation(
        "Add a schedule to a concert",
        201,
        path=CONCERT,
        permission=Permission.EVENTS_WRITE,
        may_have_key=True,
        body=ScheduleBody,
        returns=Schedule,
        problems=[
            ScheduleLimit,
            VenueNotFound,
            LocalTimeSkipped,
            LocalTimeAmbiguous,
            OutcomeUnknown,
        ],
    )
    async def on_post(self, call: Call[ScheduleBody, None]) -> Reply:
        """It has no seats, and is not on sale until it is opened.

        With an `Idempotency-Key`, a repetition is answered with the first schedule.
        """
        schedule = self._with_defaults(call.body)
        concert_id = call.ids["concert_id"]
        made = await self._service.create_schedule(
            call.caller, concert_id, schedule, key=call.key, request_id=call.request_id
        )
        return Reply(made)

    def _with_defaults(self, given: ScheduleBody) -> NewSchedule:
        settings = self._settings
        return NewSchedule(
            starts_at=given.starts_at,
            sale_opens_at=given.sale_opens_at,
            sale_closes_at=given.sale_closes_at,
            currency=given.currency or settings.payments.currency,
            hold_ttl_s=given.hold_ttl_s or settings.holds.hold_ttl_default_s,
            ticket_limit=given.ticket_limit or settings.holds.ticket_limit_default,
            seats_return_delay_max_s=given.seats_return_delay_max_s,
            venue_id=given.venue_id,
            doors_at=given.doors_at,
        )


class AdminPublish:
    """`/v1/admin/concerts/{concert_id}/publish`."""

    def __init__(self, service: Catalog, dependencies: RouteDependencies) -> None:
        self.dependencies = dependencies
        self._service = service

    @operation(
        "Publish a concert",
        path=CONCERT,
        permission=Permission.EVENTS_WRITE,
        returns=Concert,
        problems=[AlreadyPublished, NotPublishable, ConcertTakenDown, OutcomeUnknown],
    )
    async def on_post(self, call: Call[None, None]) -> Reply:
        """Requires a schedule with seats."""
        published = await self._service.publish(
            call.caller, call.ids["concert_id"], request_id=call.request_id
        )
        return Reply(published)


class AdminOpen:
    """`/v1/admin/schedules/{schedule_id}/open`."""

    def __init__(self, service: Catalog, dependencies: RouteDependencies) -> None:
        self.dependencies = dependencies
        self._service = service

    @operation(
        "Open the sale",
        path=SCHEDULE,
        permission=Permission.SALES_WRITE,
        returns=ScheduleState,
        problems=[ScheduleNotOpenable, ConcertTakenDown, OutcomeUnknown],
    )
    async def on_post(self, call: Call[None, None]) -> Reply:
        """Seats are sold from `sale_opens_at` on. Repeating is no error."""
        state = await self._service.open(
            call.caller, call.ids["schedule_id"], request_id=call.request_id
        )
        return Reply(state)


class AdminClose:
    """`/v1/admin/schedules/{schedule_id}/close`."""

    def __init__(self, service: Catalog, dependencies: RouteDependencies) -> None:
        self.dependencies = dependencies
        self._service = service

    @operation(
        "Close the sale",
        path=SCHEDULE,
        permission=Permission.SALES_WRITE,
        returns=ScheduleState,
        problems=[NotOnSale, OutcomeUnknown],
    )
    async def on_post(self, call: Call[None, None]) -> Reply:
        """New holds are refused; existing holds can be paid. A closed sale can be opened again."""
        state = await self._service.close(
            call.caller, call.ids["schedule_id"], request_id=call.request_id
        )
        return Reply(state)


class SeatMapUploads:
    """Takes seat maps as CSV or JSON.

    Maps are parsed in threads, because a large one would block the event loop, and few at a time: one
    of 100,000 seats takes tens of megabytes.
    """

    def __init__(self, service: Catalog, settings: CatalogSettings) -> None:
        self._service = service
        self._seats_max = settings.seats_per_schedule_max
        self._errors_max = settings.seat_map_errors_max
        self._slots = asyncio.Semaphore(settings.seat_map_uploads_max)

    async def add(self, call: Call[None, None]) -> Reply:
        """Adds all seats or none, before the schedule is opened.

        A CSV has a header with the columns section, row, number, grade, price (minor units) and
        optionally seat_id; an error names its line.
        """
        is_csv = bodies.media_type(call.req) == _CSV_TYPE
        parse = rules.parse_csv if is_csv else _parse_json
        async with self._slots:
            seats = await asyncio.to_thread(parse, call.raw, self._seats_max)
            added = await self._service.add_seats(
                call.caller, call.ids["schedule_id"], seats, request_id=call.request_id
            )
        return Reply(added)

    async def preview(self, call: Call[None, None]) -> Reply:
        """Returns what the upload would add, and its errors line by line. Nothing is written."""
        if not call.raw:
            raise SeatMapInvalid("Line 1: the file is empty.", line=1, reason="no_seats")
        async with self._slots:
            checked = await asyncio.to_thread(
                rules.check_csv, call.raw, self._seats_max, self._errors_max
            )
            preview = await self._service.preview_seats(
                call.caller.organization_ids, call.ids["schedule_id"], checked
            )
        return Reply(preview)


def _seat_map_resource(
    dependencies: RouteDependencies,
    handler: Callable[[Call[None, None]], Awaitable[Reply]],
    summary: str,
    success: int = 200,
    **declared: Any,
) -> object:
    """Return a resource whose POST is declared here, because the limit of its body is a setting."""

    async def on_post(_resource: object, call: Call[None, None]) -> Reply:
        return await handler(call)

    on_post.__doc__ = handler.__doc__
    responder = operation(
        summary, success, path=SCHEDULE, permission=Permission.EVENTS_WRITE, **declared
    )(on_post)
    return type("SeatMapResource", (), {"on_post": responder, "dependencies": dependencies})()


def _seat_map_routes(
    uploads: SeatMapUploads, dependencies: RouteDependencies, max_bytes: int
) -> list[tuple[str, object]]:
    examples = {_CSV_TYPE: _CSV_EXAMPLE}
    add = _seat_map_resource(
        dependencies,
        uploads.add,
        "Add seats to a schedule",
        201,
        raw_body=RawBody((bodies.JSON_TYPE, _CSV_TYPE), max_bytes, SeatMapBody, examples),
        returns=SeatsAdded,
        problems=[SeatMapInvalid, SeatMapLocked, SeatExists, OutcomeUnknown],
    )
    # Any text is answered with what is wrong with it; only an empty body is refused.
    text = {"minLength": 1}
    preview = _seat_map_resource(
        dependencies,
        uploads.preview,
        "Preview a seat map",
        raw_body=RawBody((_CSV_TYPE,), max_bytes, SeatMapBody, examples, text=text),
        returns=SeatMapPreview,
        problems=[SeatMapInvalid, SeatMapLocked],
    )
    return [
        ("/v1/admin/schedules/{schedule_id}/seats", add),
        ("/v1/admin/schedules/{schedule_id}/seats/preview", preview),
    ]


def routes(
    service: Catalog, dependencies: RouteDependencies, settings: Settings
) -> list[tuple[str, object]]:
    """Return the resources of organizers by URI template."""
    uploads = SeatMapUploads(service, settings.catalog)
    max_bytes = settings.catalog.seat_map_max_bytes
    return [
        ("/v1/admin/concerts", AdminConcerts(service, dependencies)),
        (
            "/v1/admin/concerts/{concert_id}/schedules",
            AdminSchedules(service, dependencies, settings),
        ),
        ("/v1/admin/concerts/{concert_id}/publish", AdminPublish(service, dependencies)),
        *_seat_map_routes(uploads, dependencies, max_bytes),
        ("/v1/admin/schedules/{schedule_id}/open", AdminOpen(service, dependencies)),
        ("/v1/admin/schedules/{schedule_id}/close", AdminClose(service, dependencies)),
    ]


def _made_before(concert: OwnConcert) -> object:
    return cursor_at(concert.created_at, concert.concert_id)


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
