"""The use cases of disputes: book what a provider shows, enter what it does not show, list."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from boxoffice.activity_log import Action, record
from boxoffice.errors import (
    DisputeClosed,
    DisputeNotFound,
    IntegrityError,
    Invalid,
    PaymentNotFound,
)
from boxoffice.observability.logs import log
from boxoffice.payments.disputes import store
from boxoffice.payments.disputes.store import Dispute, DisputeStore
from boxoffice.payments.providers.port import DisputeStatus, Movement, ProviderDispute
from boxoffice.platform.ids import ScopedId

WALLET = "wallet"


@dataclass(frozen=True, slots=True)
class EnteredDispute:
    """A chargeback that an operator enters, because the provider's API does not show it.

    `transaction_key` is that of the withdrawal in the provider's statement, if it is known.
    """

    payment: ScopedId
    amount_minor: int
    reason: str
    happened_at: datetime
    transaction_key: str | None
    key: str


class Disputes:
    """Disputes of all providers."""

    def __init__(self, disputes: DisputeStore) -> None:
        self._store = disputes

    async def settle(self, provider: str, found: ProviderDispute) -> str:
        """Book a dispute as its provider shows it; idempotent, whatever comes first.

        Returns `booked`, `replayed` or `payment_not_found`.
        """
        async with self._store.transaction() as connection:
            settled = await store.settle(connection, provider, found)
        if settled.outcome == "payment_not_found":
            log.error("dispute_of_unknown_payment", provider=provider, key=found.key)
        return settled.outcome

    async def enter(
        self, operator_id: UUID, entered: EnteredDispute, *, request_id: str = ""
    ) -> Dispute:
        """Open a dispute whose funds were withdrawn; the same key returns the same dispute.

        Raises `PaymentNotFound`, and `Invalid` for a payment from the wallet or above its amount.
        """
        payment = entered.payment
        paid = await self._store.paid_through(payment.schedule_id, payment.own_id)
        if paid is None:
            raise PaymentNotFound
        # guard: dispute_of_a_providers_payment => if False:
        if paid.method == WALLET or paid.provider_reference is None:
            raise Invalid("This payment was made from the wallet.")
        # guard: dispute_within_the_payment => if False:
        if entered.amount_minor > paid.amount_minor:
            raise Invalid(f"At most {paid.amount_minor} can be disputed.")
        key = f"manual:{entered.key}"
        movement = Movement(
            key=entered.transaction_key or f"dispute:{key}",
            kind="dispute",
            amount_minor=entered.amount_minor,
            currency=paid.currency,
            happened_at=entered.happened_at,
        )
        found = ProviderDispute(
            key=key,
            payment_key=paid.provider_reference,
            status="OPEN",
            amount_minor=entered.amount_minor,
            currency=paid.currency,
            reason=entered.reason,
            movements=(movement,),
        )
        return await self._book(operator_id, paid.method, found, "dispute.entered", request_id)

    async def close(
        self,
        operator_id: UUID,
        dispute_id: UUID,
        outcome: Literal["won", "lost"],
        happened_at: datetime,
        *,
        transaction_key: str | None = None,
        request_id: str = "",
    ) -> Dispute:
        """End a dispute that an operator has entered: won money is back, lost money is lost.

        A repetition has no further effect. Raises `DisputeNotFound`, and `DisputeClosed` for another
        outcome than before or for a dispute that the provider shows.
        """
        dispute = await self.get(dispute_id)
        status: DisputeStatus = "WON" if outcome == "won" else "LOST"
        # guard: dispute_of_the_provider_ends_there => if False:
        if dispute.entered_by is None:
            raise DisputeClosed("The provider shows this dispute and decides it.")
        # guard: dispute_ends_one_way => if False:
        if dispute.status not in ("OPEN", status):
            raise DisputeClosed
        movements: tuple[Movement, ...] = ()
        if status == "WON" and dispute.withdrawn_minor:
            key = transaction_key or f"dispute_won:{dispute.dispute_key}"
            movements = (
                Movement(
                    key, "dispute_won", dispute.withdrawn_minor, dispute.currency, happened_at
                ),
            )
        found = ProviderDispute(
            key=dispute.dispute_key,
            payment_key=dispute.payment_key,
            status=status,
            amount_minor=dispute.amount_minor,
            currency=dispute.currency,
            reason=dispute.reason,
            movements=movements,
        )
        return await self._book(operator_id, dispute.provider, found, "dispute.closed", request_id)

    async def get(self, dispute_id: UUID) -> Dispute:
        """Return a dispute; raise `DisputeNotFound`."""
        found = await self._store.get(dispute_id)
        if found is None:
            raise DisputeNotFound
        return found[0]

    async def list(self, before: UUID | None, status: str | None, count: int) -> list[Dispute]:
        """Return at most `count` disputes, the newest first, of one status if it is given."""
        return await self._store.list(before, status, count)

    async def _book(
        self, operator_id: UUID, provider: str, found: ProviderDispute, action: str, request_id: str
    ) -> Dispute:
        async with self._store.transaction() as connection:
            settled = await store.settle(connection, provider, found, operator_id)
            if settled.outcome == "payment_not_found" or settled.dispute_id is None:
                raise PaymentNotFound("No payment through this provider has the key.")
            if settled.outcome == "booked":
                details = {
                    "dispute_id": str(settled.dispute_id),
                    "amount": found.amount_minor,
                    "status": found.status,
                }
                entry = Action(
                    organization_id=operator_id,
                    actor_id=operator_id,
                    action=action,
                    request_id=request_id,
                    details=details,
                )
                await record(connection, entry)
        read = await self._store.get(settled.dispute_id)
        if read is None:
            raise IntegrityError(f"dispute {settled.dispute_id} is gone")
        return read[0]
