"""How a batch of holds or releases is decided: seat lock, one transaction, seat lock."""

import asyncio
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from boxoffice.batching import Pending, Retry, Verdict
from boxoffice.errors import SeatTaken
from boxoffice.reservations import rules
from boxoffice.reservations.seat_lock import Answer, Claim, Ending, SeatLock
from boxoffice.reservations.store import (
    HoldCommand,
    HoldOutcome,
    ReleaseCommand,
    ReleaseOutcome,
    ReservationStore,
)

# How often a request makes way for another's open transaction before PostgreSQL is asked all the same:
# whoever claimed the seats may have died.
_ATTEMPTS_BEFORE_DATABASE = 4


class Background:
    """Work that no caller waits for; kept referenced, and awaited at the end."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` after the caller has gone on."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finish(self) -> None:
        """Return when everything started so far is done."""
        await asyncio.gather(*self._tasks, return_exceptions=True)


class HoldDecider:
    """Decides holds of one schedule; what the seat lock refuses never reaches PostgreSQL."""

    kind = "hold"

    def __init__(
        self, store: ReservationStore, seat_lock: SeatLock, background: Background
    ) -> None:
        self._store = store
        self._seat_lock = seat_lock
        self._background = background

    async def decide(
        self, key: UUID, batch: Sequence[Pending[HoldCommand, HoldOutcome]]
    ) -> Sequence[Verdict[HoldOutcome]]:
        """Return a verdict per command, in order."""
        claims = [_claim(pending.command) for pending in batch]
        claimed = await self._seat_lock.claim(key, claims)
        verdicts: dict[int, Verdict[HoldOutcome]] = {}
        to_ask: list[int] = []
        for at, (pending, one) in enumerate(zip(batch, claimed, strict=True)):
            if one.answer is Answer.TAKEN:
                verdicts[at] = HoldOutcome("seat_taken", None, tuple(one.taken))
            elif one.answer is Answer.BUSY and pending.attempts < _ATTEMPTS_BEFORE_DATABASE:
                verdicts[at] = Retry("seat_lock")
            else:
                to_ask.append(at)
        if to_ask:
            commands = [batch[at].command for at in to_ask]
            outcomes = await self._ask(key, commands, [claims[at] for at in to_ask])
            verdicts.update(zip(to_ask, outcomes, strict=True))
        return [verdicts[at] for at in range(len(batch))]

    async def _ask(
        self, schedule_id: UUID, commands: Sequence[HoldCommand], claims: Sequence[Claim]
    ) -> list[Verdict[HoldOutcome]]:
        try:
            outcomes = await self._store.hold(schedule_id, commands)
        except Exception:
            self._settle(schedule_id, [Ending(claim.owner, claim.seat_ids) for claim in claims])
            raise
        pairs = zip(claims, outcomes, strict=True)
        self._settle(schedule_id, [_ending(claim, outcome) for claim, outcome in pairs])
        return [_verdict(outcome) for outcome in outcomes]

    def _settle(self, schedule_id: UUID, endings: Sequence[Ending]) -> None:
        self._background.start(self._seat_lock.settle(schedule_id, endings))

    async def look_up(
        self, key: UUID, commands: Sequence[HoldCommand]
    ) -> Sequence[HoldOutcome | None]:
        """Return what an interrupted batch did."""
        outcomes = await self._store.find_holds(key, commands)
        made = [
            Ending(_claim(command).owner, (), made=True)
            for command, outcome in zip(commands, outcomes, strict=True)
            if outcome is not None
        ]
        self._settle(key, made)
        return outcomes


def _verdict(outcome: HoldOutcome) -> Verdict[HoldOutcome]:
    """Have a request decided again while somebody whose outcome is open is in its way."""
    if outcome.name == "person_busy":
        # Any request of this person for the schedule, not only one under the same key.
        return Retry(outcome.name)
    if outcome.name == "seat_busy":
        return Retry(outcome.name, partial(SeatTaken, seat_ids=list(outcome.seat_ids)))
    return outcome


def _claim(command: HoldCommand) -> Claim:
    return Claim(rules.lock_owner(command.user_id, command.key), command.seat_ids)


def _ending(claim: Claim, outcome: HoldOutcome) -> Ending:
    # A replayed hold may have been released since: it proves nothing about its seats.
    taken_ms = 0
    if outcome.name == "held" and outcome.held is not None:
        taken_ms = SeatLock.taken_ms(outcome.held.ttl_s)
    return Ending(claim.owner, claim.seat_ids, taken_ms, made=outcome.held is not None)


class ReleaseDecider:
    """Decides releases of one schedule, and tells the seat lock that the seats are free."""

    kind = "release"

    def __init__(self, store: ReservationStore, seat_lock: SeatLock) -> None:
        self._store = store
        self._seat_lock = seat_lock

    async def decide(
        self, key: UUID, batch: Sequence[Pending[ReleaseCommand, ReleaseOutcome]]
    ) -> Sequence[Verdict[ReleaseOutcome]]:
        """Return an outcome per command, in order."""
        commands = [pending.command for pending in batch]
        outcomes = await self._store.release(key, commands)
        await self._free(key, commands, outcomes)
        return outcomes

    async def look_up(
        self, key: UUID, commands: Sequence[ReleaseCommand]
    ) -> Sequence[ReleaseOutcome | None]:
        """Return what an interrupted batch did."""
        outcomes = await self._store.find_releases(key, commands)
        await self._free(key, commands, [o or ReleaseOutcome("unknown") for o in outcomes])
        return outcomes

    async def _free(
        self,
        schedule_id: UUID,
        commands: Sequence[ReleaseCommand],
        outcomes: Sequence[ReleaseOutcome],
    ) -> None:
        # Before the answer, so that whoever hears of the release finds the seats free everywhere.
        endings = [
            Ending(rules.lock_owner(command.user_id, outcome.key), outcome.seat_ids, made=True)
            for command, outcome in zip(commands, outcomes, strict=True)
            if outcome.name == "released"
        ]
        await self._seat_lock.settle(schedule_id, endings)
