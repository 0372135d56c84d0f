"""The use cases of lists: payments with their refunds, of a buyer or of a seller."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from boxoffice.activity_log import ReadLog, Shown
from boxoffice.errors import PaymentNotFound
from boxoffice.order_numbers import rules as order_number
from boxoffice.payments.listing.store import ListedPayment, PaymentFilter, PaymentListStore
from boxoffice.payments.refunds.store import Refund, RefundStore
from boxoffice.permissions import Actor
from boxoffice.platform.ids import ScopedId


@dataclass(frozen=True, slots=True)
class PaymentWithRefunds:
    """A payment and its refunds, the oldest first."""

    listed: ListedPayment
    refunds: Sequence[Refund]


class PaymentLists:
    """Payments of buyers and of sellers; what sellers read is logged."""

    def __init__(self, payments: PaymentListStore, refunds: RefundStore, reads: ReadLog) -> None:
        self._payments = payments
        self._refunds = refunds
        self._reads = reads

    async def of_user(
        self, user_id: UUID, before: UUID | None, count: int
    ) -> list[PaymentWithRefunds]:
        """Return at most `count` payments of this person, the newest first."""
        return await self._with_refunds(await self._payments.of_user(user_id, before, count))

    async def of_seller(
        self,
        actor: Actor,
        wanted: PaymentFilter,
        before: UUID | None,
        limit: int,
        *,
        reservation: ScopedId | None = None,
        order: ScopedId | None = None,
        number: str | None = None,
        request_id: str = "",
    ) -> list[PaymentWithRefunds]:
        """Return up to `limit` payments, the newest first, and one that follows.

        `reservation`, `order` (an intent) and `number` (as a person writes it) name the payment of one
        reservation. Raises `Unavailable`.
        """
        named: list[ScopedId | None] = [] if reservation is None else [reservation]
        if order is not None:
            named.append(await self._payments.reservation_of_order(order))
        if number is not None:
            named.append(await self._of_number(number))
        found = await self._matching(wanted, before, limit + 1, named)
        await self._reads.record(
            actor,
            "payments.read",
            _shown(found[:limit]),
            filters=_kinds(wanted, reservation, order, number),
            request_id=request_id,
        )
        return await self._with_refunds(found)

    async def _matching(
        self,
        wanted: PaymentFilter,
        before: UUID | None,
        count: int,
        named: Sequence[ScopedId | None],
    ) -> Sequence[ListedPayment]:
        if named:
            reservation = named[0]
            # guard: order_and_reservation_have_to_agree => if reservation is None:
            if reservation is None or any(one != reservation for one in named):
                return []
            # guard: reservation_and_schedule_have_to_agree => if False:
            if wanted.schedule_id not in (None, reservation.schedule_id):
                return []
            schedule_id, own_id = reservation
            wanted = replace(wanted, schedule_id=schedule_id, reservation_id=own_id)
        return await self._payments.of_seller(wanted, before, count)

    async def _of_number(self, number: str) -> ScopedId | None:
        stored = order_number.read(number)
        return await self._payments.reservation_of_number(stored) if stored else None

    async def get(
        self, actor: Actor, payment: ScopedId, *, request_id: str = ""
    ) -> PaymentWithRefunds:
        """Return a payment of the actor's organizations; raise `PaymentNotFound` or `Unavailable`."""
        schedule_id, payment_id = payment
        wanted = PaymentFilter(actor.organization_ids, schedule_id, payment_id)
        found = await self._payments.of_seller(wanted, None, 1)
        if not found:
            raise PaymentNotFound
        await self._reads.record(actor, "payment.read", _shown(found), request_id=request_id)
        return (await self._with_refunds(found))[0]

    async def _with_refunds(self, listed: Sequence[ListedPayment]) -> list[PaymentWithRefunds]:
        refunds: dict[UUID | None, list[Refund]] = {}
        pairs = [(one.user_id, one.payment.payment_id) for one in listed]
        for refund in await self._refunds.of_payments(pairs):
            refunds.setdefault(refund.payment_id, []).append(refund)
        return [PaymentWithRefunds(one, refunds.get(one.payment.payment_id, ())) for one in listed]


def _shown(found: Sequence[ListedPayment]) -> list[Shown]:
    by_organization: dict[UUID, list[ListedPayment]] = {}
    for one in found:
        by_organization.setdefault(one.organization_id, []).append(one)
    return [
        Shown(
            organization_id,
            len(own),
            _only({one.concert_id for one in own}),
            _only({one.schedule_id for one in own}),
        )
        for organization_id, own in by_organization.items()
    ]


def _only(ids: Collection[UUID]) -> UUID | None:
    return next(iter(ids)) if len(ids) == 1 else None


def _kinds(
    wanted: PaymentFilter,
    reservation: ScopedId | None,
    order: ScopedId | None,
    number: str | None,
) -> list[str]:
    given = {
        "schedule_id": wanted.schedule_id,
        "method": wanted.method,
        "status": wanted.status,
        "reservation_id": reservation,
        "order_number": number,
        "order_id": order,
    }
    return [kind for kind, value in given.items() if value is not None]
