"""Tickets over HTTP: parse, call, present."""

import asyncio
from collections.abc import Container, Sequence
from typing import Any, Protocol
from uuid import UUID

from boxoffice.errors import PaymentNotFound
from boxoffice.http.api.operation import Call, PathId, Reply, RouteDependencies, operation
from boxoffice.platform.ids import ScopedId, parse_scoped
from boxoffice.tickets import qr
from boxoffice.tickets.views import QrCodeOut, QrCodesOut

PAYMENT_ID = PathId(parse_scoped, PaymentNotFound, "The `payment_id` of a payment.")


class Issued(Protocol):
    """What issued tickets: a payment."""

    @property
    def ticket_ids(self) -> Sequence[UUID]: ...
    @property
    def void_ticket_ids(self) -> Container[UUID]: ...


class TicketPayments(Protocol):
    """Looks payments up."""

    async def get(self, user_id: UUID, payment: ScopedId, /) -> Issued:
        """Return a payment of this person; raise `PaymentNotFound` otherwise."""
        ...


class _QrCodes:
    def __init__(self, payments: TicketPayments, dependencies: RouteDependencies) -> None:
        self._payments = payments
        self.dependencies = dependencies

    @operation(
        "Get the QR codes of a payment's tickets",
        role="any",
        returns=QrCodesOut,
        path={"payment_id": PAYMENT_ID},
    )
    async def on_get(self, call: Call[Any, Any]) -> Reply:
        """Text and modules of each code, to be shown at the entrance; a refunded ticket has none."""
        payment: ScopedId = call.ids["payment_id"]
        found = await self._payments.get(call.caller.user_id, payment)
        live = [one for one in found.ticket_ids if one not in found.void_ticket_ids]
        texts = [str(ScopedId(payment.schedule_id, ticket_id)) for ticket_id in live]
        # A code takes about a millisecond, which would block the event loop.
        codes = await asyncio.to_thread(lambda: [qr.rows(text) for text in texts])
        items = zip(live, texts, codes, strict=True)
        return Reply(QrCodesOut(items=[QrCodeOut(*item) for item in items]))


def routes(payments: TicketPayments, dependencies: RouteDependencies) -> list[tuple[str, object]]:
    """Return the resources of this module by URI template."""
    return [("/v1/payments/{payment_id}/codes", _QrCodes(payments, dependencies))]
