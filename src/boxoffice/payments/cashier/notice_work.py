"""The cashier's work on notices: look up what each is about, and settle what was looked up."""

import hmac
from collections.abc import Mapping

from boxoffice.observability.logs import log
from boxoffice.payments.cashier import rules
from boxoffice.payments.cashier.intent_work import IntentWork
from boxoffice.payments.disputes.service import Disputes
from boxoffice.payments.intents.confirmations import Confirmations
from boxoffice.payments.intents.rules import IntentStatus, order_id
from boxoffice.payments.intents.store import Intent, IntentStore
from boxoffice.payments.notices import rules as notice_rules
from boxoffice.payments.notices.store import NoticeStore, StoredNotice
from boxoffice.payments.providers.port import PaymentStatus, Provider, ProviderPayment
from boxoffice.platform.ids import parse_scoped
from boxoffice.settings import CashierSettings


class NoticeWork:
    """Handles notices; what they say is not used but to find the intent."""

    def __init__(
        self,
        notices: NoticeStore,
        intents: IntentStore,
        intent_work: IntentWork,
        disputes: Disputes,
        confirmations: Confirmations,
        providers: Mapping[str, Provider],
        settings: CashierSettings,
    ) -> None:
        self._notices = notices
        self._intents = intents
        self._intent_work = intent_work
        self._disputes = disputes
        self._confirmations = confirmations
        self._providers = providers
        self._settings = settings

    async def handle(self, notice: StoredNotice) -> float | None:
        """Return the seconds after which a notice is due again, None if it has been handled.

        Errors of providers and of the database pass through; the notice stays due.
        """
        if notice.dispute_key is not None:
            return await self._dispute(notice, notice.dispute_key)
        intent = await self._intent_of(notice)
        if intent is None:
            return self._unknown(notice)
        # guard: notice_secret_is_compared => if False:
        if not _is_trusted(notice, intent):
            log.warning("notice_secret_differs", notice_id=notice.notice_id)
            return None
        # guard: notice_of_another_provider_changes_nothing => if False:
        if intent.provider != notice.provider:
            log.warning("notice_of_another_provider", notice_id=notice.notice_id)
            return None
        own_id = order_id(intent.user_id, intent.intent_id)
        provider = self._providers[notice.provider]
        payment = await provider.look_up(own_id, intent.payment_key)
        await self._apply(intent, payment)
        return None

    async def _dispute(self, notice: StoredNotice, key: str) -> float | None:
        """Book a dispute as its provider shows it now."""
        found = await self._providers[notice.provider].look_up_dispute(key)
        if found is None:
            return self._unknown(notice)
        outcome = await self._disputes.settle(notice.provider, found)
        return self._unknown(notice) if outcome == "payment_not_found" else None

    async def _intent_of(self, notice: StoredNotice) -> Intent | None:
        scoped = parse_scoped(notice.order_id) if notice.order_id else None
        if scoped is not None:
            return await self._intents.get(*scoped)
        if notice.payment_key is None:
            return None
        found = await self._notices.intent_of_payment(notice.provider, notice.payment_key)
        return None if found is None else await self._intents.get(*found)

    def _unknown(self, notice: StoredNotice) -> float | None:
        for_s = self._settings.notice_unknown_for_s
        if notice_rules.is_given_up(notice.received_at, notice.now, for_s):
            log.warning("notice_given_up", provider=notice.provider, notice_id=notice.notice_id)
            return None
        return notice_rules.retry_after(notice.tries).total_seconds()

    async def _apply(self, intent: Intent, payment: ProviderPayment | None) -> None:
        if payment is None:
            return
        if rules.settles(payment):
            await self._intent_work.settle(intent, payment)
        elif intent.status is IntentStatus.AWAITING_DEPOSIT:
            if payment.status is not PaymentStatus.AWAITING_DEPOSIT:
                await self._confirmations.apply(intent, payment)
        elif intent.status is IntentStatus.SUCCEEDED:
            # A deposit that fell back: the statement has the difference, and a person decides.
            log.error("payment_fell_back", intent_id=str(intent.intent_id), status=payment.status)


def _is_trusted(notice: StoredNotice, intent: Intent) -> bool:
    """Compare the secret of a deposit's notice; without one in the intent, the look-up decides."""
    if notice.grade != "secret" or intent.deposit_secret is None:
        return True
    return hmac.compare_digest((notice.secret or "").encode(), intent.deposit_secret.encode())
