"""The search over HTTP."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from boxoffice.backoffice.search.service import OrderSearch
from boxoffice.backoffice.search.store import FoundOrder
from boxoffice.errors import OrganizationNotFound
from boxoffice.http.api.operation import Call, Reply, RouteDependencies, operation
from boxoffice.order_numbers import rules as order_number
from boxoffice.permissions import Permission
from boxoffice.platform.ids import ScopedId
from boxoffice.reservations.rules import Status, status_at

# Without NUL, which PostgreSQL cannot compare with.
_TEXT = r"^[^\x00-\x1f\x7f]*$"


class OrderQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A name, an e-mail address, a seat (`A-1-12`, or `A-12` for row and number), an order number."""

    q: Annotated[str, Meta(max_length=100, pattern=_TEXT)] = ""
    organization_id: UUID | None = None
    limit: Annotated[int, Meta(ge=1, le=50, description="How many orders at the most.")] = 20


class FoundOrderOut(msgspec.Struct, frozen=True, kw_only=True):
    """An order with its buyer or guest, whose `email` may be empty, and its performance."""

    reservation_id: str
    order_number: str | None
    schedule_id: UUID
    concert_title: str
    starts_at: datetime
    time_zone: str
    name: str
    email: str
    status: Status
    seat_ids: list[str]
    amount: int
    currency: str
    created_at: datetime


class SearchOut(msgspec.Struct, frozen=True, kw_only=True):
    """Orders; `has_more`: others may match. `is_similar`: nothing matched, and these are similar."""

    items: list[FoundOrderOut]
    has_more: bool
    is_similar: bool


class AdminSearch:
    """`/v1/admin/orders`."""

    def __init__(self, service: OrderSearch, dependencies: RouteDependencies) -> None:
        self.dependencies = dependencies
        self._service = service

    @operation(
        "Search orders",
        permission=Permission.ORDERS_READ,
        query=OrderQuery,
        returns=SearchOut,
        problems=[OrganizationNotFound],
    )
    async def on_get(self, call: Call[None, OrderQuery]) -> Reply:
        """Of all concerts; beginnings of words are enough, and typing errors are tolerated."""
        query = call.query
        found = await self._service.find(
            call.caller,
            query.q,
            query.limit,
            organization_id=query.organization_id,
            request_id=call.request_id,
        )
        items = [_present(one) for one in found.orders]
        return Reply(SearchOut(items=items, has_more=found.has_more, is_similar=found.is_similar))


def _present(one: FoundOrder) -> FoundOrderOut:
    return FoundOrderOut(
        reservation_id=str(ScopedId(one.schedule_id, one.reservation_id)),
        order_number=order_number.shown(one.order_number),
        schedule_id=one.schedule_id,
        concert_title=one.title,
        starts_at=one.starts_at,
        time_zone=one.time_zone,
        name=one.name,
        email=one.email,
        status=status_at(one.status, one.expires_at, one.now),
        seat_ids=list(one.seat_ids),
        amount=one.amount_minor,
        currency=one.currency,
        created_at=one.created_at,
    )


def routes(service: OrderSearch, dependencies: RouteDependencies) -> list[tuple[str, object]]:
    """Return the resources of this module by URI template."""
    return [("/v1/admin/orders", AdminSearch(service, dependencies))]
