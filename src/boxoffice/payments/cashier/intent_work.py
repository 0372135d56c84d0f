"""The cashier's work on intents: look up, renew the fence, expire, abandon.

Each method returns the seconds after which the work is due again, or None if it needs nothing more.
Errors of providers and of the database pass through; the work is then due again as well.
"""

from boxoffice.errors import PaymentDeclined
from boxoffice.observability.logs import log
from boxoffice.payments.cashier import rules
from boxoffice.payments.cashier.rules import LookedUp, Step
from boxoffice.payments.cashier.store import Work, WorkStore
from boxoffice.payments.intents.confirmations import Confirmations, order_of
from boxoffice.payments.intents.rules import IN_FLIGHT, IntentStatus, captures, order_id
from boxoffice.payments.intents.store import Intent, IntentStore
from boxoffice.payments.providers.port import ProviderPayment
from boxoffice.payments.refunds.execution import RefundExecutor
from boxoffice.platform.ids import new_id
from boxoffice.settings import CashierSettings

_OPEN_OUTCOMES = IN_FLIGHT | {IntentStatus.CAPTURED_LATE}


class IntentWork:
    """Ends what serving processes left open; `fence_s` is the length of a fence."""

    def __init__(
        self,
        intents: IntentStore,
        confirmations: Confirmations,
        work: WorkStore,
        refunds: RefundExecutor,
        fence_s: int,
        settings: CashierSettings,
    ) -> None:
        self._store = intents
        self._confirmations = confirmations
        self._work = work
        self._refunds = refunds
        self._fence_s = fence_s
        self._settings = settings

    async def look_up(self, work: Work) -> float | None:
        """Find out what became of an attempt: settle it, end it, or repeat its call.

        An intent that has ended is looked up too, because a statement may show money that moved later.
        """
        intent = await self._store.get(work.user_id, work.subject_id)
        if intent is None:
            return None
        found = await self._looked_up(intent, work)
        step = rules.step_after(found)
        try:
            await self._take(step, intent, found.payment)
        except PaymentDeclined as declined:
            log.info("looked_up_decline", intent_id=str(intent.intent_id), **declined.extra)
        after = await self._store.get(work.user_id, work.subject_id)
        if after is None or after.status not in _OPEN_OUTCOMES:
            return None
        first_s, max_s = self._settings.cashier_retry_first_s, self._settings.cashier_retry_max_s
        return rules.look_up_after_s(found, work.tries, first_s, max_s)

    async def _looked_up(self, intent: Intent, work: Work) -> LookedUp:
        provider = self._confirmations.provider(intent)
        own_id = order_id(intent.user_id, intent.intent_id)
        payment = await provider.look_up(own_id, intent.payment_key)
        return LookedUp(
            intent.status, intent.hold_ends_at, intent.session_is_over, payment, work.now
        )

    async def _take(self, step: Step, intent: Intent, payment: ProviderPayment | None) -> None:
        if step is Step.APPLY and payment is not None:
            # About the attempt that was looked up: a later one is none of this answer's business.
            await self._confirmations.apply(intent, payment, intent.confirm_key)
            await self._follow_refunds(intent, payment)
        elif step is Step.REPEAT:
            log.info("confirmation_repeated", intent_id=str(intent.intent_id))
            await self._confirmations.repeat(intent)
        elif step is Step.ABSENT:
            await self._confirmations.absent(intent)
        elif step is Step.ABANDON:
            await self._abandon(intent)

    async def _follow_refunds(self, intent: Intent, payment: ProviderPayment) -> None:
        """Have refunds of the payment looked at, and book those that came back."""
        await self._work.wake_refunds(intent.provider, payment.payment_key, intent.user_id)
        await self._refunds.note_returns(intent.provider, intent.user_id, payment)

    async def settle(self, intent: Intent, payment: ProviderPayment) -> None:
        """Settle what a look-up for a notice showed."""
        await self._confirmations.settle(intent, payment)
        await self._follow_refunds(intent, payment)

    async def renew(self, work: Work) -> float | None:
        """Renew the fence of an intent in flight, until its bound is reached."""
        intent = await self._store.get(work.user_id, work.subject_id)
        if intent is None or await self._confirmations.renew(intent) != "renewed":
            return None
        return rules.renew_after_s(self._fence_s)

    async def expire(self, work: Work) -> float | None:
        """End an open intent whose hold or session is over."""
        intent = await self._store.get(work.user_id, work.subject_id)
        if intent is None:
            return None
        after = await self._confirmations.expire(intent)
        # What has expired is planned anew; an end that has moved is waited for.
        if after.status not in (IntentStatus.OPEN, IntentStatus.EXPIRED):
            return None
        ends_at = after.hold_ends_at or after.session_ends_at
        return max((ends_at - work.now).total_seconds(), self._settings.cashier_retry_first_s)

    async def abandon(self, work: Work) -> float | None:
        """End a payment at its provider that must not be confirmed any more.

        One that was captured all the same is settled: its money goes back.
        """
        intent = await self._store.get(work.user_id, work.subject_id)
        if intent is None:
            return None
        await self._abandon(intent)
        payment = (await self._looked_up(intent, work)).payment
        if payment is not None and captures(payment):
            await self.settle(intent, payment)
        return None

    async def _abandon(self, intent: Intent) -> None:
        provider = self._confirmations.provider(intent)
        key, call_id = f"{intent.intent_id}-abandon", new_id()
        await self._store.note_call(intent, call_id, "abandon", key)
        await provider.abandon(order_of(intent), intent.payment_key, key)
        await self._confirmations.note(intent, call_id, "done", None, None)
