"""Decides batches of one kind of command about intents, and publishes the seats that change."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar
from uuid import UUID

from boxoffice.batching import Outcome, Pending, Retry
from boxoffice.errors import PaymentInProgress
from boxoffice.payments.intents.store import (
    AnswerCommand,
    BeginCommand,
    ChangeCommand,
    Intent,
    IntentOutcome,
    IntentStore,
    OpenCommand,
    Payable,
    ReadCommand,
    RenewCommand,
    SettleCommand,
)
from boxoffice.payments.providers.port import Provider
from boxoffice.seats.cache.states import HELD, SOLD
from boxoffice.seats.changes.publisher import SeatChange, SeatChangePublisher

C = TypeVar("C", OpenCommand, BeginCommand, RenewCommand, ChangeCommand, SettleCommand)


class _IntentHandler(Generic[C]):
    """Decides a batch of a schedule, or of top-ups where the lane has no key."""

    kind = ""

    def __init__(self, store: IntentStore, publisher: SeatChangePublisher | None = None) -> None:
        self._store = store
        self._publisher = publisher

    async def handle(
        self, lane_key: UUID | None, batch: Sequence[Pending[C, IntentOutcome]]
    ) -> Sequence[Outcome[IntentOutcome]]:
        """Return an outcome per command, in order."""
        commands = [pending.command for pending in batch]
        outcomes = await self._decide(lane_key, commands)
        if lane_key is not None and self._publisher is not None:
            self._publisher.publish(lane_key, _seat_changes(commands, outcomes))
        return self._settled(lane_key, commands, outcomes)

    async def look_up(
        self, lane_key: UUID | None, commands: Sequence[C]
    ) -> Sequence[IntentOutcome | None]:
        """Return what an interrupted batch did; what can be decided again is."""
        if lane_key is not None and self._publisher is not None:
            self._publisher.invalidate(lane_key)
        return await self._find(commands)

    async def _decide(self, lane_key: UUID | None, commands: Sequence[C]) -> list[IntentOutcome]:
        raise NotImplementedError

    async def _find(self, commands: Sequence[C]) -> Sequence[IntentOutcome | None]:
        """Renewals, changes and settlements have no further effect when they are decided again."""
        return [None] * len(commands)

    def _settled(
        self, lane_key: UUID | None, commands: Sequence[C], outcomes: Sequence[IntentOutcome]
    ) -> Sequence[Outcome[IntentOutcome]]:
        return outcomes


class OpenHandler(_IntentHandler[OpenCommand]):
    """Decides new intents; a provider must take the amount before one is made."""

    kind = "intent_open"

    def __init__(
        self,
        store: IntentStore,
        providers: Mapping[str, Provider],
        publisher: SeatChangePublisher | None = None,
    ) -> None:
        super().__init__(store, publisher)
        self._providers = providers

    async def _decide(
        self, lane_key: UUID | None, commands: Sequence[OpenCommand]
    ) -> list[IntentOutcome]:
        if lane_key is None:
            return await self._store.open(lane_key, commands)
        owed = await self._store.payable(lane_key, commands)
        refusals = list(map(self._refusal, commands, owed))
        wanted = [one for one, refusal in zip(commands, refusals, strict=True) if refusal is None]
        opened = iter(await self._store.open(lane_key, wanted) if wanted else ())
        return [next(opened) if refusal is None else refusal for refusal in refusals]

    def _refusal(self, command: OpenCommand, owed: Payable | None) -> IntentOutcome | None:
        # guard: open_only_own_reservation => if False:
        if owed is None:
            return IntentOutcome("reservation_not_found")
        # guard: open_only_what_the_provider_takes => if True:
        if self._providers[command.provider].accepts(owed.amount_minor, owed.currency):
            return None
        return IntentOutcome("amount_refused", owed=owed)

    async def _find(self, commands: Sequence[OpenCommand]) -> Sequence[IntentOutcome | None]:
        return await self._store.find_opened(commands)


class BeginHandler(_IntentHandler[BeginCommand]):
    """Decides which confirmations may be sent."""

    kind = "intent_begin"

    async def _decide(self, lane_key: UUID | None, commands: Sequence[BeginCommand]) -> Any:
        return await self._store.begin(lane_key, commands)

    async def _find(self, commands: Sequence[BeginCommand]) -> Sequence[IntentOutcome | None]:
        return await self._store.find_begun(commands)


class RenewHandler(_IntentHandler[RenewCommand]):
    """Decides renewals of fences."""

    kind = "intent_renew"

    async def _decide(self, lane_key: UUID | None, commands: Sequence[RenewCommand]) -> Any:
        return await self._store.renew(lane_key, commands)


class ChangeHandler(_IntentHandler[ChangeCommand]):
    """Decides changes of intents without money."""

    kind = "intent_change"

    async def _decide(self, lane_key: UUID | None, commands: Sequence[ChangeCommand]) -> Any:
        return await self._store.change(lane_key, commands)


class SettleHandler(_IntentHandler[SettleCommand]):
    """Decides what captured money pays for; `on_paid` receives the buyers of a schedule."""

    kind = "intent_settle"

    def __init__(
        self,
        store: IntentStore,
        publisher: SeatChangePublisher | None = None,
        on_paid: Callable[[UUID, Sequence[UUID]], None] | None = None,
    ) -> None:
        super().__init__(store, publisher)
        self._on_paid = on_paid

    async def _decide(self, lane_key: UUID | None, commands: Sequence[SettleCommand]) -> Any:
        return await self._store.settle(lane_key, commands)

    def _settled(
        self,
        lane_key: UUID | None,
        commands: Sequence[SettleCommand],
        outcomes: Sequence[IntentOutcome],
    ) -> Sequence[Outcome[IntentOutcome]]:
        paired = list(zip(commands, outcomes, strict=True))
        if lane_key is not None and self._on_paid is not None:
            buyers = [command.user_id for command, one in paired if one.name == "sold"]
            self._on_paid(lane_key, buyers)
        # The money is booked; its seats are locked by another batch.
        return [
            Retry("seat_busy", PaymentInProgress) if outcome.name == "late" else outcome
            for outcome in outcomes
        ]


class ReadHandler:
    """Reads the intents that requests ask for at the same time."""

    kind = "intent_read"

    def __init__(self, store: IntentStore) -> None:
        self._store = store

    async def handle(
        self, _lane_key: None, batch: Sequence[Pending[ReadCommand, Intent | None]]
    ) -> Sequence[Intent | None]:
        """Return an intent per command, None where there is none."""
        return await self._store.get_all([pending.command for pending in batch])

    async def look_up(
        self, _lane_key: None, commands: Sequence[ReadCommand]
    ) -> Sequence[Intent | None]:
        """Read them again on the next try."""
        return [None] * len(commands)


class AnswerHandler:
    """Keeps the answers of providers."""

    kind = "provider_answer"

    def __init__(self, store: IntentStore) -> None:
        self._store = store

    async def handle(
        self, _lane_key: None, batch: Sequence[Pending[AnswerCommand, bool]]
    ) -> Sequence[bool]:
        """Say that each answer is kept."""
        await self._store.note_answers([pending.command for pending in batch])
        return [True] * len(batch)

    async def look_up(
        self, _lane_key: None, commands: Sequence[AnswerCommand]
    ) -> Sequence[bool | None]:
        """Keep them again: the first answer to a call stays."""
        return [None] * len(commands)


def _seat_changes(
    commands: Sequence[Any], outcomes: Sequence[IntentOutcome]
) -> Iterator[SeatChange]:
    for command, outcome in zip(commands, outcomes, strict=True):
        if not outcome.seat_ids:
            continue
        ends_at = 0.0 if outcome.seats_until is None else outcome.seats_until.timestamp()
        state = SOLD if outcome.seats_until is None else HELD
        yield SeatChange(command.user_id, state, outcome.seat_ids, outcome.seat_versions, ends_at)
