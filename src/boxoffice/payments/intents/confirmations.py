"""One attempt to confirm: begin, call the provider, and apply what it answered."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import msgspec

from boxoffice.batching import GroupCommit
from boxoffice.errors import (
    HoldExpired,
    IdempotencyInFlight,
    IntegrityError,
    IntentNotFound,
    PaymentDeclined,
    PaymentInProgress,
    PaymentProviderUnavailable,
    Problem,
)
from boxoffice.observability.logs import log
from boxoffice.payments.intents import metrics, rules
from boxoffice.payments.intents.handlers import (
    AnswerHandler,
    BeginHandler,
    ChangeHandler,
    OpenHandler,
    ReadHandler,
    RenewHandler,
    SettleHandler,
)
from boxoffice.payments.intents.rules import Change, IntentStatus
from boxoffice.payments.intents.store import (
    AnswerCommand,
    BeginCommand,
    ChangeCommand,
    Intent,
    IntentOutcome,
    IntentStore,
    ReadCommand,
    RenewCommand,
    SettleCommand,
)
from boxoffice.payments.providers.port import (
    DeclineReason,
    Opened,
    PaymentOrder,
    Provider,
    ProviderDeclined,
    ProviderError,
    ProviderMisconfigured,
    ProviderPayment,
    ProviderUnavailable,
)
from boxoffice.platform.ids import new_id


@dataclass(frozen=True)
class IntentHandlers:
    """How batches of each kind of command are decided."""

    opens: OpenHandler
    begins: BeginHandler
    renewals: RenewHandler
    changes: ChangeHandler
    settlements: SettleHandler
    reads: ReadHandler
    answers: AnswerHandler


class Confirmations:
    """Moves the money of intents, each once.

    `repeat` and `apply` are for the cashier as well, which heals what a lost answer or a killed process
    has left open.
    """

    def __init__(
        self,
        store: IntentStore,
        group_commit: GroupCommit,
        handlers: IntentHandlers,
        providers: Mapping[str, Provider],
    ) -> None:
        self._store = store
        self._group_commit = group_commit
        self._handlers = handlers
        self._providers = providers

    async def current(self, user_id: UUID, intent_id: UUID) -> Intent:
        """Return an intent of this person; raise `IntentNotFound` otherwise."""
        found = await self._store.get(user_id, intent_id)
        if found is None:
            raise IntentNotFound
        return found

    async def read(self, user_id: UUID, intent_id: UUID) -> Intent:
        """Return what `current` returns, read together with those of other requests."""
        command = ReadCommand(user_id, intent_id)
        found = await self._group_commit.submit(self._handlers.reads, None, command)
        if found is None:
            raise IntentNotFound
        return found

    async def _after(self, outcome: IntentOutcome, intent: Intent) -> Intent:
        """Return the intent after a decision; it is read again where the answer was lost."""
        return outcome.intent or await self.current(intent.user_id, intent.intent_id)

    def provider(self, intent: Intent) -> Provider:
        """Return the provider of an intent; raise `PaymentProviderUnavailable` without its key."""
        provider = self._providers.get(intent.provider)
        if provider is None:
            raise PaymentProviderUnavailable(method=intent.provider)
        return provider

    async def open(self, intent: Intent) -> Opened:
        """Prepare an intent at its provider; repetitions have the same key.

        Raises what the provider raises. No money moves, whatever the outcome.
        """
        provider, order = self.provider(intent), order_of(intent)
        key, call_id = f"{intent.intent_id}-open", new_id()
        if not provider.opens_by_call:
            return await provider.open(order, key)
        await self._store.note_call(intent, call_id, "open", key)
        try:
            opened = await provider.open(order, key)
        except ProviderError as error:
            await self.note(intent, call_id, _outcome_of(error), None, str(error))
            raise
        # The secret of the browser is not kept.
        await self.note(intent, call_id, "done", None, opened.payment_key)
        return opened

    async def attempt(self, intent: Intent, payment_key: str) -> Intent:
        """Begin to confirm an open intent, call its provider, and apply the answer.

        Raises `HoldExpired` (nothing was sent), `PaymentDeclined` and `PaymentProviderUnavailable`
        (nothing was charged). An unknown outcome is no error: the intent says so.
        """
        provider = self.provider(intent)
        command = BeginCommand(intent.user_id, intent.intent_id, payment_key)
        begun = await self._group_commit.submit(self._handlers.begins, intent.schedule_id, command)
        # guard: confirm_lapsed_hold_is_not_charged => if False:
        if begun.name == "hold_expired":
            raise HoldExpired
        # guard: confirm_only_what_has_begun => if False:
        if begun.name != "begun":
            return await self._after(begun, intent)
        key, call_id = begun.confirm_key, command.call_id
        return await self._call(provider, intent, payment_key, key, call_id, is_first=True)

    async def repeat(self, intent: Intent) -> Intent:
        """Repeat the call of an attempt whose outcome is unknown, under its key.

        Raises what `attempt` raises. Only for an intent in flight whose hold has not ended.
        """
        if intent.payment_key is None or intent.confirm_key is None:
            raise IntegrityError(f"intent {intent.intent_id} has no attempt")
        provider, call_id = self.provider(intent), new_id()
        await self._store.note_call(intent, call_id, "confirm", intent.confirm_key)
        key = intent.confirm_key
        return await self._call(provider, intent, intent.payment_key, key, call_id, is_first=False)

    async def _call(
        self,
        provider: Provider,
        intent: Intent,
        payment_key: str,
        key: str,
        call_id: UUID,
        *,
        is_first: bool,
    ) -> Intent:
        """Send a call that is committed, and apply its outcome; the first under a key may be unsent."""
        try:
            payment = await provider.confirm(order_of(intent), payment_key, key)
        except ProviderDeclined as declined:
            await self.note(intent, call_id, "declined", declined.reason, declined.code)
            return await self._declined(intent, key, declined.reason)
        except (ProviderUnavailable, ProviderMisconfigured) as error:
            outcome = await self._not_sent(intent, call_id, error)
            # guard: repetition_that_was_not_sent_proves_nothing: if is_first else Change.UNKNOWN =>
            change = Change.UNSENT if is_first else Change.UNKNOWN
            await self.change(intent, change, key, outcome)
            raise PaymentProviderUnavailable(method=intent.provider) from error
        except Exception as error:  # whatever it was, the money may have moved
            await self.note(intent, call_id, "unknown", None, str(error))
            if not isinstance(error, ProviderError):
                log.exception("confirm_failed", intent_id=str(intent.intent_id))
            metrics.CONFIRMATIONS.labels(intent.provider, "unknown").inc()
            return await self.mark_unknown(intent, key)
        await self.note(intent, call_id, "done", payment.status, payment)
        return await self.apply(intent, payment, key)

    async def _not_sent(self, intent: Intent, call_id: UUID, error: ProviderError) -> str:
        outcome = _outcome_of(error)
        if outcome == "misconfigured":
            log.error("provider_misconfigured", provider=intent.provider, error=str(error))
        metrics.CONFIRMATIONS.labels(intent.provider, outcome).inc()
        await self.note(intent, call_id, outcome, None, str(error))
        return outcome

    async def apply(
        self, intent: Intent, payment: ProviderPayment, key: str | None = None
    ) -> Intent:
        """Apply what the provider says of an intent's payment: settle its captures, or close it.

        `key` is the attempt that was answered, None for a look-up. Raises `PaymentDeclined` where no
        money moved and none will by this attempt, and `IntegrityError` for another order's payment.
        """
        # guard: apply_only_the_orders_own_payment => if False:
        if payment.order_id != rules.order_id(intent.user_id, intent.intent_id):
            raise IntegrityError(f"{payment.payment_key} pays {payment.order_id}")
        if rules.captures(payment):
            return await self.settle(intent, payment)
        change = rules.change_after(payment)
        if change is Change.DECLINE:
            unfinished = DeclineReason.AUTHENTICATION_FAILED
            return await self._declined(intent, key, payment.reason or unfinished)
        over = DeclineReason.SESSION_EXPIRED if change is Change.ABSENT else None
        return await self.change(
            intent, change, key, payment.reason or over, payment.deposit_secret
        )

    async def settle(self, intent: Intent, payment: ProviderPayment) -> Intent:
        """Book the captures of a payment and sell what they pay for; idempotent.

        Returns the intent as it is afterwards: SUCCEEDED, RETURNING, or CAPTURED_LATE while its seats
        are locked by another batch.
        """
        after = None
        for movement in rules.captures(payment):
            command = SettleCommand(
                intent.user_id,
                intent.intent_id,
                payment.payment_key,
                movement,
                rules.is_sellable(payment),
            )
            after = await self._settle(intent, command)
        return after or await self.current(intent.user_id, intent.intent_id)

    async def _settle(self, intent: Intent, command: SettleCommand) -> Intent | None:
        """Settle one capture; return the intent afterwards, None while its seats are locked."""
        try:
            outcome = await self._group_commit.submit(
                self._handlers.settlements, intent.schedule_id, command
            )
        except (PaymentInProgress, IdempotencyInFlight):
            # Booked, and not sold yet: the cashier settles it again.
            metrics.SETTLEMENTS.labels(intent.provider, "late").inc()
            return None
        metrics.SETTLEMENTS.labels(intent.provider, outcome.name).inc()
        if outcome.name == "returning":
            log.warning("payment_late", intent_id=str(intent.intent_id), provider=intent.provider)
        return outcome.intent

    async def mark_unknown(self, intent: Intent, key: str | None = None) -> Intent:
        """Note that the outcome of an attempt is unknown; the cashier looks it up."""
        return await self.change(intent, Change.UNKNOWN, key)

    async def renew(self, intent: Intent) -> str:
        """Renew the fence of an intent in flight; return the name of the outcome (`functions.sql`)."""
        command = RenewCommand(intent.user_id, intent.intent_id)
        outcome = await self._group_commit.submit(
            self._handlers.renewals, intent.schedule_id, command
        )
        return outcome.name

    async def expire(self, intent: Intent) -> Intent:
        """End an open intent whose hold or session is over; any other stays as it is."""
        return await self.change(intent, Change.EXPIRE, None)

    async def absent(self, intent: Intent) -> Intent:
        """End an intent in flight: its provider has proved that no money moved and none will."""
        return await self.change(intent, Change.ABSENT, None, DeclineReason.SESSION_EXPIRED)

    async def _declined(self, intent: Intent, key: str | None, reason: DeclineReason) -> Intent:
        changed = await self.change(intent, Change.DECLINE, key, reason)
        metrics.CONFIRMATIONS.labels(intent.provider, "declined").inc()
        if changed.status in (IntentStatus.OPEN, *rules.UNPAID):
            raise PaymentDeclined(reason=reason.value, intent_status=changed.status.value)
        return changed

    async def change(
        self,
        intent: Intent,
        change: Change,
        key: str | None,
        reason: str | None = None,
        deposit_secret: str | None = None,
    ) -> Intent:
        """Change an intent without money, if it is still as the change expects; return it."""
        command = ChangeCommand(
            intent.user_id, intent.intent_id, change, key, reason, deposit_secret
        )
        outcome = await self._group_commit.submit(
            self._handlers.changes, intent.schedule_id, command
        )
        return await self._after(outcome, intent)

    async def note(
        self, intent: Intent, call_id: UUID, outcome: str, status: str | None, body: object
    ) -> None:
        """Keep an answer; it is a record for people, so a failure loses nothing but that."""
        try:
            encoded = None if body is None else msgspec.json.encode(body).decode()
            command = AnswerCommand(intent.user_id, call_id, outcome, status, encoded)
            await self._group_commit.submit(self._handlers.answers, None, command)
        except Problem as error:
            log.warning("provider_answer_not_kept", error=str(error))


def _outcome_of(error: ProviderError) -> str:
    """Return the name of what became of a call, as its answer keeps it."""
    names = {
        ProviderDeclined: "declined",
        ProviderUnavailable: "unavailable",
        ProviderMisconfigured: "misconfigured",
    }
    return next((name for kind, name in names.items() if isinstance(error, kind)), "unknown")


def order_of(intent: Intent) -> PaymentOrder:
    """Return the order of an intent as its provider knows it."""
    return PaymentOrder(
        rules.order_id(intent.user_id, intent.intent_id),
        intent.amount_minor,
        intent.currency,
        "Tickets" if intent.purpose == "reservation" else "Wallet",
    )
