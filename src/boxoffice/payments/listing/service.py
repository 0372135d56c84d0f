"""The use cases of lists: payments with their refunds, of a buyer or of a seller."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from boxoffice.errors import PaymentNotFound
from boxoffice.payments.listing.store import ListedPayment, PaymentFilter, PaymentListStore
from boxoffice.payments.refunds.store import Refund, RefundStore
from boxoffice.permissions import OrganizationIds
from boxoffice.platform.ids import ScopedId


@dataclass(frozen=True, slots=True)
class PaymentWithRefunds:
    """A payment and its refunds, the oldest first."""

    listed: ListedPayment
    refunds: Sequence[Refund]


class PaymentLists:
    """Payments of buyers and of sellers."""

    def __init__(self, payments: PaymentListStore, refunds: RefundStore) -> None:
        self._payments = payments
        self._refunds = refunds

    async def of_user(
        self, user_id: UUID, before: UUID | None, count: int
    ) -> list[PaymentWithRefunds]:
        """Return at most `count` payments of this person, the newest first."""
        return await self._with_refunds(await self._payments.of_user(user_id, before, count))

    async def of_seller(
        self,
        wanted: PaymentFilter,
        before: UUID | None,
        count: int,
        *,
        reservation: ScopedId | None = None,
        order: ScopedId | None = None,
    ) -> list[PaymentWithRefunds]:
        """Return at most `count` payments, the newest first.

        `reservation` and `order` (an intent) name the payment of one reservation.
        """
        if order is not None:
            found = await self._payments.reservation_of_order(order)
            # guard: order_and_reservation_have_to_agree => if found is None:
            if found is None or reservation not in (None, found):
                return []
            reservation = found
        if reservation is not None:
            # guard: reservation_and_schedule_have_to_agree => if False:
            if wanted.schedule_id not in (None, reservation.schedule_id):
                return []
            schedule_id, own_id = reservation
            wanted = replace(wanted, schedule_id=schedule_id, reservation_id=own_id)
        return await self._with_refunds(await self._payments.of_seller(wanted, before, count))

    async def get(self, organization_ids: OrganizationIds, payment: ScopedId) -> PaymentWithRefunds:
        """Return a payment of some organizations, or of any for None; raise `PaymentNotFound`."""
        schedule_id, payment_id = payment
        wanted = PaymentFilter(organization_ids, schedule_id, payment_id)
        found = await self._with_refunds(await self._payments.of_seller(wanted, None, 1))
        if not found:
            raise PaymentNotFound
        return found[0]

    async def _with_refunds(self, listed: Sequence[ListedPayment]) -> list[PaymentWithRefunds]:
        refunds: dict[UUID | None, list[Refund]] = {}
        pairs = [(one.user_id, one.payment.payment_id) for one in listed]
        for refund in await self._refunds.of_payments(pairs):
            refunds.setdefault(refund.payment_id, []).append(refund)
        return [PaymentWithRefunds(one, refunds.get(one.payment.payment_id, ())) for one in listed]
