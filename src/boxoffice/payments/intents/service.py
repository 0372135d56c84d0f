"""The use cases of payment intents: open, confirm, get, cancel, and the methods on offer."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Never
from uuid import UUID

import msgspec

from boxoffice.batching import GroupCommit
from boxoffice.errors import (
    AlreadyPaid,
    AmountInvalid,
    AmountMismatch,
    HoldExpired,
    IdempotencyKeyReused,
    IntegrityError,
    IntentFinal,
    NotHeld,
    PaymentInProgress,
    PaymentMethodUnknown,
    PaymentProviderUnavailable,
    Problem,
    ReservationNotFound,
    ScheduleNotFound,
)
from boxoffice.observability.logs import log
from boxoffice.payments import ledger
from boxoffice.payments.intents import rules
from boxoffice.payments.intents.confirmations import Confirmations, IntentHandlers, order_of
from boxoffice.payments.intents.rules import Change, IntentStatus
from boxoffice.payments.intents.store import Intent, IntentOutcome, IntentStore, OpenCommand
from boxoffice.payments.providers.port import (
    Provider,
    ProviderDeclined,
    ProviderError,
    ProviderPayment,
)
from boxoffice.platform.concurrency.background import Background
from boxoffice.platform.ids import ScopedId, fingerprint_of, parse_scoped
from boxoffice.seats.read_model import SeatReadModel

_REFUSALS: dict[str, type[Problem]] = {
    "reservation_not_found": ReservationNotFound,
    "already_paid": AlreadyPaid,
    "hold_expired": HoldExpired,
    "not_held": NotHeld,
    "key_reused": IdempotencyKeyReused,
    "payment_in_progress": PaymentInProgress,
    "nothing_to_pay": AmountInvalid,
}
_OPENED = frozenset({"opened", "replayed"})


@dataclass(frozen=True, slots=True)
class PaymentMethod:
    """A way to pay: the wallet, or a provider."""

    name: str
    is_available: bool
    is_test: bool


@dataclass(frozen=True, slots=True)
class ConfirmRequest:
    """What the buyer's browser brought back from the provider; compared with the intent."""

    payment_key: str
    order_id: str
    amount_minor: int
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class IntentLimits:
    """How long a request waits for the provider, and the largest top-up."""

    confirm_wait_s: float
    top_up_max_minor: int


class PaymentIntents:
    """Payments through a provider: intent, fence, call outside any transaction, settle once."""

    def __init__(
        self,
        store: IntentStore,
        group_commit: GroupCommit,
        handlers: IntentHandlers,
        providers: Mapping[str, Provider],
        limits: IntentLimits,
        seats: SeatReadModel,
        background: Background,
    ) -> None:
        self.confirmations = Confirmations(store, group_commit, handlers, providers)
        self._store = store
        self._group_commit = group_commit
        self._handlers = handlers
        self._providers = providers
        self._limits = limits
        self._seats = seats
        self._background = background
        # The attempts of this process, by intent.
        self._attempts: dict[UUID, tuple[str, asyncio.Future[Intent]]] = {}

    def methods(self) -> list[PaymentMethod]:
        """Return the methods on offer, the wallet first."""
        wallet = PaymentMethod("wallet", is_available=True, is_test=False)
        return [wallet] + [
            PaymentMethod(name, is_available=one.is_available, is_test=one.is_test)
            for name, one in self._providers.items()
        ]

    async def open(self, user_id: UUID, reservation: ScopedId, key: str, method: str) -> Intent:
        """Make an intent to pay a hold, and prepare it at the provider.

        The hold is extended once. Raises the refusals of `docs/api.md`; the same key and body return
        the same intent.
        """
        provider = self._provider(method)
        try:
            # From memory, so that requests with invented ids never enter the group commit.
            await self._seats.layout(reservation.schedule_id)
        except ScheduleNotFound:
            raise ReservationNotFound from None
        command = OpenCommand(
            user_id,
            key,
            # guard: fingerprint_of_intent => fingerprint_of("intent"),
            fingerprint_of("intent", str(reservation), method),
            method,
            provider.session_s,
            reservation_id=reservation.own_id,
        )
        outcome = await self._group_commit.submit(
            self._handlers.opens, reservation.schedule_id, command
        )
        if outcome.name == "payment_in_progress":
            await self._refuse_second(user_id, reservation)
        return await self._opened(user_id, outcome)

    async def open_top_up(self, user_id: UUID, amount_minor: int, key: str, method: str) -> Intent:
        """Make an intent to top up a wallet; the same key and body return the same intent."""
        provider = self._provider(method)
        # guard: intent_top_up_amount_that_makes_sense
        ledger.check_top_up(amount_minor, self._limits.top_up_max_minor)
        command = OpenCommand(
            user_id,
            key,
            # guard: fingerprint_of_top_up_intent => fingerprint_of("top_up"),
            fingerprint_of("top_up", str(amount_minor), method),
            method,
            provider.session_s,
            amount_minor=amount_minor,
        )
        outcome = await self._group_commit.submit(self._handlers.opens, None, command)
        return await self._opened(user_id, outcome)

    def _provider(self, method: str) -> Provider:
        provider = self._providers.get(method)
        if provider is None:
            raise PaymentMethodUnknown(method=method)
        return provider

    async def _refuse_second(self, user_id: UUID, reservation: ScopedId) -> Never:
        """Refuse a second intent of a reservation, and name the first one."""
        first = await self._store.of_reservation(
            reservation.schedule_id, reservation.own_id, user_id
        )
        if first is None:
            raise PaymentInProgress
        raise PaymentInProgress(intent_id=rules.order_id(user_id, first))

    async def _opened(self, user_id: UUID, outcome: IntentOutcome) -> Intent:
        if outcome.owed is not None:
            raise _amount_refused(outcome.owed.amount_minor, outcome.owed.currency)
        intent_id = outcome.intent_id
        if outcome.name not in _OPENED or intent_id is None:
            problem = _REFUSALS.get(outcome.name)
            if problem is None:
                raise IntegrityError(f"the database answered {outcome.name!r}")
            raise problem
        intent = outcome.intent or await self.confirmations.current(user_id, intent_id)
        if intent.client is not None:
            return intent
        by_call = self.confirmations.provider(intent).opens_by_call
        # guard: open_repeats_that_the_provider_was_away => if False:
        if by_call and intent.status is IntentStatus.CANCELLED:
            raise PaymentProviderUnavailable(method=intent.provider)
        is_open = intent.status is IntentStatus.OPEN
        return await (self._prepared(intent) if is_open else self._shown(intent))

    async def _prepared(self, intent: Intent) -> Intent:
        """Prepare a new intent at its provider; after a crash a repetition does, under the same key."""
        provider = self.confirmations.provider(intent)
        order = order_of(intent)
        # guard: open_accepts_amount_of_top_up => if False:
        if not provider.accepts(order.amount_minor, order.currency):
            raise _amount_refused(order.amount_minor, order.currency)
        try:
            opened = await self.confirmations.open(intent)
        except ProviderDeclined as error:
            await self._give_up(intent)
            raise AmountInvalid(reason=error.reason.value) from error
        except ProviderError as error:
            log.warning("provider_open_failed", provider=intent.provider, error=str(error))
            await self._give_up(intent)
            raise PaymentProviderUnavailable(method=intent.provider) from error
        if not provider.opens_by_call:
            return msgspec.structs.replace(intent, client=opened.client)
        # A provider that has made its payment already confirms that one only.
        made = {} if opened.payment_key is None else {"payment_key": opened.payment_key}
        await self._store.keep_client(intent, {**opened.client, **made}, opened.payment_key)
        return await self.confirmations.current(intent.user_id, intent.intent_id)

    async def _give_up(self, intent: Intent) -> None:
        """End an intent without a payment, so that its hold can be paid otherwise or released."""
        now = await self.confirmations.current(intent.user_id, intent.intent_id)
        # guard: open_gives_up_only_what_was_not_prepared => if True:
        if now.client is None:
            await self.confirmations.change(intent, Change.CANCEL, None)

    async def _shown(self, intent: Intent) -> Intent:
        """Return an intent with what the browser needs, where that is not kept."""
        provider = self._providers.get(intent.provider)
        if provider is None or provider.opens_by_call:
            return intent
        opened = await self.confirmations.open(intent)
        return msgspec.structs.replace(intent, client=opened.client)

    async def get(self, user_id: UUID, intent_id: UUID) -> Intent:
        """Return an intent of this person; raise `IntentNotFound` otherwise."""
        return await self._shown(await self.confirmations.current(user_id, intent_id))

    async def confirm(self, user_id: UUID, intent_id: UUID, request: ConfirmRequest) -> Intent:
        """Move the money of an intent, and sell its seats.

        Returns the intent as it is when the provider has answered or `confirm_wait_s` have passed; the
        call goes on. Raises `AmountMismatch` (nothing was sent), `HoldExpired`, `PaymentDeclined`,
        `PaymentProviderUnavailable`, and `IntentFinal` for one that ended unpaid.
        """
        return await self._shown(await self._confirmed(user_id, intent_id, request))

    async def _confirmed(self, user_id: UUID, intent_id: UUID, request: ConfirmRequest) -> Intent:
        intent = await self.confirmations.read(user_id, intent_id)
        # guard: confirm_compares_what_came_back
        _require_same(intent, request)
        running = self._attempts.get(intent_id)
        if running is None and intent.status is not IntentStatus.OPEN:
            return self._not_open(intent)
        if running is None:
            running = self._start(intent, request.payment_key)
        # guard: confirm_one_payment_at_a_time => if False:
        if running[0] != request.payment_key:
            raise PaymentInProgress(intent_id=request.order_id)
        return await self._within_wait(intent, running[1])

    def _not_open(self, intent: Intent) -> Intent:
        # guard: confirm_ended_intent_is_refused => if False:
        if intent.status is IntentStatus.EXPIRED:
            raise HoldExpired
        if intent.status is IntentStatus.CANCELLED:
            raise IntentFinal(intent_status=intent.status.value, reason=intent.reason)
        return intent

    def _start(self, intent: Intent, payment_key: str) -> tuple[str, "asyncio.Future[Intent]"]:
        """Start an attempt that ends even if its request does not wait for it."""
        future: asyncio.Future[Intent] = asyncio.get_running_loop().create_future()
        # No request may be waiting for it any more.
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        running = self._attempts[intent.intent_id] = (payment_key, future)
        self._background.start(self._run(intent, payment_key, future))
        return running

    async def _run(
        self, intent: Intent, payment_key: str, future: "asyncio.Future[Intent]"
    ) -> None:
        try:
            future.set_result(await self.confirmations.attempt(intent, payment_key))
        except Exception as error:  # raised in the requests that wait
            if not isinstance(error, Problem):
                log.exception("confirmation_failed", intent_id=str(intent.intent_id))
            future.set_exception(error)
        finally:
            del self._attempts[intent.intent_id]

    async def _within_wait(self, intent: Intent, future: "asyncio.Future[Intent]") -> Intent:
        try:
            async with asyncio.timeout(self._limits.confirm_wait_s):
                return await asyncio.shield(future)
        except TimeoutError:
            return await self.confirmations.current(intent.user_id, intent.intent_id)

    async def cancel(self, user_id: UUID, intent_id: UUID) -> None:
        """End an open intent: its hold may be paid otherwise, or released.

        Raises `PaymentInProgress` while its outcome is open, and `IntentFinal` once money has moved.
        """
        intent = await self.confirmations.current(user_id, intent_id)
        if intent.status is IntentStatus.OPEN:
            intent = await self.confirmations.change(intent, Change.CANCEL, None)
        if intent.status in rules.IN_FLIGHT or intent.status is IntentStatus.OPEN:
            raise PaymentInProgress(intent_id=rules.order_id(user_id, intent_id))
        if intent.status not in rules.UNPAID:
            raise IntentFinal(intent_status=intent.status.value)

    async def settle(self, order_id: str, payment: ProviderPayment) -> Intent:
        """Apply what a provider says of an order: from a notice, a look-up or a statement; idempotent.

        Raises `IntentNotFound` for an order that is not ours, and what `Confirmations.apply` raises.
        """
        intent = await self.of_order(order_id)
        return await self.confirmations.apply(intent, payment)

    async def of_order(self, order_id: str) -> Intent:
        """Return the intent of a provider's order; raise `IntentNotFound` where it is not ours."""
        scoped = parse_scoped(order_id)
        if scoped is None:
            return await self.confirmations.current(UUID(int=0), UUID(int=0))
        return await self.confirmations.current(*scoped)


def _require_same(intent: Intent, request: ConfirmRequest) -> None:
    """Raise `AmountMismatch` unless the provider's return is about this order and amount."""
    made = (intent.client or {}).get("payment_key", request.payment_key)
    same = (
        request.order_id == rules.order_id(intent.user_id, intent.intent_id)
        and request.amount_minor == intent.amount_minor
        and request.currency in (None, intent.currency)
        and request.payment_key == made
    )
    if not same:
        raise AmountMismatch(amount=intent.amount_minor, currency=intent.currency)


def _amount_refused(amount_minor: int, currency: str) -> AmountInvalid:
    return AmountInvalid(
        "This method does not take that amount.", amount=amount_minor, currency=currency
    )
