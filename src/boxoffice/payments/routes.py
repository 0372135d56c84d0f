"""Payments over HTTP: parse, call, present."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from boxoffice.catalog.paths import SCHEDULE_HEADER
from boxoffice.errors import (
    AlreadyPaid,
    AmountInvalid,
    CursorInvalid,
    HoldExpired,
    InsufficientBalance,
    NotHeld,
    PaymentInProgress,
    PaymentMethodUnknown,
    PaymentNotFound,
    ReservationNotFound,
    TopUpUnavailable,
    WalletLimit,
)
from boxoffice.http.api.operation import Call, PathId, Reply, RouteDependencies, operation
from boxoffice.http.api.paging import Page, PageQuery, decode_cursor, page
from boxoffice.order_numbers import rules as order_number
from boxoffice.payments import ledger
from boxoffice.payments.service import Payments
from boxoffice.payments.store import Entry, Payment, TopUp
from boxoffice.platform.ids import ScopedId, parse_scoped
from boxoffice.platform.values import Label
from boxoffice.seats.layout import Layout
from boxoffice.seats.read_model import SeatReadModel
from boxoffice.tickets.views import TicketOut, present_tickets

PAYMENT_ID = PathId(parse_scoped, PaymentNotFound, "The `payment_id` of a payment.")


class PayRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A hold and a payment method: `wallet`; others begin with a payment intent."""

    reservation_id: Label
    method: Annotated[str, Meta(min_length=1, max_length=40, pattern="^[a-z_]+$")]


class TopUpRequest(msgspec.Struct, forbid_unknown_fields=True):
    """An amount in minor units of the wallet's currency."""

    amount: Annotated[int, Meta(ge=1, le=ledger.AMOUNT_MAX)]


class PaymentOut(msgspec.Struct, kw_only=True):
    """A payment and the tickets that it issued; a refunded ticket is VOID.

    `order_number` is what people read instead of an id.
    """

    payment_id: str
    reservation_id: str
    order_number: str | None
    schedule_id: UUID
    status: Literal["SUCCEEDED", "PARTLY_REFUNDED", "REFUNDED"]
    method: str
    amount: int
    currency: str
    created_at: datetime
    tickets: list[TicketOut]


class WalletOut(msgspec.Struct):
    """A person's prepaid balance."""

    balance: int
    currency: str
    can_top_up: bool
    """Whether the wallet can be topped up."""


class TopUpOut(msgspec.Struct, kw_only=True):
    """A top-up and the balance right after it."""

    top_up_id: UUID
    amount: int
    balance: int
    currency: str
    created_at: datetime


EntryKind = Literal["top_up", "payment", "refund", "compensation"]
_ENTRY_KINDS: dict[str, EntryKind] = {
    "charge": "top_up",
    "top_up": "top_up",
    "payment": "payment",
    "refund_paid": "refund",
    "compensation": "compensation",
}


class EntryOut(msgspec.Struct, kw_only=True):
    """A wallet entry: a positive amount came in, a negative one went out."""

    entry_id: str
    kind: EntryKind
    amount: int
    currency: str
    payment_id: str | None
    created_at: datetime


class _Resource:
    def __init__(
        self, service: Payments, seats: SeatReadModel, dependencies: RouteDependencies
    ) -> None:
        self._service = service
        self._seats = seats
        self.dependencies = dependencies


class _PaymentCollection(_Resource):
    @operation(
        "Pay a hold",
        201,
        role="any",
        keyed=True,
        body=PayRequest,
        returns=PaymentOut,
        headers=SCHEDULE_HEADER,
        problems=(
            ReservationNotFound,
            AlreadyPaid,
            HoldExpired,
            NotHeld,
            InsufficientBalance,
            PaymentMethodUnknown,
            PaymentInProgress,
        ),
    )
    async def on_post(self, call: Call[PayRequest, Any]) -> Reply:
        """After the response the seats are sold and the tickets issued."""
        reservation = parse_scoped(call.body.reservation_id)
        if reservation is None:
            raise ReservationNotFound
        user_id, method = call.caller.user_id, call.body.method
        paid = await self._service.pay(user_id, reservation, call.key, method)
        layout = await self._seats.layout_with(reservation.schedule_id, paid.seat_ids)
        shown = present_payment(reservation.schedule_id, paid, layout)
        return Reply(shown, location=f"/v1/payments/{shown.payment_id}")


class _Payment(_Resource):
    @operation("Get a payment", role="any", returns=PaymentOut, path={"payment_id": PAYMENT_ID})
    async def on_get(self, call: Call[Any, Any]) -> Reply:
        """A payment of another person is answered as not found."""
        payment: ScopedId = call.ids["payment_id"]
        found = await self._service.get(call.caller.user_id, payment)
        layout = await self._seats.layout_with(payment.schedule_id, found.seat_ids)
        return Reply(present_payment(payment.schedule_id, found, layout))


class _Wallet(_Resource):
    @operation("Get my wallet", role="any", returns=WalletOut)
    async def on_get(self, call: Call[Any, Any]) -> Reply:
        """The current balance."""
        wallet = await self._service.wallet(call.caller.user_id)
        return Reply(WalletOut(wallet.balance_minor, wallet.currency, self._service.can_top_up))


class _TopUps(_Resource):
    @operation(
        "Top up my wallet",
        201,
        role="any",
        keyed=True,
        body=TopUpRequest,
        returns=TopUpOut,
        invalid={"amount": AmountInvalid},
        problems=(WalletLimit, TopUpUnavailable),
    )
    async def on_post(self, call: Call[TopUpRequest, Any]) -> Reply:
        """A repetition under the same key has no further effect."""
        amount = call.body.amount
        return Reply(
            present_top_up(await self._service.top_up(call.caller.user_id, call.key, amount))
        )


class _Entries(_Resource):
    @operation(
        "List my wallet entries",
        role="any",
        query=PageQuery,
        returns=Page[EntryOut],
        problems=(CursorInvalid,),
    )
    async def on_get(self, call: Call[Any, PageQuery]) -> Reply:
        """Newest first."""
        before = decode_cursor(call.query.cursor, UUID)
        limit = call.query.limit
        found = await self._service.entries(call.caller.user_id, before, limit + 1)
        return Reply(page(found, limit, present_entry, lambda one: one.transfer_id))


def present_payment(schedule_id: UUID, one: Payment, layout: Layout) -> PaymentOut:
    """Build the answer that shows a payment; all calls use it."""
    return PaymentOut(
        payment_id=str(ScopedId(schedule_id, one.payment_id)),
        reservation_id=str(ScopedId(schedule_id, one.reservation_id)),
        order_number=order_number.shown(one.order_number),
        schedule_id=schedule_id,
        status=_status(one),
        method=one.method,
        amount=one.amount_minor,
        currency=one.currency,
        created_at=one.created_at,
        tickets=present_tickets(one.ticket_ids, one.seat_ids, layout, one.void_ticket_ids),
    )


def _status(one: Payment) -> Literal["SUCCEEDED", "PARTLY_REFUNDED", "REFUNDED"]:
    if not one.void_ticket_ids:
        return "SUCCEEDED"
    return "REFUNDED" if len(one.void_ticket_ids) == len(one.ticket_ids) else "PARTLY_REFUNDED"


def present_top_up(one: TopUp) -> TopUpOut:
    """Return a top-up as in its first answer."""
    return TopUpOut(
        top_up_id=one.transfer_id,
        amount=one.amount_minor,
        balance=one.balance_minor,
        currency=one.currency,
        created_at=one.created_at,
    )


def present_entry(one: Entry) -> EntryOut:
    """Return an entry of a wallet."""
    payment_id = None
    if one.payment_id is not None and one.schedule_id is not None:
        payment_id = str(ScopedId(one.schedule_id, one.payment_id))
    return EntryOut(
        entry_id=f"{one.transfer_id}.{one.leg}",
        kind=_ENTRY_KINDS[one.kind],
        amount=one.amount_minor,
        currency=one.currency,
        payment_id=payment_id,
        created_at=one.created_at,
    )


def routes(
    service: Payments, seats: SeatReadModel, dependencies: RouteDependencies
) -> list[tuple[str, object]]:
    """Return the resources of this module by URI template."""
    return [
        ("/v1/payments", _PaymentCollection(service, seats, dependencies)),
        ("/v1/payments/{payment_id}", _Payment(service, seats, dependencies)),
        ("/v1/me/wallet", _Wallet(service, seats, dependencies)),
        ("/v1/me/wallet/top-ups", _TopUps(service, seats, dependencies)),
        ("/v1/me/wallet/entries", _Entries(service, seats, dependencies)),
    ]
