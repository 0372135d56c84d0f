"""Disputes over HTTP, for operators: parse, call, present."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from boxoffice.accounts.rules import OPERATOR
from boxoffice.errors import (
    CursorInvalid,
    DisputeClosed,
    DisputeNotFound,
    Invalid,
    PaymentNotFound,
)
from boxoffice.http.api.operation import Call, PathId, Reply, RouteDependencies, operation
from boxoffice.http.api.paging import Page, PageQuery, decode_cursor, page
from boxoffice.payments import ledger
from boxoffice.payments.disputes.service import Disputes, EnteredDispute
from boxoffice.payments.disputes.store import Dispute
from boxoffice.platform.ids import ScopedId, parse_scoped, parse_uuid
from boxoffice.platform.values import Label, Line, Moment

_DISPUTE = {"dispute_id": PathId(parse_uuid, DisputeNotFound, "The `dispute_id` of a dispute.")}


class DisputeQuery(PageQuery, frozen=True, kw_only=True):
    """A page of disputes, optionally of one status."""

    status: Literal["OPEN", "WON", "LOST"] | None = None


class DisputeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A chargeback that the provider's API does not show, of money that was withdrawn.

    `transaction_key`: that of the withdrawal in the provider's statement.
    """

    payment_id: Label
    amount: Annotated[int, Meta(ge=1, le=ledger.AMOUNT_MAX)]
    reason: Line
    happened_at: Moment
    transaction_key: Label | None = None


class DisputeOutcomeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a dispute ended; `transaction_key` is that of the money that came back."""

    outcome: Literal["won", "lost"]
    happened_at: Moment
    transaction_key: Label | None = None


class DisputeOut(msgspec.Struct, frozen=True, kw_only=True):
    """A chargeback; `withdrawn` is what the provider holds of it. Null `payment_id`: of a top-up.

    `valid_tickets` of a lost one admit although they are not paid for: an operator decides.
    """

    dispute_id: UUID
    payment_id: str | None
    user_id: UUID
    provider: str
    status: Literal["OPEN", "WON", "LOST"]
    is_entered: bool
    amount: int
    withdrawn: int
    currency: str
    reason: str
    opened_at: datetime
    closed_at: datetime | None
    valid_tickets: int


class _DisputeResource:
    def __init__(self, service: Disputes, dependencies: RouteDependencies) -> None:
        self._service = service
        self.dependencies = dependencies


class _AdminDisputes(_DisputeResource):
    @operation(
        "List disputes",
        role=OPERATOR,
        query=DisputeQuery,
        returns=Page[DisputeOut],
        problems=(CursorInvalid,),
    )
    async def on_get(self, call: Call[Any, DisputeQuery]) -> Reply:
        """Newest first."""
        query = call.query
        before = decode_cursor(query.cursor, UUID)
        found = await self._service.list(before, query.status, query.limit + 1)
        return Reply(page(found, query.limit, _present, lambda one: one.dispute_id))

    @operation(
        "Enter a dispute",
        201,
        role=OPERATOR,
        keyed=True,
        body=DisputeBody,
        returns=DisputeOut,
        problems=(PaymentNotFound, Invalid),
    )
    async def on_post(self, call: Call[DisputeBody, Any]) -> Reply:
        """A chargeback that the provider's API does not show; its funds are booked as withdrawn."""
        given = call.body
        payment = parse_scoped(given.payment_id)
        if payment is None:
            raise PaymentNotFound
        entered = EnteredDispute(
            payment,
            given.amount,
            given.reason,
            given.happened_at,
            given.transaction_key,
            call.key,
        )
        found = await self._service.enter(call.caller.user_id, entered, request_id=call.request_id)
        return Reply(_present(found))


class _DisputeOutcome(_DisputeResource):
    @operation(
        "End a dispute that was entered",
        role=OPERATOR,
        path=_DISPUTE,
        body=DisputeOutcomeBody,
        returns=DisputeOut,
        problems=(DisputeClosed,),
    )
    async def on_put(self, call: Call[DisputeOutcomeBody, Any]) -> Reply:
        """Won: the money is back. Lost: it is taken from the income of the schedule."""
        given = call.body
        found = await self._service.close(
            call.caller.user_id,
            call.ids["dispute_id"],
            given.outcome,
            given.happened_at,
            transaction_key=given.transaction_key,
            request_id=call.request_id,
        )
        return Reply(_present(found))


def _present(one: Dispute) -> DisputeOut:
    payment_id = None
    if one.payment_id is not None and one.schedule_id is not None:
        payment_id = str(ScopedId(one.schedule_id, one.payment_id))
    return msgspec.convert(
        {
            "dispute_id": one.dispute_id,
            "payment_id": payment_id,
            "user_id": one.user_id,
            "provider": one.provider,
            "status": one.status,
            "is_entered": one.entered_by is not None,
            "amount": one.amount_minor,
            "withdrawn": one.withdrawn_minor,
            "currency": one.currency,
            "reason": one.reason,
            "opened_at": one.opened_at,
            "closed_at": one.closed_at,
            "valid_tickets": one.valid_tickets,
        },
        DisputeOut,
    )


def routes(service: Disputes, dependencies: RouteDependencies) -> list[tuple[str, object]]:
    """Return the resources of this module by URI template."""
    return [
        ("/v1/admin/disputes", _AdminDisputes(service, dependencies)),
        ("/v1/admin/disputes/{dispute_id}/outcome", _DisputeOutcome(service, dependencies)),
    ]
