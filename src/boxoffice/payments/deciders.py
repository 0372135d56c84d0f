"""How a batch of payments or charges is decided: one transaction each."""

from collections.abc import Sequence
from uuid import UUID

from boxoffice.batching import Pending, Verdict
from boxoffice.payments.store import (
    ChargeCommand,
    ChargeOutcome,
    PayCommand,
    PaymentStore,
    PayOutcome,
)


class PayDecider:
    """Decides payments of one schedule."""

    kind = "pay"

    def __init__(self, store: PaymentStore) -> None:
        self._store = store

    async def decide(
        self, key: UUID, batch: Sequence[Pending[PayCommand, PayOutcome]]
    ) -> Sequence[Verdict[PayOutcome]]:
        """Return an outcome per command, in order."""
        return await self._store.pay(key, [pending.command for pending in batch])

    async def look_up(
        self, key: UUID, commands: Sequence[PayCommand]
    ) -> Sequence[PayOutcome | None]:
        """Return what an interrupted batch did."""
        return await self._store.find_payments(key, commands)


class ChargeDecider:
    """Decides charges of wallets; all wallets share one lane."""

    kind = "charge"

    def __init__(self, store: PaymentStore, balance_max_minor: int) -> None:
        self._store = store
        self._balance_max_minor = balance_max_minor

    async def decide(
        self, key: None, batch: Sequence[Pending[ChargeCommand, ChargeOutcome]]
    ) -> Sequence[Verdict[ChargeOutcome]]:
        """Return an outcome per command, in order."""
        commands = [pending.command for pending in batch]
        return await self._store.charge(commands, self._balance_max_minor)

    async def look_up(
        self, key: None, commands: Sequence[ChargeCommand]
    ) -> Sequence[ChargeOutcome | None]:
        """Return what an interrupted batch did."""
        return await self._store.find_charges(commands)
