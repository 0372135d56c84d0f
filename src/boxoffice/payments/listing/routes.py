"""Lists of payments over HTTP: parse, call, present."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from boxoffice.errors import CursorInvalid, Invalid, PaymentNotFound
from boxoffice.http.api.operation import Call, PathId, Reply, RouteDependencies, operation
from boxoffice.http.api.paging import Page, PageQuery, decode_cursor, page
from boxoffice.payments.listing.service import PaymentLists, PaymentWithRefunds
from boxoffice.payments.listing.store import PaymentFilter
from boxoffice.payments.refunds.views import RefundOut, present_refund
from boxoffice.payments.routes import PaymentOut, present_payment
from boxoffice.permissions import Permission
from boxoffice.platform.ids import ScopedId, parse_scoped
from boxoffice.seats.read_model import SeatReadModel

_PAYMENT = {"payment_id": PathId(parse_scoped, PaymentNotFound, "The `payment_id` of a payment.")}

Reference = Annotated[str, Meta(max_length=64)]


class PaymentQuery(PageQuery, frozen=True, kw_only=True):
    """A page of payments, of all that match what is given.

    `method` is the wallet or a provider; `order_number` is the buyer's, `order_id` is what the provider
    calls the order.
    """

    schedule_id: UUID | None = None
    method: Annotated[str, Meta(max_length=40, pattern="^[a-z_]+$")] | None = None
    status: Literal["SUCCEEDED", "PARTLY_REFUNDED", "REFUNDED"] | None = None
    reservation_id: Reference | None = None
    order_number: Reference | None = None
    order_id: Reference | None = None


class MyPaymentOut(PaymentOut, kw_only=True):
    """A payment with its performance, which is shown in `time_zone`, and its refunds, oldest first."""

    concert_title: str
    starts_at: datetime
    time_zone: str
    refunds: list[RefundOut]


class BuyerOut(msgspec.Struct, frozen=True, kw_only=True):
    """Who paid."""

    email: str
    name: str


class SoldPaymentOut(MyPaymentOut, kw_only=True):
    """A payment as its seller sees it; `order_id` is null for the wallet."""

    buyer: BuyerOut
    order_id: str | None


class _PaymentListResource:
    def __init__(
        self,
        lists: PaymentLists,
        seats: SeatReadModel,
        dependencies: RouteDependencies,
    ) -> None:
        self._lists = lists
        self._seats = seats
        self.dependencies = dependencies

    async def _mine(self, one: PaymentWithRefunds) -> dict[str, Any]:
        listed = one.listed
        layout = await self._seats.layout(listed.schedule_id)
        shown = present_payment(listed.schedule_id, listed.payment, layout)
        return msgspec.structs.asdict(shown) | {
            "concert_title": listed.title,
            "starts_at": listed.starts_at,
            "time_zone": listed.time_zone,
            "refunds": [present_refund(refund) for refund in one.refunds],
        }

    async def _sold(self, one: PaymentWithRefunds) -> SoldPaymentOut:
        listed = one.listed
        order = None
        if listed.intent_id is not None:
            order = str(ScopedId(listed.user_id, listed.intent_id))
        buyer = BuyerOut(email=listed.email, name=listed.name)
        return SoldPaymentOut(**await self._mine(one), buyer=buyer, order_id=order)


class _MyPayments(_PaymentListResource):
    @operation(
        "List my payments",
        role="any",
        query=PageQuery,
        returns=Page[MyPaymentOut],
        problems=(CursorInvalid,),
    )
    async def on_get(self, call: Call[Any, PageQuery]) -> Reply:
        """Newest first, each with its tickets and refunds."""
        before, limit = decode_cursor(call.query.cursor, UUID), call.query.limit
        found = await self._lists.of_user(call.caller.user_id, before, limit + 1)
        shown = {_place(one): MyPaymentOut(**await self._mine(one)) for one in found}
        return Reply(page(found, limit, lambda one: shown[_place(one)], _place))


class _SoldPayments(_PaymentListResource):
    @operation(
        "List payments of my concerts",
        permission=Permission.ORDERS_READ,
        query=PaymentQuery,
        returns=Page[SoldPaymentOut],
        problems=(CursorInvalid, Invalid),
    )
    async def on_get(self, call: Call[Any, PaymentQuery]) -> Reply:
        """Newest first; an operator sees those of all organizations."""
        query = call.query
        wanted = PaymentFilter(
            call.caller.organization_ids,
            query.schedule_id,
            method=query.method,
            status=query.status,
        )
        found = await self._lists.of_seller(
            call.caller,
            wanted,
            decode_cursor(query.cursor, UUID),
            query.limit,
            reservation=_scoped("reservation_id", query.reservation_id),
            order=_scoped("order_id", query.order_id),
            number=query.order_number,
            request_id=call.request_id,
        )
        shown = {_place(one): await self._sold(one) for one in found}
        return Reply(page(found, query.limit, lambda one: shown[_place(one)], _place))


class _SoldPayment(_PaymentListResource):
    @operation(
        "Get a payment of my concert",
        permission=Permission.ORDERS_READ,
        path=_PAYMENT,
        returns=SoldPaymentOut,
    )
    async def on_get(self, call: Call[Any, Any]) -> Reply:
        """With its buyer, tickets and refunds."""
        found = await self._lists.get(
            call.caller, call.ids["payment_id"], request_id=call.request_id
        )
        return Reply(await self._sold(found))


def _scoped(name: str, text: str | None) -> ScopedId | None:
    if text is None:
        return None
    found = parse_scoped(text)
    if found is None:
        raise Invalid(f"{name} is not an id of this shop.")
    return found


def _place(one: PaymentWithRefunds) -> UUID:
    return one.listed.payment.payment_id


def routes(
    lists: PaymentLists, seats: SeatReadModel, dependencies: RouteDependencies
) -> list[tuple[str, object]]:
    """Return the resources of this module by URI template."""
    parts = (lists, seats, dependencies)
    return [
        ("/v1/me/payments", _MyPayments(*parts)),
        ("/v1/admin/payments", _SoldPayments(*parts)),
        ("/v1/admin/payments/{payment_id}", _SoldPayment(*parts)),
    ]
