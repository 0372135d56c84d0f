"""The backoffice over HTTP."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from boxoffice.accounts.rules import EMAIL_CHARS_MAX
from boxoffice.backoffice.rules import HistoryEvent, ReservationRow
from boxoffice.backoffice.service import Backoffice, ReservationFilter
from boxoffice.catalog.paths import SCHEDULE_ID
from boxoffice.errors import CursorInvalid
from boxoffice.http.api.operation import Call, Reply, RouteDependencies, operation
from boxoffice.http.api.paging import Page, PageQuery, decode_cursor, page
from boxoffice.order_numbers import rules as order_number
from boxoffice.permissions import Permission
from boxoffice.platform.ids import ScopedId
from boxoffice.platform.text import spellings
from boxoffice.reservations.routes import RESERVATION_ID
from boxoffice.reservations.rules import Status, status_at

# Without NUL, which PostgreSQL cannot compare with.
_TEXT = r"^[^\x00-\x1f\x7f]*$"


class SearchQuery(PageQuery, frozen=True, kw_only=True):
    """Search criteria; an empty one is ignored."""

    reservation_id: Annotated[str, Meta(max_length=128, pattern=_TEXT)] = ""
    order_number: Annotated[str, Meta(max_length=40, pattern=_TEXT)] = ""
    email: Annotated[str, Meta(max_length=EMAIL_CHARS_MAX, pattern=_TEXT)] = ""
    seat_id: Annotated[str, Meta(max_length=128, pattern=_TEXT)] = ""


class FoundReservation(msgspec.Struct, frozen=True, kw_only=True):
    """A reservation for its organizer; `closed_at` is when it was paid, cancelled or swept."""

    reservation_id: str
    order_number: str | None
    schedule_id: UUID
    user_id: UUID
    email: str
    name: str
    status: Status
    seat_ids: list[str]
    amount: int
    currency: str
    created_at: datetime
    expires_at: datetime
    closed_at: datetime | None


class ReservationHistory(FoundReservation, frozen=True, kw_only=True):
    """A reservation and its events, earliest first."""

    events: list[HistoryEvent]


class AdminReservations:
    """`/v1/admin/schedules/{schedule_id}/reservations`."""

    def __init__(self, service: Backoffice, dependencies: RouteDependencies) -> None:
        self.dependencies = dependencies
        self._service = service

    @operation(
        "Find reservations",
        path={"schedule_id": SCHEDULE_ID},
        permission=Permission.ORDERS_READ,
        query=SearchQuery,
        returns=Page[FoundReservation],
        problems=[CursorInvalid],
    )
    async def on_get(self, call: Call[None, SearchQuery]) -> Reply:
        """By id, order number, e-mail address or seat, or all; newest first."""
        query = call.query
        filters = ReservationFilter(
            reservation_id=query.reservation_id.strip(),
            order_number=query.order_number.strip(),
            email=query.email,
            seat_ids=spellings(query.seat_id.strip()) if query.seat_id.strip() else (),
        )
        found = await self._service.find(
            call.caller,
            call.ids["schedule_id"],
            filters,
            decode_cursor(query.cursor, UUID),
            query.limit,
            request_id=call.request_id,
        )
        return Reply(page(found, query.limit, _present, lambda one: one.reservation_id))


class AdminReservation:
    """`/v1/admin/reservations/{reservation_id}`."""

    def __init__(self, service: Backoffice, dependencies: RouteDependencies) -> None:
        self.dependencies = dependencies
        self._service = service

    @operation(
        "Get the history of a reservation",
        path={"reservation_id": RESERVATION_ID},
        permission=Permission.ORDERS_READ,
        returns=ReservationHistory,
    )
    async def on_get(self, call: Call[None, None]) -> Reply:
        """Every change of the reservation, its payments and tickets, with the database's times."""
        found, events = await self._service.history(
            call.caller, call.ids["reservation_id"], request_id=call.request_id
        )
        shown = msgspec.structs.asdict(_present(found))
        return Reply(ReservationHistory(**shown, events=events))


def _present(found: ReservationRow) -> FoundReservation:
    return FoundReservation(
        reservation_id=str(ScopedId(found.schedule_id, found.reservation_id)),
        order_number=order_number.shown(found.order_number),
        schedule_id=found.schedule_id,
        user_id=found.user_id,
        email=found.email,
        name=found.name,
        status=status_at(found.status, found.expires_at, found.now),
        seat_ids=list(found.seat_ids),
        amount=found.amount_minor,
        currency=found.currency,
        created_at=found.created_at,
        expires_at=found.expires_at,
        closed_at=found.closed_at,
    )


def routes(service: Backoffice, dependencies: RouteDependencies) -> list[tuple[str, object]]:
    """Return the resources of this module by URI template."""
    return [
        (
            "/v1/admin/schedules/{schedule_id}/reservations",
            AdminReservations(service, dependencies),
        ),
        ("/v1/admin/reservations/{reservation_id}", AdminReservation(service, dependencies)),
    ]
