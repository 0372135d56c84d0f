"""Waiting lists over HTTP: parse, call, present."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from boxoffice.accounts.credentials.errors import EmailNotVerified
from boxoffice.catalog.paths import SCHEDULE
from boxoffice.errors import CursorInvalid, NotOnSale, OutcomeUnknown, TicketLimit
from boxoffice.http.api.headers import FixedHeaders
from boxoffice.http.api.operation import Call, PathId, Reply, RouteDependencies, operation
from boxoffice.http.api.paging import Page, PageQuery, decode_cursor, page
from boxoffice.permissions import Permission
from boxoffice.platform.conditional import content_tag
from boxoffice.platform.ids import ScopedId, parse_scoped
from boxoffice.platform.values import ShortLine
from boxoffice.waiting_list.errors import (
    AlreadyWaiting,
    EntryNotFound,
    OfferMade,
    SeatsAvailable,
    WaitingListOff,
)
from boxoffice.waiting_list.service import WaitingLists
from boxoffice.waiting_list.store import ListSummary, WaitingListEntry

ENTRY_ID = PathId(parse_scoped, EntryNotFound, "The `entry_id` of an entry.")
_HEADERS = FixedHeaders({"Cache-Control": "public, max-age=1"})

EntryStatus = Literal["WAITING", "OFFERED", "TAKEN", "LAPSED", "LEFT", "CLOSED", "LIMIT_REACHED"]


class ShownListOut(msgspec.Struct, kw_only=True):
    """Whether a schedule has a waiting list, and the most seats that an entry may want."""

    schedule_id: UUID
    is_on: bool
    seats_max: int


class JoinBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`quantity` adjacent seats of a `grade`, of any without one."""

    quantity: Annotated[int, Meta(ge=1, le=64)]
    grade: ShortLine | None = None


class WaitingEntryOut(msgspec.Struct, kw_only=True):
    """An entry of a waiting list.

    `position` of a waiting entry: 1 for the first one. An offer is the hold `reservation_id`, until
    `offer_expires_at`.
    """

    entry_id: str
    schedule_id: UUID
    status: EntryStatus
    quantity: int
    grade: str | None
    joined_at: datetime
    position: int | None
    reservation_id: str | None
    offer_expires_at: datetime | None


class WaitingEntriesQuery(PageQuery, frozen=True, kw_only=True):
    """All entries, or those of one schedule."""

    schedule_id: Annotated[UUID | None, Meta(description="Only this schedule.")] = None


class SwitchBody(msgspec.Struct, forbid_unknown_fields=True):
    """Whether the waiting list of a schedule is on."""

    is_on: bool


class ListSummaryOut(msgspec.Struct, kw_only=True):
    """A waiting list for its organizer.

    `turn_s`: how long seats that return wait for the line before they are on sale. The others count
    entries; `seats_wanted` is what the waiting ones want.
    """

    schedule_id: UUID
    is_on: bool
    turn_s: int
    waiting: int
    seats_wanted: int
    offered: int
    taken: int
    lapsed: int


class _ListResource:
    def __init__(self, service: WaitingLists, dependencies: RouteDependencies) -> None:
        self._service = service
        self.dependencies = dependencies


class _ShownList(_ListResource):
    @operation(
        "Get whether a schedule has a waiting list",
        path=SCHEDULE,
        returns=ShownListOut,
        cached=True,
    )
    async def on_get(self, call: Call[Any, Any]) -> Reply:
        """A second old at the most."""
        schedule_id: UUID = call.ids["schedule_id"]
        found = await self._service.shown(schedule_id)
        shown = ShownListOut(
            schedule_id=schedule_id, is_on=found.is_on, seats_max=found.ticket_limit
        )
        body = msgspec.json.encode(shown)
        etag = content_tag(body)
        return Reply(encoded=body, etag=etag, headers=_HEADERS)


class _WaitingEntries(_ListResource):
    @operation(
        "Join a waiting list",
        201,
        role="any",
        keyed=True,
        path=SCHEDULE,
        body=JoinBody,
        returns=WaitingEntryOut,
        problems=(
            EmailNotVerified,
            WaitingListOff,
            AlreadyWaiting,
            SeatsAvailable,
            NotOnSale,
            TicketLimit,
            OutcomeUnknown,
        ),
    )
    async def on_post(self, call: Call[JoinBody, Any]) -> Reply:
        """One entry per person and schedule, while such adjacent seats are not on sale.

        When seats return, the first entry that they fit gets an offer: a hold with a time of its own,
        and a mail. An offer that is not paid ends the entry.
        """
        entry = await self._service.join(
            call.caller.user_id,
            call.ids["schedule_id"],
            call.key,
            call.body.quantity,
            call.body.grade,
        )
        return Reply(_present(entry))


class _WaitingEntry(_ListResource):
    @operation(
        "Leave a waiting list",
        204,
        role="any",
        path={"entry_id": ENTRY_ID},
        problems=(OfferMade, OutcomeUnknown),
    )
    async def on_delete(self, call: Call[Any, Any]) -> Reply:
        """Repeating is no error. An entry with an offer ends with its hold: release that."""
        await self._service.leave(call.caller.user_id, call.ids["entry_id"])
        return Reply()


class _OwnEntries(_ListResource):
    @operation(
        "List my entries of waiting lists",
        role="any",
        query=WaitingEntriesQuery,
        returns=Page[WaitingEntryOut],
        problems=(CursorInvalid,),
    )
    async def on_get(self, call: Call[Any, WaitingEntriesQuery]) -> Reply:
        """Newest first."""
        query = call.query
        found = await self._service.of_person(
            call.caller.user_id,
            decode_cursor(query.cursor, UUID),
            query.limit + 1,
            query.schedule_id,
        )
        return Reply(page(found, query.limit, _present, lambda one: one.entry_id))


class _OwnList(_ListResource):
    @operation(
        "Get the waiting list of my schedule",
        permission=Permission.EVENTS_READ,
        path=SCHEDULE,
        returns=ListSummaryOut,
    )
    async def on_get(self, call: Call[Any, Any]) -> Reply:
        """With the numbers of its entries."""
        schedule_id: UUID = call.ids["schedule_id"]
        found = await self._service.summary(call.caller.organization_ids, schedule_id)
        return Reply(_present_summary(schedule_id, found))

    @operation(
        "Switch the waiting list of a schedule",
        permission=Permission.SALES_WRITE,
        path=SCHEDULE,
        body=SwitchBody,
        returns=ListSummaryOut,
        problems=(OutcomeUnknown,),
    )
    async def on_put(self, call: Call[SwitchBody, Any]) -> Reply:
        """Off by default. Seats of holds that begin after the switch return through the line.

        Off ends the entries that wait; offers stay.
        """
        schedule_id: UUID = call.ids["schedule_id"]
        found = await self._service.switch(
            call.caller, schedule_id, is_on=call.body.is_on, request_id=call.request_id
        )
        return Reply(_present_summary(schedule_id, found))


def _present(one: WaitingListEntry) -> WaitingEntryOut:
    reservation_id = one.reservation_id and str(ScopedId(one.schedule_id, one.reservation_id))
    return WaitingEntryOut(
        entry_id=str(ScopedId(one.schedule_id, one.entry_id)),
        schedule_id=one.schedule_id,
        status=msgspec.convert(one.status, EntryStatus),
        quantity=one.seats,
        grade=one.grade,
        joined_at=one.joined_at,
        position=None if one.ahead is None else one.ahead + 1,
        reservation_id=reservation_id or None,
        offer_expires_at=one.offer_expires_at,
    )


def _present_summary(schedule_id: UUID, one: ListSummary) -> ListSummaryOut:
    return ListSummaryOut(schedule_id=schedule_id, **one._asdict())


def routes(service: WaitingLists, dependencies: RouteDependencies) -> list[tuple[str, object]]:
    """Return the resources of this module by URI template."""
    return [
        ("/v1/schedules/{schedule_id}/waiting-list", _ShownList(service, dependencies)),
        (
            "/v1/schedules/{schedule_id}/waiting-list/entries",
            _WaitingEntries(service, dependencies),
        ),
        ("/v1/waiting-list-entries/{entry_id}", _WaitingEntry(service, dependencies)),
        ("/v1/me/waiting-list-entries", _OwnEntries(service, dependencies)),
        ("/v1/admin/schedules/{schedule_id}/waiting-list", _OwnList(service, dependencies)),
    ]
