"""Venues over HTTP: parse, call, present."""

from uuid import UUID

from boxoffice.errors import (
    CursorInvalid,
    IdempotencyKeyReused,
    OrganizationNotFound,
    OutcomeUnknown,
)
from boxoffice.http.api.operation import Call, PathId, Reply, RouteDependencies, operation
from boxoffice.http.api.paging import Page, PageQuery, decode_cursor, page
from boxoffice.permissions import Permission
from boxoffice.platform.conditional import entity_tag
from boxoffice.platform.ids import parse_uuid
from boxoffice.venues.errors import TimeZoneUnknown, VenueInUse, VenueNotFound
from boxoffice.venues.service import Venues
from boxoffice.venues.views import Venue, VenueBody, VenueEdit

VENUE = {"venue_id": PathId(parse_uuid, VenueNotFound, "The id of a venue.")}


class AdminVenues:
    """`/v1/admin/venues`."""

    def __init__(self, service: Venues, dependencies: RouteDependencies) -> None:
        self.dependencies = dependencies
        self._service = service

    @operation(
        "List my venues",
        permission=Permission.EVENTS_READ,
        query=PageQuery,
        returns=Page[Venue],
        problems=[CursorInvalid],
    )
    async def on_get(self, call: Call[None, PageQuery]) -> Reply:
        """The newest first; an operator sees all."""
        before, limit = decode_cursor(call.query.cursor, UUID), call.query.limit
        found = await self._service.list_of_organizer(
            call.caller.organization_ids, before, limit + 1
        )
        return Reply(page(found, limit, lambda one: one, lambda one: one.venue_id))

    @operation(
        "Add a venue",
        201,
        permission=Permission.EVENTS_WRITE,
        keyed=True,
        body=VenueBody,
        has_large_body=True,
        returns=Venue,
        problems=[OrganizationNotFound, TimeZoneUnknown, IdempotencyKeyReused, OutcomeUnknown],
        tagged=True,
    )
    async def on_post(self, call: Call[VenueBody, None]) -> Reply:
        """All times of its performances are shown in its time zone."""
        made = await self._service.create(
            call.caller, call.body, call.key, request_id=call.request_id
        )
        return Reply(
            made, etag=entity_tag(made.version), location=f"/v1/admin/venues/{made.venue_id}"
        )


class AdminVenue:
    """`/v1/admin/venues/{venue_id}`."""

    def __init__(self, service: Venues, dependencies: RouteDependencies) -> None:
        self.dependencies = dependencies
        self._service = service

    @operation(
        "Get my venue", permission=Permission.EVENTS_READ, path=VENUE, returns=Venue, tagged=True
    )
    async def on_get(self, call: Call[None, None]) -> Reply:
        """Its ETag is needed to change it."""
        found = await self._service.get(call.caller.organization_ids, call.ids["venue_id"])
        return Reply(found, etag=entity_tag(found.version))

    @operation(
        "Change a venue",
        permission=Permission.EVENTS_WRITE,
        path=VENUE,
        conditional=True,
        tagged=True,
        body=VenueEdit,
        has_large_body=True,
        returns=Venue,
        problems=[TimeZoneUnknown, VenueInUse],
    )
    async def on_patch(self, call: Call[VenueEdit, None]) -> Reply:
        """Absent members stay. The time zone is fixed while buyers see performances here."""
        after = await self._service.edit(
            call.caller,
            call.ids["venue_id"],
            call.body,
            call.version,
            request_id=call.request_id,
        )
        return Reply(after, etag=entity_tag(after.version))

    @operation(
        "Delete a venue",
        204,
        permission=Permission.EVENTS_WRITE,
        path=VENUE,
        conditional=True,
        problems=[VenueInUse],
    )
    async def on_delete(self, call: Call[None, None]) -> Reply:
        """One at which no performance takes place."""
        await self._service.delete(
            call.caller, call.ids["venue_id"], call.version, request_id=call.request_id
        )
        return Reply()


def routes(service: Venues, dependencies: RouteDependencies) -> list[tuple[str, object]]:
    """Return the resources of venues by URI template."""
    return [
        ("/v1/admin/venues", AdminVenues(service, dependencies)),
        ("/v1/admin/venues/{venue_id}", AdminVenue(service, dependencies)),
    ]
