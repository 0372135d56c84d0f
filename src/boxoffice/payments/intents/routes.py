"""Payment intents over HTTP: parse, call, present."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from boxoffice.catalog.paths import SCHEDULE_HEADER
from boxoffice.errors import (
    AlreadyPaid,
    AmountInvalid,
    AmountMismatch,
    HoldExpired,
    IntentFinal,
    IntentNotFound,
    NotHeld,
    PaymentDeclined,
    PaymentInProgress,
    PaymentMethodUnknown,
    PaymentProviderUnavailable,
    ReservationNotFound,
)
from boxoffice.http.api.operation import Call, PathId, Reply, RouteDependencies, operation
from boxoffice.payments import ledger
from boxoffice.payments.intents import rules
from boxoffice.payments.intents.rules import IntentStatus
from boxoffice.payments.intents.service import ConfirmRequest, PaymentIntents, PaymentMethod
from boxoffice.payments.intents.store import Intent
from boxoffice.platform.ids import ScopedId, parse_scoped
from boxoffice.platform.values import Label

INTENT_ID = PathId(parse_scoped, IntentNotFound, "The `intent_id` of a payment intent.")

# How long a page waits before it looks again at a payment whose outcome is open.
_POLL_AFTER_S = "2"

Method = Annotated[str, Meta(min_length=1, max_length=40, pattern="^[a-z_]+$")]
Amount = Annotated[int, Meta(ge=1, le=ledger.AMOUNT_MAX)]
# What a provider's SDK hands to the page.
Reference = Annotated[str, Meta(min_length=1, max_length=200, pattern="^[!-~]+$")]


class IntentRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A hold to pay, or an amount to add to the wallet; and the provider's name."""

    method: Method
    reservation_id: Label | None = None
    top_up_amount: Amount | None = None


class ConfirmationRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What the provider's return brought; it is compared with the intent before anything is sent."""

    payment_key: Reference
    order_id: Reference
    amount: Amount
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")] | None = None


class IntentOut(msgspec.Struct, kw_only=True):
    """A payment intent.

    `client` is what the provider's SDK needs; `hold_expires_at` is null for a top-up; `payment_id` is
    that of the payment once it has succeeded; `reason` says why the last attempt was refused.
    """

    intent_id: str
    status: Literal[
        "OPEN", "CONFIRMING", "UNKNOWN", "AWAITING_DEPOSIT", "SUCCEEDED", "CANCELLED", "EXPIRED",
        "CAPTURED_LATE", "RETURNING", "RETURNED",
    ]  # fmt: skip
    purpose: Literal["reservation", "top_up"]
    method: str
    reservation_id: str | None
    payment_id: str | None
    amount: int
    currency: str
    attempts: int
    reason: str | None
    hold_expires_at: datetime | None
    client: Mapping[str, str]


class MethodOut(msgspec.Struct, kw_only=True):
    """A payment method; a provider that cannot be reached is not available for a while."""

    method: str
    is_available: bool
    is_test: bool


class MethodsOut(msgspec.Struct, kw_only=True):
    """The payment methods, in the order of the page."""

    items: list[MethodOut]


class _IntentResource:
    def __init__(self, service: PaymentIntents, dependencies: RouteDependencies) -> None:
        self._service = service
        self.dependencies = dependencies


class _Methods(_IntentResource):
    @operation("List payment methods", returns=MethodsOut)
    async def on_get(self, call: Call[Any, Any]) -> Reply:
        """The wallet, and the providers that have keys."""
        return Reply(MethodsOut(items=[_present_method(one) for one in self._service.methods()]))


class _Intents(_IntentResource):
    @operation(
        "Make a payment intent",
        201,
        role="any",
        keyed=True,
        body=IntentRequest,
        returns=IntentOut,
        headers=SCHEDULE_HEADER,
        problems=(
            ReservationNotFound,
            AlreadyPaid,
            HoldExpired,
            NotHeld,
            PaymentInProgress,
            AmountInvalid,
            PaymentMethodUnknown,
            PaymentProviderUnavailable,
        ),
    )
    async def on_post(self, call: Call[IntentRequest, Any]) -> Reply:
        """The hold is extended once, and cannot be paid otherwise or released meanwhile."""
        intent = await self._open(call)
        shown = present_intent(intent)
        return Reply(shown, headers={"Location": f"/v1/payment-intents/{shown.intent_id}"})

    async def _open(self, call: Call[IntentRequest, Any]) -> Intent:
        user_id, body = call.caller.user_id, call.body
        if (body.reservation_id is None) == (body.top_up_amount is None):
            raise AmountInvalid("Name either a reservation_id or a top_up_amount.")
        if body.top_up_amount is not None:
            return await self._service.open_top_up(
                user_id, body.top_up_amount, call.key, body.method
            )
        reservation = parse_scoped(body.reservation_id or "")
        if reservation is None:
            raise ReservationNotFound
        return await self._service.open(user_id, reservation, call.key, body.method)


class _Intent(_IntentResource):
    @operation("Get a payment intent", role="any", returns=IntentOut, path={"intent_id": INTENT_ID})
    async def on_get(self, call: Call[Any, Any]) -> Reply:
        """An intent of another person is answered as not found."""
        intent = await self._service.get(*_own(call))
        headers = {"Retry-After": _POLL_AFTER_S} if intent.status in rules.IN_FLIGHT else None
        return Reply(present_intent(intent), headers=headers)

    @operation(
        "Cancel a payment intent",
        204,
        role="any",
        path={"intent_id": INTENT_ID},
        headers=SCHEDULE_HEADER,
        problems=(PaymentInProgress, IntentFinal),
    )
    async def on_delete(self, call: Call[Any, Any]) -> Reply:
        """Afterwards the hold can be paid otherwise or released; a repetition has no effect."""
        await self._service.cancel(*_own(call))
        return Reply()


class _Confirmation(_IntentResource):
    @operation(
        "Confirm a payment intent",
        role="any",
        accepts=True,
        body=ConfirmationRequest,
        returns=IntentOut,
        path={"intent_id": INTENT_ID},
        headers=SCHEDULE_HEADER,
        problems=(
            AmountMismatch,
            HoldExpired,
            PaymentDeclined,
            PaymentInProgress,
            IntentFinal,
            PaymentProviderUnavailable,
        ),
    )
    async def on_post(self, call: Call[ConfirmationRequest, Any]) -> Reply:
        """Moves the money and sells the seats; 202 while the provider has not answered."""
        body = call.body
        request = ConfirmRequest(body.payment_key, body.order_id, body.amount, body.currency)
        intent = await self._service.confirm(*_own(call), request)
        going_on = intent.status in (
            IntentStatus.OPEN,
            IntentStatus.CAPTURED_LATE,
            *rules.IN_FLIGHT,
        )
        headers = {"Retry-After": _POLL_AFTER_S} if going_on else None
        return Reply(present_intent(intent), is_accepted=going_on, headers=headers)


def _own(call: Call[Any, Any]) -> ScopedId:
    """Return the scope and id of an intent; raise `IntentNotFound` for another person's."""
    intent: ScopedId = call.ids["intent_id"]
    user_id, _ = intent
    # guard: intent_route_only_own => if False:
    if user_id != call.caller.user_id:
        raise IntentNotFound
    return intent


def present_intent(one: Intent) -> IntentOut:
    """Build the answer that shows an intent; all calls use it."""
    return IntentOut(
        intent_id=rules.order_id(one.user_id, one.intent_id),
        status=one.status.value,
        purpose="reservation" if one.purpose == "reservation" else "top_up",
        method=one.provider,
        reservation_id=_scoped(one, one.reservation_id),
        payment_id=_scoped(one, one.payment_id),
        amount=one.amount_minor,
        currency=one.currency,
        attempts=one.attempts,
        reason=one.reason,
        hold_expires_at=one.hold_ends_at,
        client=one.client or {},
    )


def _scoped(one: Intent, own_id: Any) -> str | None:
    if one.schedule_id is None or own_id is None:
        return None
    return str(ScopedId(one.schedule_id, own_id))


def _present_method(one: PaymentMethod) -> MethodOut:
    return MethodOut(method=one.name, is_available=one.is_available, is_test=one.is_test)


def routes(service: PaymentIntents, dependencies: RouteDependencies) -> list[tuple[str, object]]:
    """Return the resources of this module by URI template."""
    return [
        ("/v1/payment-methods", _Methods(service, dependencies)),
        ("/v1/payment-intents", _Intents(service, dependencies)),
        ("/v1/payment-intents/{intent_id}", _Intent(service, dependencies)),
        ("/v1/payment-intents/{intent_id}/confirm", _Confirmation(service, dependencies)),
    ]
