"""Refunds over HTTP, for buyers: parse, call, present."""

from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from boxoffice.errors import (
    AlreadyRefunded,
    CursorInvalid,
    IdempotencyKeyReused,
    Invalid,
    NotRefundable,
    PaymentNotFound,
    RefundNotFound,
    RefundQuoteChanged,
    ScheduleNotFound,
    TicketNotFound,
)
from boxoffice.http.api.operation import Call, PathId, Reply, RouteDependencies, operation
from boxoffice.http.api.paging import Page, PageQuery, decode_cursor, page
from boxoffice.payments.refunds.administration import RefundAdministration
from boxoffice.payments.refunds.jobs import RefundJobs
from boxoffice.payments.refunds.service import RefundRequest, Refunds
from boxoffice.payments.refunds.views import (
    PolicyOut,
    QuoteOut,
    RefundBody,
    RefundOut,
    present_policy,
    present_quote,
    present_refund,
)
from boxoffice.platform.ids import ScopedId, parse_scoped, parse_uuid

PAYMENT = {"payment_id": PathId(parse_scoped, PaymentNotFound, "The `payment_id` of a payment.")}
REFUND = {"refund_id": PathId(parse_uuid, RefundNotFound, "The `refund_id` of a refund.")}
SCHEDULE = {"schedule_id": PathId(parse_uuid, ScheduleNotFound, "The id of a schedule.")}
# Of one request: its line must fit into the head, however it is encoded.
_TICKETS_MAX = 50


class QuoteQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The tickets to return; none: all that are left."""

    ticket_ids: Annotated[
        str, Meta(max_length=37 * _TICKETS_MAX, description="Ids of tickets, with commas.")
    ] = ""


@dataclass(frozen=True)
class RefundServices:
    """The use cases of refunds; `currency` is the shop's."""

    refunds: Refunds
    administration: RefundAdministration
    jobs: RefundJobs
    currency: str


class RefundResource:
    """A resource of this module."""

    def __init__(self, services: RefundServices, dependencies: RouteDependencies) -> None:
        self._services = services
        self.dependencies = dependencies


class _SchedulePolicy(RefundResource):
    @operation("Get the refund policy of a schedule", returns=PolicyOut, path=SCHEDULE)
    async def on_get(self, call: Call[Any, Any]) -> Reply:
        """It is copied into each payment at the sale."""
        found = await self._services.refunds.policy(call.ids["schedule_id"])
        return Reply(present_policy(found.policy, found.time_zone))


class _Quote(RefundResource):
    @operation(
        "Get a refund quote",
        role="any",
        path=PAYMENT,
        query=QuoteQuery,
        returns=QuoteOut,
        problems=(TicketNotFound, AlreadyRefunded, Invalid),
    )
    async def on_get(self, call: Call[Any, QuoteQuery]) -> Reply:
        """What the return of tickets would bring now, and until when that holds."""
        payment: ScopedId = call.ids["payment_id"]
        quoted = await self._services.refunds.quote(
            call.caller.user_id, payment, ticket_ids(call.query.ticket_ids)
        )
        return Reply(present_quote(payment, quoted))


class _PaymentRefunds(RefundResource):
    @operation(
        "Refund tickets of a payment",
        201,
        role="any",
        keyed=True,
        path=PAYMENT,
        body=RefundBody,
        returns=RefundOut,
        problems=(
            TicketNotFound,
            AlreadyRefunded,
            NotRefundable,
            RefundQuoteChanged,
            IdempotencyKeyReused,
        ),
    )
    async def on_post(self, call: Call[RefundBody, Any]) -> Reply:
        """After the response the tickets are void and the seats on sale."""
        given = call.body
        request = RefundRequest(
            call.ids["payment_id"], given.ticket_ids, given.expected_refund, given.to, call.key
        )
        refund = await self._services.refunds.refund(call.caller.user_id, request)
        headers = {"Location": f"/v1/refunds/{refund.refund_id}"}
        return Reply(present_refund(refund), headers=headers)


class _Refund(RefundResource):
    @operation("Get a refund", role="any", path=REFUND, returns=RefundOut)
    async def on_get(self, call: Call[Any, Any]) -> Reply:
        """A refund of another person is answered as not found."""
        refund_id: UUID = call.ids["refund_id"]
        found = await self._services.refunds.get(call.caller.user_id, refund_id)
        return Reply(present_refund(found))


class _MyRefunds(RefundResource):
    @operation(
        "List my refunds",
        role="any",
        query=PageQuery,
        returns=Page[RefundOut],
        problems=(CursorInvalid,),
    )
    async def on_get(self, call: Call[Any, PageQuery]) -> Reply:
        """Newest first; also of money that arrived too late for its seats."""
        before, limit = decode_cursor(call.query.cursor, UUID), call.query.limit
        user_id = call.caller.user_id
        found = await self._services.refunds.list_of_user(user_id, before, limit + 1)
        return Reply(page(found, limit, present_refund, lambda one: one.refund_id))


def ticket_ids(text: str) -> list[UUID]:
    """Return the ids of tickets in a query, none for all; raise `Invalid`."""
    found = [parse_uuid(one) for one in text.split(",")] if text else []
    if None in found or len(found) > _TICKETS_MAX:
        raise Invalid("ticket_ids is a list of ids of tickets, separated by commas.")
    return [one for one in found if one is not None]


def routes(services: RefundServices, dependencies: RouteDependencies) -> list[tuple[str, object]]:
    """Return the resources of buyers by URI template."""
    return [
        ("/v1/schedules/{schedule_id}/refund-policy", _SchedulePolicy(services, dependencies)),
        ("/v1/payments/{payment_id}/refund-quote", _Quote(services, dependencies)),
        ("/v1/payments/{payment_id}/refunds", _PaymentRefunds(services, dependencies)),
        ("/v1/refunds/{refund_id}", _Refund(services, dependencies)),
        ("/v1/me/refunds", _MyRefunds(services, dependencies)),
    ]
