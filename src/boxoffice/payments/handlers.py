"""Decides a batch of payments or top-ups in one transaction."""

from collections.abc import Callable, Sequence
from uuid import UUID

from boxoffice.batching import Outcome, Pending
from boxoffice.batching.commands import numbers_of
from boxoffice.batching.handover.frames import CommandFormat
from boxoffice.payments.store import (
    PayCommand,
    PaymentStore,
    PayOutcome,
    TopUpCommand,
    TopUpOutcome,
)
from boxoffice.seats.cache.states import SOLD
from boxoffice.seats.changes.publisher import SeatChange, SeatChangePublisher


class PayHandler:
    """Decides payments of one schedule.

    `publisher` publishes each payment before its caller is answered; `on_paid` receives the payers.
    """

    kind = "pay"
    wire = CommandFormat.of(3, PayCommand, PayOutcome)

    def __init__(
        self,
        store: PaymentStore,
        publisher: SeatChangePublisher | None = None,
        on_paid: Callable[[UUID, Sequence[UUID]], None] | None = None,
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._on_paid = on_paid

    async def handle(
        self, lane_key: UUID, batch: Sequence[Pending[PayCommand, PayOutcome]]
    ) -> Sequence[Outcome[PayOutcome]]:
        """Return an outcome per command, in order."""
        commands = [pending.command for pending in batch]
        outcomes = await self._store.pay(lane_key, commands, numbers_of(batch))
        if self._publisher is not None:
            self._publisher.publish(lane_key, _seat_changes(commands, outcomes))
        if self._on_paid is not None:
            self._on_paid(lane_key, _payers(commands, outcomes))
        return outcomes

    def learn(
        self, lane_key: UUID, commands: Sequence[PayCommand], outcomes: Sequence[PayOutcome]
    ) -> None:
        """Apply what a collector decided; the collector does the rest."""
        if self._publisher is not None:
            self._publisher.apply(lane_key, _seat_changes(commands, outcomes))

    async def look_up(
        self, lane_key: UUID, commands: Sequence[PayCommand]
    ) -> Sequence[PayOutcome | None]:
        """Return what an interrupted batch did."""
        outcomes = await self._store.find_payments(lane_key, commands)
        if self._publisher is not None and any(outcome is not None for outcome in outcomes):
            self._publisher.invalidate(lane_key)
        return outcomes


def _seat_changes(
    commands: Sequence[PayCommand], outcomes: Sequence[PayOutcome]
) -> list[SeatChange]:
    return [
        SeatChange(command.user_id, SOLD, outcome.payment.seat_ids, outcome.seat_versions)
        for command, outcome in zip(commands, outcomes, strict=True)
        if outcome.name == "paid" and outcome.payment is not None
    ]


def _payers(commands: Sequence[PayCommand], outcomes: Sequence[PayOutcome]) -> list[UUID]:
    return [
        command.user_id
        for command, outcome in zip(commands, outcomes, strict=True)
        if outcome.name == "paid"
    ]


class TopUpHandler:
    """Decides top-ups of wallets; all wallets share one lane."""

    kind = "top_up"

    def __init__(self, store: PaymentStore, balance_max_minor: int) -> None:
        self._store = store
        self._balance_max_minor = balance_max_minor

    async def handle(
        self, lane_key: None, batch: Sequence[Pending[TopUpCommand, TopUpOutcome]]
    ) -> Sequence[Outcome[TopUpOutcome]]:
        """Return an outcome per command, in order."""
        commands = [pending.command for pending in batch]
        return await self._store.top_up(commands, self._balance_max_minor)

    async def look_up(
        self, lane_key: None, commands: Sequence[TopUpCommand]
    ) -> Sequence[TopUpOutcome | None]:
        """Return what an interrupted batch did."""
        return await self._store.find_top_ups(commands)
