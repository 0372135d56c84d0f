"""Pays refunds through their providers: one call, or look-up, at a time; for the cashier.

A refund has one idempotency key for its whole life, its own id. A call is recorded before it is sent. A
refund that was sent before is looked up first, and sent again under the same key if the provider does
not know it.
"""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from boxoffice.observability.logs import log
from boxoffice.payments.providers.port import (
    Provider,
    ProviderDeclined,
    ProviderError,
    ProviderMisconfigured,
    ProviderPayment,
    ProviderRefund,
    ProviderUnavailable,
    RefundOrder,
)
from boxoffice.payments.refunds.store import Refund, RefundStore
from boxoffice.platform.ids import new_id

_FIRST_RETRY = timedelta(seconds=10)
_RETRY_MAX = timedelta(hours=1)
# Look-ups of another amount or currency before a person gets the refund: an answer may be wrong once.
_DIFFERENT_TRIES_MAX = 3
_REASONS = {
    "buyer": "Returned by the buyer",
    "organizer": "Returned by the organizer",
    "cancelled": "The performance is cancelled",
    "late": "Paid too late",
}


class Execution(StrEnum):
    """What became of an attempt to pay a refund."""

    DONE = "done"
    MANUAL = "manual"
    LATER = "later"
    NOTHING_OWED = "nothing_owed"


class RefundExecutor:
    """Asks providers for refunds and books their answers."""

    def __init__(self, refunds: RefundStore, providers: Mapping[str, Provider]) -> None:
        self._store = refunds
        self._providers = providers

    async def execute_refund(self, user_id: UUID, refund_id: UUID, tries: int = 0) -> Execution:
        """Pay a refund, or find out what became of it; idempotent, also in two processes.

        After `LATER` the refund is due again, after a wait that grows with `tries`. Raises what the
        database raises; the refund is then due again as well.
        """
        refund = await self._store.get(user_id, refund_id)
        if refund is None or refund.status != "PENDING" or refund.provider is None:
            return Execution.NOTHING_OWED
        provider = self._providers.get(refund.provider)
        if provider is None:
            log.error("refund_without_provider", refund_id=str(refund_id), provider=refund.provider)
            return await self._later(refund, tries)
        # guard: refund_that_was_sent_is_looked_up => if False:
        if refund.sent_at is not None:
            found = await self._look_up(provider, refund)
            if isinstance(found, ProviderError):
                return await self._later(refund, tries)
            if found is not None:
                return await self._settle(refund, found, tries)
        return await self._send(provider, refund, tries)

    async def note_returns(self, provider: str, user_id: UUID, payment: ProviderPayment) -> None:
        """Book money of refunds that came back after it had arrived; idempotent."""
        for movement in payment.movements:
            if movement.kind != "refund_failed":
                continue
            key = movement.key.removesuffix(":failed")
            refund = await self._store.of_transaction(user_id, provider, key)
            if refund is None:
                continue
            log.warning("refund_came_back", refund_id=str(refund.refund_id), key=movement.key)
            await self._store.settle(
                refund,
                "CAME_BACK",
                key=movement.key,
                happened_at=movement.happened_at,
                failure="came_back",
            )

    async def _look_up(
        self, provider: Provider, refund: Refund
    ) -> ProviderRefund | ProviderError | None:
        """Return the refund as the provider shows it; an error where it does not say."""
        try:
            return await provider.look_up_refund(_order(refund), str(refund.refund_id))
        except ProviderError as error:
            _log_failure(refund, error)
            return error

    async def _send(self, provider: Provider, refund: Refund, tries: int) -> Execution:
        call_id = new_id()
        # guard: refund_call_is_recorded_before_it_is_sent { => if False:
        if not await self._store.begin(refund, call_id, _wait(tries).total_seconds()):
            # guard: }
            return Execution.NOTHING_OWED
        try:
            found = await provider.refund(_order(refund), str(refund.refund_id))
        except ProviderDeclined as declined:
            await self._store.answered(refund.user_id, call_id, "declined", declined.code, {})
            return await self._fail(refund, declined.code or declined.reason.value)
        except ProviderError as error:
            _log_failure(refund, error)
            await self._store.answered(refund.user_id, call_id, _outcome(error), None, {})
            return await self._later(refund, tries)
        body = {"key": found.key, "amount": found.amount_minor, "currency": found.currency}
        await self._store.answered(refund.user_id, call_id, "done", found.status, body)
        return await self._settle(refund, found, tries)

    async def _settle(self, refund: Refund, found: ProviderRefund, tries: int) -> Execution:
        """Book what the provider says; what keeps differing in amount is left to an operator."""
        if found.status == "FAILED":
            return await self._fail(refund, found.reason or "refused")
        # guard: refund_of_another_amount_is_not_booked => if False:
        if (found.amount_minor, found.currency) != (refund.amount_minor, refund.currency):
            log.error("refund_differs", refund_id=str(refund.refund_id), key=found.key)
            # guard: refund_that_keeps_differing_waits_for_a_person => if False:
            if tries >= _DIFFERENT_TRIES_MAX:
                return await self._fail(refund, "amount_differs")
            return await self._later(refund, tries)
        # guard: refund_under_way_is_not_booked => if False:
        if found.status == "PENDING":
            return await self._later(refund, tries)
        key = found.key or f"refund:{refund.refund_id}"
        await self._store.settle(refund, "DONE", key=key, happened_at=found.happened_at)
        return Execution.DONE

    async def _fail(self, refund: Refund, failure: str) -> Execution:
        log.warning("refund_failed", refund_id=str(refund.refund_id), reason=failure)
        await self._store.settle(refund, "FAILED", failure=failure)
        return Execution.MANUAL

    async def _later(self, refund: Refund, tries: int) -> Execution:
        await self._store.postpone(refund.refund_id, _wait(tries).total_seconds())
        return Execution.LATER


def _order(refund: Refund) -> RefundOrder:
    return RefundOrder(
        refund_id=str(refund.refund_id),
        payment_key=refund.payment_key or "",
        amount_minor=refund.amount_minor,
        currency=refund.currency,
        is_whole=refund.is_whole and refund.fee_minor == 0,
        reason=_REASONS[refund.reason],
    )


def _wait(tries: int) -> timedelta:
    factor: int = 2 ** min(tries, 16)
    return min(_FIRST_RETRY * factor, _RETRY_MAX)


def _outcome(error: ProviderError) -> str:
    if isinstance(error, ProviderUnavailable):
        return "unavailable"
    return "misconfigured" if isinstance(error, ProviderMisconfigured) else "unknown"


def _log_failure(refund: Refund, error: ProviderError) -> None:
    level = log.error if isinstance(error, ProviderMisconfigured) else log.warning
    level("refund_not_answered", refund_id=str(refund.refund_id), error=repr(error))
