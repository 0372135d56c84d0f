"""Decides a batch of holds or releases: the seat lock, one transaction, and the seat changes."""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal
from uuid import UUID

from boxoffice.batching import Outcome, Pending, Retry
from boxoffice.batching.commands import numbers_of
from boxoffice.batching.handover.frames import CommandFormat
from boxoffice.errors import SeatTaken
from boxoffice.observability.logs import log
from boxoffice.platform.concurrency.background import Background
from boxoffice.reservations import rules
from boxoffice.reservations.seat_lock import Claim, ClaimResult, SeatLock, Settlement
from boxoffice.reservations.store import (
    HoldCommand,
    HoldOutcome,
    ReleaseCommand,
    ReleaseOutcome,
    ReservationStore,
)
from boxoffice.seats.cache.states import AVAILABLE, HELD
from boxoffice.seats.changes.publisher import SeatChange, SeatChangePublisher
from boxoffice.seats.refusals import SeatRefusals

# After this many attempts a request goes to PostgreSQL although its seats are claimed: the owner of the
# claim may have died.
_ATTEMPTS_BEFORE_DATABASE = 4

Mode = Literal["auto", "always", "off"]

# Schedules with the lock on in one process; above it the oldest one is turned off.
_HOT_MAX = 1_000


class LockSwitch:
    """Turns the seat lock on per schedule, only while pods compete for the same seats.

    It decides nothing about seats, so pods may differ. `has_peers` returns whether other pods exist.
    """

    def __init__(
        self,
        mode: Mode = "always",
        hot_ms: int = 5_000,
        has_peers: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._mode = mode
        self._hot_s = hot_ms / 1000
        self._has_peers = has_peers
        self._clock = clock
        self._hot_until: OrderedDict[UUID, float] = OrderedDict()

    @property
    def is_off(self) -> bool:
        """Whether no seat is ever claimed."""
        return self._mode == "off"

    def claims(self, schedule_id: UUID) -> bool:
        """Return whether to claim the seats of a batch."""
        if self._mode != "auto":
            return self._mode == "always"
        until = self._hot_until.get(schedule_id)
        if until is None:
            return False
        if self._clock() >= until:
            del self._hot_until[schedule_id]
            return False
        return True

    def collided(self, schedule_id: UUID) -> None:
        """Claim seats for `hot_ms`: another process has taken seats that this one wanted."""
        if self._mode != "auto" or not self._has_peers():
            return
        if schedule_id not in self._hot_until:
            log.info("seat_lock_on", schedule_id=str(schedule_id))
        self._hot_until[schedule_id] = self._clock() + self._hot_s
        self._hot_until.move_to_end(schedule_id)
        while len(self._hot_until) > _HOT_MAX:
            self._hot_until.popitem(last=False)


class HoldHandler:
    """Decides holds of one schedule; what the seat lock refuses never reaches PostgreSQL.

    `publisher` publishes every hold before its caller is answered; `switch` decides whether the lock
    is used.
    """

    kind = "hold"
    wire = CommandFormat.of(1, HoldCommand, HoldOutcome)

    def __init__(
        self,
        store: ReservationStore,
        seat_lock: SeatLock,
        background: Background,
        publisher: SeatChangePublisher | None = None,
        refusals: SeatRefusals | None = None,
        switch: LockSwitch | None = None,
    ) -> None:
        self._store = store
        self._seat_lock = seat_lock
        self._background = background
        self._publisher = publisher
        self._refusals = refusals
        self._switch = switch or LockSwitch()

    async def handle(
        self, lane_key: UUID, batch: Sequence[Pending[HoldCommand, HoldOutcome]]
    ) -> Sequence[Outcome[HoldOutcome]]:
        """Claim seats while pods collide; PostgreSQL decides what the claims do not refuse."""
        commands = [pending.command for pending in batch]
        numbers = numbers_of(batch)
        claims = self._claims(lane_key, commands)
        if not claims:
            return await self._decide_in_database(lane_key, commands, (), numbers)
        refused = await self._refused(lane_key, batch, claims)
        to_ask = [at for at in range(len(batch)) if at not in refused]
        if not to_ask:
            return [refused[at] for at in range(len(batch))]
        commands = [batch[at].command for at in to_ask]
        asked = [claims[at] for at in to_ask if at in claims]
        outcomes = iter(await self._decide_in_database(lane_key, commands, asked, numbers))
        return [refused[at] if at in refused else next(outcomes) for at in range(len(batch))]

    def _claims(self, schedule_id: UUID, commands: Sequence[HoldCommand]) -> dict[int, Claim]:
        """Return the claims to make, by place in the batch.

        A person who may have had a hold here gets none: a repeated request must reach PostgreSQL, even
        if another person has the seats by now.
        """
        if not self._switch.claims(schedule_id):
            return {}
        return {
            at: _claim(command)
            for at, command in enumerate(commands)
            if self._refusals is None or self._refusals.is_surely_new(schedule_id, command.user_id)
        }

    async def _refused(
        self,
        schedule_id: UUID,
        batch: Sequence[Pending[HoldCommand, HoldOutcome]],
        claims: dict[int, Claim],
    ) -> dict[int, Outcome[HoldOutcome]]:
        """Claim seats, and return the outcomes of the requests that the lock refuses or delays."""
        claimed = await self._seat_lock.claim(schedule_id, list(claims.values()))
        refused: dict[int, Outcome[HoldOutcome]] = {}
        for at, one in zip(claims, claimed, strict=True):
            if one.answer is ClaimResult.TAKEN:
                refused[at] = HoldOutcome("seat_taken", None, tuple(one.taken))
            elif one.answer is ClaimResult.BUSY and batch[at].attempts < _ATTEMPTS_BEFORE_DATABASE:
                refused[at] = Retry("seat_lock")
        if refused:
            self._switch.collided(schedule_id)
        return refused

    async def _decide_in_database(
        self,
        schedule_id: UUID,
        commands: Sequence[HoldCommand],
        claims: Sequence[Claim],
        numbers: Sequence[int],
    ) -> list[Outcome[HoldOutcome]]:
        try:
            outcomes = await self._store.hold(schedule_id, commands, numbers)
        except Exception:  # raised again after the claims have ended
            self._settle(schedule_id, [Settlement(claim.owner, claim.seat_ids) for claim in claims])
            raise
        self._publish(schedule_id, commands, outcomes)
        if claims:
            ended = {_claim(c).owner: o for c, o in zip(commands, outcomes, strict=True)}
            self._settle(schedule_id, [_settlement(claim, ended[claim.owner]) for claim in claims])
        return [_outcome_or_retry(outcome) for outcome in outcomes]

    def _publish(
        self,
        schedule_id: UUID,
        commands: Sequence[HoldCommand],
        outcomes: Sequence[HoldOutcome],
    ) -> None:
        if self._collided(schedule_id, outcomes):
            self._switch.collided(schedule_id)
        if self._publisher is not None:
            self._publisher.publish(schedule_id, _seat_changes(commands, outcomes))

    def _collided(self, schedule_id: UUID, outcomes: Sequence[HoldOutcome]) -> bool:
        """Return whether another process took seats first, as far as this one can see."""
        if self._refusals is None:
            return False
        if any(outcome.name == "seat_busy" for outcome in outcomes):
            return True
        lost = [seat for one in outcomes if one.name == "seat_taken" for seat in one.seat_ids]
        if not lost:
            return False
        won = {
            seat
            for one in outcomes
            if one.name == "held" and one.held
            for seat in one.held.seat_ids
        }
        return bool(self._refusals.missed(schedule_id, [seat for seat in lost if seat not in won]))

    def _settle(self, schedule_id: UUID, settlements: Sequence[Settlement]) -> None:
        if settlements:
            self._background.start(self._seat_lock.settle(schedule_id, settlements))

    def learn(
        self, lane_key: UUID, commands: Sequence[HoldCommand], outcomes: Sequence[HoldOutcome]
    ) -> None:
        """Apply what a collector decided; the collector sends it to the other processes."""
        if self._publisher is not None:
            self._publisher.apply(lane_key, _seat_changes(commands, outcomes))

    async def look_up(
        self, lane_key: UUID, commands: Sequence[HoldCommand]
    ) -> Sequence[HoldOutcome | None]:
        """Return what an interrupted batch did."""
        outcomes = await self._store.find_holds(lane_key, commands)
        found = [pair for pair in zip(commands, outcomes, strict=True) if pair[1] is not None]
        if self._publisher is not None and found:
            changes = [SeatChange(one.user_id, HELD, one.seat_ids, ()) for one, _ in found]
            self._publisher.publish(lane_key, changes)
        return outcomes


def _seat_changes(
    commands: Sequence[HoldCommand], outcomes: Sequence[HoldOutcome]
) -> list[SeatChange]:
    return [
        SeatChange(
            command.user_id,
            HELD,
            outcome.held.seat_ids,
            outcome.seat_versions,
            (outcome.returns_at or outcome.held.expires_at).timestamp(),
        )
        for command, outcome in zip(commands, outcomes, strict=True)
        if outcome.name == "held" and outcome.held is not None
    ]


def _outcome_or_retry(outcome: HoldOutcome) -> Outcome[HoldOutcome]:
    """Retry a request that is blocked by a concurrent transaction, or by a neighbour that may lose."""
    if outcome.name in ("person_busy", "offers_busy"):
        # Any request of this person for the schedule, not only one under the same key.
        return Retry(outcome.name)
    if outcome.name == "seat_busy":
        return Retry(outcome.name, partial(SeatTaken, seat_ids=list(outcome.seat_ids)))
    return outcome


def _claim(command: HoldCommand) -> Claim:
    return Claim(rules.lock_owner(command.user_id, command.key), command.seat_ids)


def _settlement(claim: Claim, outcome: HoldOutcome) -> Settlement:
    # A replayed hold may have been released since, so its seats may be free.
    taken_ms = 0
    if outcome.name == "held" and outcome.held is not None:
        taken_ms = SeatLock.taken_ms(outcome.held.ttl_s)
    return Settlement(claim.owner, claim.seat_ids, taken_ms)


def _released(
    commands: Sequence[ReleaseCommand], outcomes: Sequence[ReleaseOutcome]
) -> list[tuple[ReleaseCommand, ReleaseOutcome]]:
    pairs = zip(commands, outcomes, strict=True)
    return [(command, outcome) for command, outcome in pairs if outcome.name == "released"]


def _change_by_release(command: ReleaseCommand, outcome: ReleaseOutcome) -> SeatChange:
    if outcome.returns_at is None:
        return SeatChange(command.user_id, AVAILABLE, outcome.seat_ids, outcome.seat_versions)
    # Until then the seats show as held.
    ends_at = outcome.returns_at.timestamp()
    return SeatChange(command.user_id, HELD, outcome.seat_ids, outcome.seat_versions, ends_at)


class ReleaseHandler:
    """Decides releases of one schedule; they are published before their callers are answered."""

    kind = "release"
    wire = CommandFormat.of(2, ReleaseCommand, ReleaseOutcome)

    def __init__(
        self,
        store: ReservationStore,
        seat_lock: SeatLock,
        publisher: SeatChangePublisher | None = None,
        switch: LockSwitch | None = None,
    ) -> None:
        self._store = store
        self._seat_lock = seat_lock
        self._publisher = publisher
        self._switch = switch or LockSwitch()

    async def handle(
        self, lane_key: UUID, batch: Sequence[Pending[ReleaseCommand, ReleaseOutcome]]
    ) -> Sequence[Outcome[ReleaseOutcome]]:
        """Release in PostgreSQL, then publish the seats and end their claims."""
        commands = [pending.command for pending in batch]
        outcomes = await self._store.release(lane_key, commands, numbers_of(batch))
        await self._free(lane_key, commands, outcomes)
        return outcomes

    def learn(
        self,
        lane_key: UUID,
        commands: Sequence[ReleaseCommand],
        outcomes: Sequence[ReleaseOutcome],
    ) -> None:
        """Apply what a collector decided; the collector sends it to the other processes."""
        released = _released(commands, outcomes)
        if self._publisher is not None and released:
            self._publisher.apply(lane_key, [_change_by_release(*one) for one in released])

    async def look_up(
        self, lane_key: UUID, commands: Sequence[ReleaseCommand]
    ) -> Sequence[ReleaseOutcome | None]:
        """Return what an interrupted batch did."""
        outcomes = await self._store.find_releases(lane_key, commands)
        await self._free(lane_key, commands, [o or ReleaseOutcome("unknown") for o in outcomes])
        return outcomes

    async def _free(
        self,
        schedule_id: UUID,
        commands: Sequence[ReleaseCommand],
        outcomes: Sequence[ReleaseOutcome],
    ) -> None:
        """Publish before the answer, so that the seats are free everywhere once the client has it."""
        released = _released(commands, outcomes)
        if self._publisher is not None and released:
            changes = [_change_by_release(command, outcome) for command, outcome in released]
            await self._publisher.publish_and_wait(schedule_id, changes)
        if not self._switch.is_off:
            # Also without claims of this pod: another pod may have claimed a moment ago.
            settlements = [
                Settlement(rules.lock_owner(c.user_id, o.key), o.seat_ids) for c, o in released
            ]
            await self._seat_lock.settle(schedule_id, settlements)
