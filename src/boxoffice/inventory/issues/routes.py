"""Complimentary tickets and sales at the box office over HTTP: parse, call, present."""

import asyncio
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from boxoffice.accounts.rules import EMAIL_PATTERN, normal_email
from boxoffice.catalog import rules as catalog_rules
from boxoffice.catalog.paths import SCHEDULE
from boxoffice.errors import (
    ConcertTakenDown,
    CursorInvalid,
    IdempotencyKeyReused,
    NotOnSale,
    OutcomeUnknown,
    SeatNotFound,
    SeatTaken,
)
from boxoffice.http.api.operation import Call, PathId, Reply, RouteDependencies, operation
from boxoffice.http.api.paging import Page, PageQuery, decode_cursor, page
from boxoffice.inventory.errors import IssueNotFound, PriceChanged
from boxoffice.inventory.issues.service import Issues
from boxoffice.inventory.issues.store import Issue, IssueCommand
from boxoffice.order_numbers import rules as order_number
from boxoffice.permissions import Permission
from boxoffice.platform.ids import ScopedId, parse_scoped
from boxoffice.platform.values import Label, Line, ShortLine
from boxoffice.tickets import qr
from boxoffice.tickets.views import QrCodeOut

ISSUE = {"issue_id": PathId(parse_scoped, IssueNotFound, "The `issue_id` of an issue.")}

Kind = Literal["COMPLIMENTARY", "BOX_OFFICE"]
GuestReason = Literal["press", "artist", "sponsor", "staff", "prize", "other"]
SaleMethod = Literal["cash", "card_terminal"]
IssuedSeatIds = Annotated[list[Label], Meta(min_length=1, max_length=100)]
Email = Annotated[str, Meta(max_length=254, pattern=EMAIL_PATTERN)]


# Of all seats of a sale.
_AMOUNT_MAX_MINOR = 100 * catalog_rules.PRICE_MAX_MINOR


class GuestTicketsBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A guest and their seats; with an `email` the tickets are mailed, in `language`."""

    seat_ids: IssuedSeatIds
    name: Line
    reason: GuestReason
    email: Email | None = None
    language: Literal["ko", "en"] = "ko"
    note: Line | None = None
    list_name: ShortLine | None = None


class BoxOfficeSaleBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Seats that are paid now: the price that was shown, and the terminal's receipt number."""

    seat_ids: IssuedSeatIds
    method: SaleMethod
    expected_amount: Annotated[int, Meta(ge=0, le=_AMOUNT_MAX_MINOR)]
    reference: ShortLine | None = None
    name: Line | None = None


class IssueQuery(PageQuery, frozen=True, kw_only=True):
    """Issues of one kind, or of both."""

    kind: Kind | None = None


class IssuedTicketOut(msgspec.Struct):
    """A ticket of an issue."""

    ticket_id: UUID
    seat_id: str
    section: str
    row: str
    number: int
    grade: str


class IssueOut(msgspec.Struct, kw_only=True):
    """Tickets that were issued without a hold; `method` is null for complimentary ones."""

    issue_id: str
    order_number: str | None
    schedule_id: UUID
    kind: Kind
    status: Literal["VALID", "VOID"]
    name: str
    email: str | None
    reason: str
    note: str
    list_name: str
    amount: int
    currency: str
    method: str | None
    reference: str | None
    issued_at: datetime
    issued_by: UUID
    voided_at: datetime | None
    tickets: list[IssuedTicketOut]


class IssueToPrintOut(IssueOut, kw_only=True):
    """An issue with what a printed ticket shows; void tickets have no codes."""

    title: str
    starts_at: datetime
    codes: list[QrCodeOut]


class _IssueResource:
    def __init__(self, issues: Issues, dependencies: RouteDependencies) -> None:
        self._issues = issues
        self.dependencies = dependencies

    async def _issue(self, call: Call[Any, Any], command: IssueCommand) -> Reply:
        made = await self._issues.issue(
            call.caller,
            call.ids["schedule_id"],
            command,
            call.key,
            request_id=call.request_id,
        )
        shown = await _to_print(made)
        return Reply(shown, location=f"/v1/admin/issues/{shown.issue_id}")


_ISSUE_PROBLEMS = (
    SeatNotFound,
    SeatTaken,
    NotOnSale,
    ConcertTakenDown,
    IdempotencyKeyReused,
    OutcomeUnknown,
)


class _GuestTickets(_IssueResource):
    @operation(
        "Issue complimentary tickets",
        201,
        permission=Permission.ORDERS_WRITE,
        keyed=True,
        path=SCHEDULE,
        body=GuestTicketsBody,
        returns=IssueToPrintOut,
        problems=_ISSUE_PROBLEMS,
    )
    async def on_post(self, call: Call[GuestTicketsBody, Any]) -> Reply:
        """For seats that are free, or blocked as house seats. The ticket limit does not count."""
        given = call.body
        email = normal_email(given.email) if given.email is not None else None
        command = IssueCommand(
            given.seat_ids,
            given.name,
            email=email,
            language=given.language if email else None,
            reason=given.reason,
            note=given.note or "",
            list_name=given.list_name or "",
        )
        return await self._issue(call, command)


class _BoxOfficeSales(_IssueResource):
    @operation(
        "Sell tickets at the box office",
        201,
        permission=Permission.ORDERS_WRITE,
        keyed=True,
        path=SCHEDULE,
        body=BoxOfficeSaleBody,
        returns=IssueToPrintOut,
        problems=(PriceChanged, *_ISSUE_PROBLEMS),
    )
    async def on_post(self, call: Call[BoxOfficeSaleBody, Any]) -> Reply:
        """Paid at once, in cash or at a card terminal; also while the sale is closed."""
        given = call.body
        command = IssueCommand(
            given.seat_ids,
            given.name or "",
            method=given.method,
            expected_minor=given.expected_amount,
            reference=given.reference or given.method,
        )
        return await self._issue(call, command)


class _ScheduleIssues(_IssueResource):
    @operation(
        "List the issued tickets of a schedule",
        permission=Permission.ORDERS_READ,
        path=SCHEDULE,
        query=IssueQuery,
        returns=Page[IssueOut],
        problems=(CursorInvalid,),
    )
    async def on_get(self, call: Call[Any, IssueQuery]) -> Reply:
        """Guests and sales at the box office, newest first; empty for another organization's."""
        before, limit = decode_cursor(call.query.cursor, UUID), call.query.limit
        found = await self._issues.of_schedule(
            call.caller,
            call.ids["schedule_id"],
            before,
            call.query.kind,
            limit,
            request_id=call.request_id,
        )
        return Reply(page(found, limit, present_issue, lambda one: one.reservation_id))


class _IssueItem(_IssueResource):
    @operation(
        "Get issued tickets", permission=Permission.ORDERS_READ, path=ISSUE, returns=IssueToPrintOut
    )
    async def on_get(self, call: Call[Any, Any]) -> Reply:
        """With their QR codes, to be printed."""
        found = await self._issues.get(
            call.caller, call.ids["issue_id"], request_id=call.request_id
        )
        return Reply(await _to_print(found))


class _IssueVoidance(_IssueResource):
    @operation(
        "Make issued tickets void",
        permission=Permission.ORDERS_WRITE,
        path=ISSUE,
        returns=IssueOut,
        problems=(OutcomeUnknown,),
    )
    async def on_post(self, call: Call[Any, Any]) -> Reply:
        """The seats are on sale again, and a sale's money goes back in its method; can be repeated."""
        found = await self._issues.void(
            call.caller, call.ids["issue_id"], request_id=call.request_id
        )
        return Reply(present_issue(found))


def present_issue(one: Issue) -> IssueOut:
    """Return an issue without its codes."""
    return IssueOut(**_fields(one))


async def _to_print(one: Issue) -> IssueToPrintOut:
    live = one.ticket_ids if one.voided_at is None else ()
    texts = [str(ScopedId(one.schedule_id, ticket_id)) for ticket_id in live]
    # A code takes about a millisecond, which would block the event loop.
    codes = await asyncio.to_thread(lambda: [qr.rows(text) for text in texts])
    items = zip(live, texts, codes, strict=True)
    return IssueToPrintOut(
        **_fields(one),
        title=one.title,
        starts_at=one.starts_at,
        codes=[QrCodeOut(*item) for item in items],
    )


def _fields(one: Issue) -> dict[str, Any]:
    columns = zip(one.ticket_ids, one.seat_ids, one.seats, strict=True)
    copied = ("kind", "name", "email", "reason", "note", "list_name", "currency", "method")
    more = ("schedule_id", "reference", "issued_at", "issued_by", "voided_at")
    return {name: getattr(one, name) for name in (*copied, *more)} | {
        "issue_id": str(ScopedId(one.schedule_id, one.reservation_id)),
        "order_number": order_number.shown(one.order_number),
        "status": "VALID" if one.voided_at is None else "VOID",
        "amount": one.amount_minor,
        "tickets": [
            IssuedTicketOut(ticket_id, seat_id, seat.section, seat.row, seat.number, seat.grade)
            for ticket_id, seat_id, seat in columns
        ],
    }


def routes(issues: Issues, dependencies: RouteDependencies) -> list[tuple[str, object]]:
    """Return the resources of this module by URI template."""
    schedule = "/v1/admin/schedules/{schedule_id}"
    return [
        (f"{schedule}/complimentary-tickets", _GuestTickets(issues, dependencies)),
        (f"{schedule}/box-office-sales", _BoxOfficeSales(issues, dependencies)),
        (f"{schedule}/issues", _ScheduleIssues(issues, dependencies)),
        ("/v1/admin/issues/{issue_id}", _IssueItem(issues, dependencies)),
        ("/v1/admin/issues/{issue_id}/void", _IssueVoidance(issues, dependencies)),
    ]
