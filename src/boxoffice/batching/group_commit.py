"""One transaction decides a batch of commands: one round trip, one commit, one fsync.

There is no timer. A batch starts as soon as a slot is free and takes what has arrived, in arrival
order; a lone command waits for nothing. Commands of one lane (a decider and its key, such as a
schedule) share batches, and lanes take turns.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from boxoffice.errors import IntegrityError, OutcomeUnknown, Overloaded, Unavailable
from boxoffice.platform import telemetry
from boxoffice.platform.postgres import Failure, classify

K = TypeVar("K", bound=Hashable)
K_in = TypeVar("K_in", bound=Hashable, contravariant=True)
C = TypeVar("C", bound="Command")
O = TypeVar("O")  # noqa: E741 — the outcome's type; the letter never stands for a number

_BACKOFF_FIRST_S = 0.002
_BACKOFF_LAST_S = 0.1


class Command(Protocol):
    """What a batch is made of.

    Two commands with one `identity` are one request sent twice: with equal `fingerprint`s they share
    an outcome, otherwise the later one waits for the earlier one. None means: always its own.
    """

    @property
    def identity(self) -> Hashable | None: ...

    @property
    def fingerprint(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Retry:
    """Instead of an outcome: somebody else's open transaction is in the way; decide this again."""

    reason: str


Verdict = O | Retry


class Decider(Protocol[K_in, C, O]):
    """How one kind of command is decided."""

    @property
    def kind(self) -> str:
        """A short name for metrics."""

    async def decide(self, key: K_in, batch: "Sequence[Pending[C, O]]") -> Sequence[Verdict[O]]:
        """Decide all commands in one transaction and return their verdicts in the same order."""

    async def look_up(self, key: K_in, commands: Sequence[C]) -> Sequence[O | None]:
        """Return what an interrupted transaction did for each command, None where it did nothing."""


@dataclass(frozen=True)
class Limits:
    """The bounds of one worker's group commit."""

    batch_max: int = 64
    batches_in_flight: int = 2
    queue_max: int = 2_000
    retry_for_s: float = 1.5
    settle_for_s: float = 5.0


@dataclass(eq=False, slots=True)
class Pending(Generic[C, O]):
    """A command on its way: where its outcome will be told, and how often it was tried."""

    command: C
    told: asyncio.Future[O]
    arrived_at: float
    attempts: int = 0


@dataclass(eq=False)
class _Lane(Generic[C, O]):
    decider: Decider[Any, C, O]
    key: Hashable
    waiting: deque[Pending[C, O]] = field(default_factory=deque)
    queued: bool = False


class GroupCommit:
    """Collects commands into batches; `submit` returns when the command's transaction is durable."""

    def __init__(
        self,
        limits: Limits,
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._jitter = jitter
        self._lanes: dict[tuple[str, Hashable], _Lane[Any, Any]] = {}
        self._turns: deque[_Lane[Any, Any]] = deque()
        self._by_identity: dict[Hashable, Pending[Any, Any]] = {}
        self._in_flight: set[asyncio.Task[None]] = set()
        self._count = 0
        self._closing = False

    @property
    def count(self) -> int:
        """How many commands have no outcome yet."""
        return self._count

    async def submit(self, decider: Decider[K, C, O], key: K, command: C) -> O:
        """Queue `command` in its lane and return its outcome once it is committed.

        A caller that is cancelled takes nothing back: its command is decided all the same.

        Raises:
            Overloaded: the queue is full, or others stayed in the way for too long.
            Unavailable: the database cannot decide now; nothing was done.
            OutcomeUnknown: the answer was lost and could not be looked up in time.
        """
        identity = None if command.identity is None else (decider.kind, key, command.identity)
        while identity is not None and (twin := self._by_identity.get(identity)) is not None:
            if twin.command.fingerprint == command.fingerprint:
                outcome: O = await asyncio.shield(twin.told)
                return outcome
            await asyncio.wait([twin.told])
        pending = self._admit(command, identity)
        lane = self._lane(decider, key)
        lane.waiting.append(pending)
        self._give_turn(lane)
        self._start_batches()
        return await asyncio.shield(pending.told)

    async def close(self) -> None:
        """Take no new command and return when every accepted one has its outcome."""
        self._closing = True
        while self._count:
            await asyncio.sleep(0.005)
        await asyncio.gather(*self._in_flight, return_exceptions=True)

    def _admit(self, command: C, identity: Hashable | None) -> Pending[C, Any]:
        if self._closing:
            raise Unavailable("This process is shutting down; try again.")
        if self._count >= self._limits.queue_max:
            raise Overloaded
        told: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        pending = Pending(command, told, self._clock())
        self._count += 1
        telemetry.BATCH_QUEUE.set(self._count)
        if identity is not None:
            self._by_identity[identity] = pending
        told.add_done_callback(lambda done: self._settled(identity, done))
        return pending

    def _settled(self, identity: Hashable | None, told: "asyncio.Future[Any]") -> None:
        self._count -= 1
        telemetry.BATCH_QUEUE.set(self._count)
        if identity is not None:
            del self._by_identity[identity]
        if not told.cancelled():
            told.exception()  # the caller may have hung up; then nobody else reads it

    def _lane(self, decider: Decider[Any, C, O], key: Hashable) -> _Lane[C, O]:
        name = (decider.kind, key)
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = _Lane(decider, key)
        return lane

    def _give_turn(self, lane: _Lane[Any, Any]) -> None:
        if lane.waiting and not lane.queued:
            lane.queued = True
            self._turns.append(lane)

    def _start_batches(self) -> None:
        while self._turns and len(self._in_flight) < self._limits.batches_in_flight:
            lane = self._turns.popleft()
            lane.queued = False
            batch = [
                lane.waiting.popleft()
                for _ in range(min(len(lane.waiting), self._limits.batch_max))
            ]
            # A lane with more than one batch of commands goes to the end of the line.
            self._give_turn(lane)
            self._drop_if_idle(lane)
            task = asyncio.create_task(self._run(lane, batch))
            self._in_flight.add(task)
            task.add_done_callback(self._finished)

    def _drop_if_idle(self, lane: _Lane[Any, Any]) -> None:
        if not lane.waiting:
            self._lanes.pop((lane.decider.kind, lane.key), None)

    def _finished(self, task: "asyncio.Task[None]") -> None:
        self._in_flight.discard(task)
        self._start_batches()

    async def _run(self, lane: _Lane[C, O], batch: list[Pending[C, O]]) -> None:
        started_at = self._clock()
        telemetry.BATCH_COMMANDS.labels(lane.decider.kind).observe(len(batch))
        try:
            await self._decide(lane, batch)
        except BaseException as error:
            # A bug of ours must not leave people waiting for ever.
            _refuse(batch, error if isinstance(error, Exception) else Unavailable())
            raise
        finally:
            telemetry.BATCH_SECONDS.labels(lane.decider.kind).observe(self._clock() - started_at)

    async def _decide(self, lane: _Lane[C, O], batch: list[Pending[C, O]]) -> None:
        for pending in batch:
            pending.attempts += 1
        try:
            verdicts = await lane.decider.decide(lane.key, batch)
        except Exception as error:
            await self._failed(lane, batch, error)
            return
        if len(verdicts) != len(batch):
            raise IntegrityError(f"{lane.decider.kind}: {len(verdicts)} verdicts for {len(batch)}")
        again = []
        for pending, verdict in zip(batch, verdicts, strict=True):
            if isinstance(verdict, Retry):
                again.append(pending)
            elif not pending.told.done():
                pending.told.set_result(verdict)
        self._again(lane, again, "contended")

    async def _failed(
        self, lane: _Lane[C, O], batch: list[Pending[C, O]], error: Exception
    ) -> None:
        failure = classify(error)
        if failure is Failure.UNKNOWN:
            await self._settle(lane, batch)
        elif failure is Failure.TRANSIENT:
            self._again(lane, batch, "transient")
        elif failure is Failure.UNAVAILABLE:
            _refuse(batch, error if isinstance(error, Unavailable) else Unavailable())
        elif len(batch) == 1:
            _refuse(batch, error)
        else:
            # One command poisons the transaction of all: halve until it stands alone.
            telemetry.BATCH_RETRIES.labels(lane.decider.kind, "split").inc(len(batch))
            middle = len(batch) // 2
            await self._decide(lane, batch[:middle])
            await self._decide(lane, batch[middle:])

    async def _settle(self, lane: _Lane[C, O], batch: list[Pending[C, O]]) -> None:
        """Learn what an interrupted transaction did; decide anew only what it provably did not do.

        The old transaction may still be running on the server. Its row locks and its idempotency keys
        then make the new one wait or collide, so that only one of them takes effect.
        """
        until = self._clock() + self._limits.settle_for_s
        delay_s = _BACKOFF_FIRST_S
        while True:
            try:
                outcomes = await lane.decider.look_up(lane.key, [p.command for p in batch])
                break
            except Exception as error:
                if self._clock() >= until or classify(error) is Failure.REFUSED:
                    _refuse(batch, OutcomeUnknown())
                    return
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, _BACKOFF_LAST_S)
        again = []
        for pending, outcome in zip(batch, outcomes, strict=True):
            if outcome is None:
                again.append(pending)
            elif not pending.told.done():
                pending.told.set_result(outcome)
        self._again(lane, again, "unknown")

    def _again(self, lane: _Lane[C, O], batch: list[Pending[C, O]], reason: str) -> None:
        """Put commands back at the head of their lane, in their order, after a short back-off."""
        if not batch:
            return
        too_late = self._clock() - self._limits.retry_for_s
        _refuse([p for p in batch if p.arrived_at <= too_late], Overloaded())
        again = [p for p in batch if p.arrived_at > too_late]
        if not again:
            return
        telemetry.BATCH_RETRIES.labels(lane.decider.kind, reason).inc(len(again))
        fewest = min(p.attempts for p in again)
        delay_s = min(_BACKOFF_FIRST_S * 2 ** (fewest - 1), _BACKOFF_LAST_S)
        delay_s *= 0.5 + self._jitter()
        asyncio.get_running_loop().call_later(delay_s, self._return, lane, again)

    def _return(self, lane: _Lane[C, O], batch: list[Pending[C, O]]) -> None:
        lane = self._lane(lane.decider, lane.key)
        lane.waiting.extendleft(reversed(batch))
        self._give_turn(lane)
        self._start_batches()


def _refuse(batch: Sequence[Pending[Any, Any]], error: Exception) -> None:
    for pending in batch:
        if not pending.told.done():
            pending.told.set_exception(error)
