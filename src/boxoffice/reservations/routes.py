"""Reservations over HTTP: parse, call, present."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from boxoffice.accounts.credentials.errors import EmailNotVerified
from boxoffice.catalog.paths import SCHEDULE_HEADER, SCHEDULE_ID
from boxoffice.errors import (
    CursorInvalid,
    HoldCooldown,
    Invalid,
    NoAdjacentSeats,
    NotHeld,
    NotOnSale,
    OutcomeUnknown,
    PaymentInProgress,
    QueuePassRequired,
    ReservationNotFound,
    SeatNotFound,
    SeatTaken,
    SoldOut,
    TicketLimit,
)
from boxoffice.http.api.operation import Call, PathId, Reply, RouteDependencies, operation
from boxoffice.http.api.paging import Page, PageQuery, decode_cursor, page
from boxoffice.offers.errors import (
    CodeInvalid,
    CodeLimit,
    CodeUsedUp,
    CompanionRequired,
    PresaleOnly,
    PriceTypeUnknown,
    QuotaExhausted,
)
from boxoffice.offers.rules import SeatPrice
from boxoffice.order_numbers import rules as order_number
from boxoffice.platform.ids import ScopedId, parse_scoped
from boxoffice.platform.values import Label, Money, ShortLine
from boxoffice.reservations import rules
from boxoffice.reservations.service import Reservations, Wanted
from boxoffice.reservations.store import ActiveFilter, Held, Reservation
from boxoffice.seats.layout import Layout
from boxoffice.seats.read_model import SeatReadModel

RESERVATION_ID = PathId(parse_scoped, ReservationNotFound, "The `reservation_id` of a reservation.")


SeatIds = Annotated[
    list[Label], Meta(min_length=1, max_length=64, extra_json_schema={"uniqueItems": True})
]


PriceTypes = Annotated[dict[Label, Annotated[str, Meta(max_length=20)]], Meta(max_length=64)]


class HoldRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Either `seat_ids`, or `quantity` with an optional `grade`.

    `price_types` names the price type of seats by their ids; the others have the full price. `code` is
    a code of the schedule's offers.
    """

    seat_ids: SeatIds | None = None
    quantity: Annotated[int, Meta(ge=1, le=64)] | None = None
    grade: ShortLine | None = None
    price_types: PriceTypes | None = None
    code: Annotated[str, Meta(min_length=1, max_length=64)] | None = None


# The checks of `_hold` as a JSON schema.
_NULL = {"type": "null"}
_EITHER = [
    {
        "required": ["seat_ids"],
        "properties": {"seat_ids": {"type": "array"}, "quantity": _NULL, "grade": _NULL},
    },
    {
        "required": ["quantity"],
        "properties": {"seat_ids": _NULL, "quantity": {"type": "integer"}},
    },
]
HoldBody = Annotated[HoldRequest, Meta(extra_json_schema={"oneOf": _EITHER})]


class SeatOut(msgspec.Struct, omit_defaults=True):
    """A seat of a reservation.

    Where the schedule has offers, `price` is that of `price_type` (none: the full price); the seat's
    part of the amount is `price` less `discount`, with `booking_fee`.
    """

    seat_id: str
    section: str
    row: str
    number: int
    grade: str
    price: Money
    price_type: str = ""
    discount: int = 0
    booking_fee: int = 0


class HeldOut(msgspec.Struct, kw_only=True):
    """A hold as it was created; a repeated request gets the same bytes."""

    reservation_id: str
    schedule_id: UUID
    status: rules.Status
    seats: list[SeatOut]
    amount: int
    currency: str
    created_at: datetime
    expires_at: datetime
    expires_in_seconds: int


class MineQuery(PageQuery, frozen=True, kw_only=True):
    """All reservations, or only the held or confirmed ones."""

    status: Annotated[
        Literal["HELD", "CONFIRMED"] | None,
        Meta(description="HELD: can be paid now. CONFIRMED: is paid."),
    ] = None
    schedule_id: Annotated[
        UUID | None, Meta(description="Only this schedule; requires `status`.")
    ] = None


class ReservationOut(HeldOut, kw_only=True):
    """The current state of a reservation; `payment_id` leads to its tickets.

    `payment_intent_id` is that of a payment through a provider that has not ended. `order_number` is
    what people read instead of an id; null before the reservation is confirmed.
    """

    order_number: str | None
    payment_id: str | None
    payment_intent_id: str | None


class _ReservationResource:
    def __init__(
        self, service: Reservations, seats: SeatReadModel, dependencies: RouteDependencies
    ) -> None:
        self._service = service
        self._seats = seats
        self.dependencies = dependencies

    async def _layout_of(self, one: Reservation) -> Layout:
        # The price of a seat stays while it is held; after an end it may be another one.
        is_held = one.status == rules.Status.HELD and not one.lines
        amount_minor = one.amount_minor if is_held else None
        return await self._seats.layout_with(one.schedule_id, one.seat_ids, amount_minor)


class _HoldCollection(_ReservationResource):
    @operation(
        "Hold seats",
        201,
        role="any",
        keyed=True,
        body=HoldBody,
        returns=HeldOut,
        path={"schedule_id": SCHEDULE_ID},
        headers={"Queue-Pass": "The `queue_pass` of the waiting room, where there is one."},
        problems=(
            QueuePassRequired,
            EmailNotVerified,
            SeatNotFound,
            SeatTaken,
            SoldOut,
            NoAdjacentSeats,
            NotOnSale,
            TicketLimit,
            HoldCooldown,
            CodeInvalid,
            CodeUsedUp,
            CodeLimit,
            PresaleOnly,
            QuotaExhausted,
            PriceTypeUnknown,
            CompanionRequired,
        ),
    )
    async def on_post(self, call: Call[HoldRequest, Any]) -> Reply:
        """Hold named seats or the best adjacent ones, all or none."""
        schedule_id: UUID = call.ids["schedule_id"]
        held = await self._hold(call, schedule_id)
        # Where offers decided the prices, the answer has them from the reservation.
        amount_minor = None if held.lines else held.amount_minor
        layout = await self._seats.layout_with(schedule_id, held.seat_ids, amount_minor)
        shown = present_held(schedule_id, held, layout)
        return Reply(shown, location=f"/v1/reservations/{shown.reservation_id}")

    async def _hold(self, call: Call[HoldRequest, Any], schedule_id: UUID) -> Held:
        asked, user_id = call.body, call.caller.user_id
        queue_pass = call.req.get_header("Queue-Pass")
        if (asked.seat_ids is None) == (asked.quantity is None):
            raise Invalid("Give either seat_ids or quantity.")
        wanted = None
        if asked.price_types or asked.code is not None:
            wanted = _wanted(asked, call.req.remote_addr)
        if asked.seat_ids is not None:
            if asked.grade is not None:
                raise Invalid("A grade goes with quantity, not with seat_ids.")
            return await self._service.hold(
                user_id, schedule_id, call.key, asked.seat_ids, queue_pass, wanted
            )
        if asked.price_types:
            raise Invalid("price_types goes with seat_ids, not with quantity.")
        return await self._service.hold_best(
            user_id, schedule_id, call.key, asked.quantity or 0, asked.grade, queue_pass, wanted
        )


def _wanted(asked: HoldRequest, address: str) -> Wanted:
    """Return what a request asks of offers."""
    types = asked.price_types or {}
    if asked.seat_ids is not None and not types.keys() <= {*asked.seat_ids}:
        raise Invalid("price_types names a seat that is not in seat_ids.")
    return Wanted(types, asked.code or "", address)


class _Item(_ReservationResource):
    @operation(
        "Get a reservation",
        role="any",
        returns=ReservationOut,
        path={"reservation_id": RESERVATION_ID},
    )
    async def on_get(self, call: Call[Any, Any]) -> Reply:
        """A reservation of another person is answered as not found."""
        found = await self._service.get(call.caller.user_id, call.ids["reservation_id"])
        layout = await self._layout_of(found)
        return Reply(present_reservation(found, layout, call.caller.user_id))

    @operation(
        "Release a hold",
        204,
        role="any",
        path={"reservation_id": RESERVATION_ID},
        headers=SCHEDULE_HEADER,
        problems=(NotHeld, PaymentInProgress, OutcomeUnknown),
    )
    async def on_delete(self, call: Call[Any, Any]) -> Reply:
        """The seats are on sale again, at once or after the schedule's return delay."""
        await self._service.release(call.caller.user_id, call.ids["reservation_id"])
        return Reply()


class _Mine(_ReservationResource):
    @operation(
        "List my reservations",
        role="any",
        query=MineQuery,
        returns=Page[ReservationOut],
        problems=(CursorInvalid,),
    )
    async def on_get(self, call: Call[Any, MineQuery]) -> Reply:
        """Newest first."""
        limit = call.query.limit
        user_id = call.caller.user_id
        found = await self._find(user_id, call.query, limit + 1)
        layouts = {one.reservation_id: await self._layout_of(one) for one in found}
        return Reply(
            page(
                found,
                limit,
                lambda one: present_reservation(one, layouts[one.reservation_id], user_id),
                lambda one: one.reservation_id,
            )
        )

    async def _find(self, user_id: UUID, query: MineQuery, count: int) -> list[Reservation]:
        before = decode_cursor(query.cursor, UUID)
        if query.status is not None:
            only = ActiveFilter(query.status, query.schedule_id)
            return await self._service.active_of_user(user_id, before, count, only)
        if query.schedule_id is not None:
            raise Invalid("A schedule_id goes with a status.")
        return await self._service.of_user(user_id, before, count)


def present_held(schedule_id: UUID, held: Held, layout: Layout) -> HeldOut:
    """Build the answer to a hold; it depends on no clock, so that a replay gets the same bytes."""
    return HeldOut(
        reservation_id=str(ScopedId(schedule_id, held.reservation_id)),
        schedule_id=schedule_id,
        status=rules.Status.HELD,
        seats=present_seats(held.seat_ids, layout, held.lines),
        amount=held.amount_minor,
        currency=held.currency,
        created_at=held.created_at,
        expires_at=held.expires_at,
        expires_in_seconds=round(held.ttl_s),
    )


def present_reservation(one: Reservation, layout: Layout, user_id: UUID) -> ReservationOut:
    """Return a reservation of a person at the time of its reading."""
    status = rules.status_at(one.status, one.expires_at, one.now)
    left_s = (one.expires_at - one.now).total_seconds() if status is rules.Status.HELD else 0
    payment_id = one.payment_id and str(ScopedId(one.schedule_id, one.payment_id))
    intent_id = one.intent_id and str(ScopedId(user_id, one.intent_id))
    return ReservationOut(
        reservation_id=str(ScopedId(one.schedule_id, one.reservation_id)),
        schedule_id=one.schedule_id,
        status=status,
        seats=present_seats(one.seat_ids, layout, one.lines),
        amount=one.amount_minor,
        currency=one.currency,
        created_at=one.created_at,
        expires_at=one.expires_at,
        expires_in_seconds=max(0, int(left_s)),
        order_number=order_number.shown(one.order_number),
        payment_id=payment_id or None,
        payment_intent_id=intent_id or None,
    )


def present_seats(
    seat_ids: Sequence[str], layout: Layout, lines: Sequence[SeatPrice] = ()
) -> list[SeatOut]:
    """Return the seats as the layout describes them, with the prices of offers where there are any."""
    seats = [layout.seats[layout.index[seat_id]] for seat_id in seat_ids]
    if not lines:
        return [
            SeatOut(
                seat.seat_id,
                seat.section,
                seat.row,
                seat.number,
                seat.grade,
                Money(seat.price_minor, layout.currency),
            )
            for seat in seats
        ]
    return [
        SeatOut(
            seat.seat_id,
            seat.section,
            seat.row,
            seat.number,
            seat.grade,
            Money(price.price_minor, layout.currency),
            price.price_type,
            price.discount_minor,
            price.fee_minor,
        )
        for seat, price in zip(seats, lines, strict=True)
    ]


def routes(
    service: Reservations, seats: SeatReadModel, dependencies: RouteDependencies
) -> list[tuple[str, object]]:
    """Return the resources of this module by URI template."""
    return [
        ("/v1/schedules/{schedule_id}/reservations", _HoldCollection(service, seats, dependencies)),
        ("/v1/reservations/{reservation_id}", _Item(service, seats, dependencies)),
        ("/v1/me/reservations", _Mine(service, seats, dependencies)),
    ]
