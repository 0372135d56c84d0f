"""Puts the payments of a process together; the composition root and the cashier call it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from boxoffice.batching import GroupCommit
from boxoffice.batching.handover.workers import WorkerHandOver
from boxoffice.payments.handlers import PayHandler, TopUpHandler
from boxoffice.payments.intents.confirmations import IntentHandlers
from boxoffice.payments.intents.handlers import (
    AnswerHandler,
    BeginHandler,
    ChangeHandler,
    OpenHandler,
    ReadHandler,
    RenewHandler,
    SettleHandler,
)
from boxoffice.payments.intents.service import IntentLimits, PaymentIntents
from boxoffice.payments.intents.store import IntentBounds, IntentStore
from boxoffice.payments.providers.port import Provider
from boxoffice.payments.service import Payments
from boxoffice.payments.store import PaymentStore
from boxoffice.platform.concurrency.background import Background
from boxoffice.platform.postgres.database import Database
from boxoffice.seats.changes.publisher import SeatChangePublisher
from boxoffice.seats.read_model import SeatReadModel
from boxoffice.settings import Settings

# How long a process may take after its own deadline before the cashier looks an outcome up.
_LOOK_UP_GRACE_S = 5


class PaymentSeats(Protocol):
    """The seats of this process: which exist, and where their changes go."""

    @property
    def read_model(self) -> SeatReadModel: ...

    @property
    def publisher(self) -> SeatChangePublisher: ...


@dataclass(frozen=True)
class PaymentParts:
    """What payments need of the other modules; `on_paid` receives the buyers of a schedule."""

    db: Database
    group_commit: GroupCommit
    background: Background
    seats: PaymentSeats
    on_paid: Callable[[UUID, Sequence[UUID]], None] | None = None
    hand_over: WorkerHandOver | None = None


@dataclass(frozen=True)
class PaymentServices:
    """Payments from wallets, and through providers."""

    wallets: Payments
    intents: PaymentIntents


def compose_payments(
    settings: Settings, parts: PaymentParts, providers: Mapping[str, Provider]
) -> PaymentServices:
    """Return the payments of one process."""
    return PaymentServices(_wallets(settings, parts), _intents(settings, parts, providers))


def _wallets(settings: Settings, parts: PaymentParts) -> Payments:
    store = PaymentStore(parts.db)
    pays = PayHandler(store, parts.seats.publisher, parts.on_paid)
    if parts.hand_over is not None:
        parts.hand_over.register(pays)
    return Payments(
        store,
        parts.group_commit,
        pays,
        TopUpHandler(store, settings.payments.wallet_balance_max_minor),
        settings.payments.wallet_top_up_max_minor,
        parts.seats.read_model,
        can_top_up=settings.payments.wallet_top_up_free,
    )


def _intents(
    settings: Settings, parts: PaymentParts, providers: Mapping[str, Provider]
) -> PaymentIntents:
    store, publisher = IntentStore(parts.db, bounds_of(settings)), parts.seats.publisher
    return PaymentIntents(
        store,
        parts.group_commit,
        IntentHandlers(
            OpenHandler(store, providers, publisher),
            BeginHandler(store, publisher),
            RenewHandler(store, publisher),
            ChangeHandler(store, publisher),
            SettleHandler(store, publisher, parts.on_paid),
            ReadHandler(store),
            AnswerHandler(store),
        ),
        providers,
        IntentLimits(
            settings.payments.confirm_wait_ms / 1000, settings.payments.wallet_top_up_max_minor
        ),
        parts.seats.read_model,
        parts.background,
    )


def bounds_of(settings: Settings) -> IntentBounds:
    """Return the bounds of intents that the settings name."""
    one = settings.payments
    return IntentBounds(
        extension_s=one.payment_extension_s,
        fence_s=one.payment_fence_s,
        fence_max_s=one.payment_fence_max_s,
        look_up_after_s=settings.providers.confirm_timeout_ms // 1000 + _LOOK_UP_GRACE_S,
        attempts_max=one.intent_attempts_max,
        balance_max_minor=one.wallet_balance_max_minor,
    )
