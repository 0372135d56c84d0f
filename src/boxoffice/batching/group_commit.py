"""One transaction decides a batch of commands: one round trip, one commit, one fsync.

A batch starts as soon as a slot is free and takes what has arrived, in arrival order; a lone command
waits for nothing. Commands of one lane (a handler and its key, such as a schedule) share batches, and
lanes take turns. Only where a lane's last batch has just gone to the database, and few commands have
come since, they wait for it to come back, for `concurrent_after_s` at the most.
"""

import asyncio
import copy
import math
import random
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from boxoffice.batching import metrics
from boxoffice.batching.retry_after import RetryAfterScheduler
from boxoffice.batching.throughput import ThroughputEstimator
from boxoffice.errors import (
    Draining,
    IdempotencyInFlight,
    IntegrityError,
    OutcomeUnknown,
    Overloaded,
    Unavailable,
)
from boxoffice.platform.concurrency.futures import TasklessFuture
from boxoffice.platform.postgres.database import Failure, classify

K = TypeVar("K", bound=Hashable)
K_contra = TypeVar("K_contra", bound=Hashable, contravariant=True)
C = TypeVar("C", bound="Command")
O = TypeVar("O")  # noqa: E741 — the outcome's type; the letter never stands for a number

_BACKOFF_FIRST_S = 0.002
_BACKOFF_LAST_S = 0.1
_BACKOFF_DOUBLINGS_MAX = 6


class Command(Protocol):
    """What a batch is made of.

    Two commands with one `identity` are one request sent twice: with equal `fingerprint`s they share
    an outcome, otherwise the later one is refused. None means: always its own.
    """

    @property
    def identity(self) -> Hashable | None: ...

    @property
    def fingerprint(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Retry:
    """Instead of an outcome: somebody else's open transaction is in the way; decide this again.

    `refusal` is what to say to a command in whose way somebody stayed for too long.
    """

    reason: str
    refusal: Callable[[], Exception] = Overloaded


Outcome: TypeAlias = O | Retry


class BatchHandler(Protocol[K_contra, C, O]):
    """How one kind of command is decided. Both calls must end within a deadline of their own."""

    @property
    def kind(self) -> str:
        """A short name for metrics; handlers of one kind share lanes."""

    async def handle(self, key: K_contra, batch: "Sequence[Pending[C, O]]") -> Sequence[Outcome[O]]:
        """Decide all commands in one transaction and return their outcomes in the same order."""

    async def look_up(self, key: K_contra, commands: Sequence[C]) -> Sequence[O | None]:
        """Return what an interrupted transaction did for each command, None where it did nothing."""


@dataclass(frozen=True)
class Limits:
    """The bounds of one worker's group commit.

    A lane has two batches at the database at once when `concurrent_min` commands wait, or when the
    earlier batch has been there for `concurrent_after_s`.
    `queue_max` counts every command without an outcome, repetitions that wait for one included. A
    command whose estimated wait exceeds `wait_max_s` is refused with a `Retry-After` of at most
    `retry_after_max_s`; during a lasting overload, `retry_after_share_min` (0 to 1) of the throughput
    is reserved for retries. `retry_for_s` runs from a command's first failed try.
    `unknown_outcome_timeout_s` bounds the look-up of a lost answer, and `isolation_timeout_s` the time
    in which the commands of a failed batch are tried alone.
    """

    batch_max: int = 64
    batches_in_flight: int = 2
    concurrent_min: int = 32
    concurrent_after_s: float = 0.005
    queue_max: int = 5_000
    wait_max_s: float = math.inf
    retry_after_max_s: float = 10.0
    retry_after_share_min: float = 0.1
    retry_for_s: float = 1.5
    unknown_outcome_timeout_s: float = 4.0
    isolation_timeout_s: float = 4.0


@dataclass(eq=False, slots=True)
class Pending(Generic[C, O]):
    """A command without an outcome: its place in the order of arrival, and how often it was tried."""

    command: C
    number: int
    identity: Hashable | None = None
    # Since when it waits for its next batch.
    since: float = 0.0
    attempts: int = 0
    give_up_at: float = math.inf
    in_doubt: bool = False
    # What to say where it cannot be decided in time.
    too_late: Callable[[], Exception] = Overloaded
    # One future per caller, so that a caller who hangs up takes only its own away.
    waiters: list[asyncio.Future[O]] = field(default_factory=list)
    told: bool = False


@dataclass(eq=False, slots=True)
class _Lane(Generic[C, O]):
    handler: BatchHandler[Any, C, O]
    key: Hashable
    waiting: deque[Pending[C, O]] = field(default_factory=deque)
    queued: bool = False

    @property
    def name(self) -> "tuple[str, Hashable]":
        return self.handler.kind, self.key


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
        self._numbers = count()
        self._throughput = ThroughputEstimator(limits.batch_max * limits.batches_in_flight)
        self._retry_after = RetryAfterScheduler(
            limits.retry_after_max_s, limits.retry_after_share_min
        )
        self._lanes: dict[tuple[str, Hashable], _Lane[Any, Any]] = {}
        self._turns: deque[_Lane[Any, Any]] = deque()
        self._by_identity: dict[Hashable, Pending[Any, Any]] = {}
        self._in_flight: set[asyncio.Task[None]] = set()
        # Of these the ones that have only just gone to the database, with the names of their lanes.
        self._just_left: dict[asyncio.Task[None], tuple[str, Hashable]] = {}
        self._starting = False
        self._count = 0
        self._closing = False
        self._nobody_waits = asyncio.Event()

    @property
    def count(self) -> int:
        """How many commands have no outcome yet, repetitions that wait for them included."""
        return self._count

    async def submit(self, handler: BatchHandler[K, C, O], key: K, command: C) -> O:
        """Queue `command` in its lane and return its outcome once it is committed.

        A caller that is cancelled takes nothing back: its command is decided all the same.

        Raises:
            Draining: this process is shutting down; nothing was done.
            IdempotencyInFlight: another request with its identity has no outcome yet; nothing was done.
            Overloaded: too many wait already, or others stayed in the way for too long; its
                `retry_after_s` says when there is room.
            Unavailable: the database cannot decide now; nothing was done.
            OutcomeUnknown: the answer was lost, and it is not known what was done.
        """
        # guard: batch_nothing_new_while_it_closes {
        if self._closing:
            raise Draining
        # guard: }
        identity = None if command.identity is None else (handler.kind, key, command.identity)
        twin = None if identity is None else self._by_identity.get(identity)
        # guard: batch_twin_shares_only_same_request => if False:
        if twin is not None and twin.command.fingerprint != command.fingerprint:
            # It could only wait: what it may have depends on what the other one gets.
            raise IdempotencyInFlight
        # guard: batch_queue_is_bounded => if self._wait_is_too_long():
        # guard: batch_wait_is_bounded: or self._wait_is_too_long() =>
        if self._count >= self._limits.queue_max or self._wait_is_too_long():
            retry_after_s = self._retry_after.next_s(self._clock(), self._throughput.per_command_s)
            raise Overloaded(retry_after_s=retry_after_s)
        if twin is not None:
            outcome: O = await self._share(twin)
            return outcome
        return await _outcome_of(self._admit(handler, key, command, identity))

    def _wait_is_too_long(self) -> bool:
        if not self._turns:
            return False
        waited_s = self._clock() - self._turns[0].waiting[0].since
        return self._throughput.is_too_slow_for(self._count, waited_s, self._limits.wait_max_s)

    async def close(self) -> None:
        """Take no new command and return when every accepted one has its outcome."""
        self._closing = True
        while self._count:
            self._nobody_waits.clear()
            await self._nobody_waits.wait()
        await asyncio.gather(*self._in_flight, return_exceptions=True)

    async def _share(self, twin: Pending[Any, O]) -> O:
        self._count += 1
        try:
            return await _outcome_of(twin)
        finally:
            self._leave()

    def _admit(
        self, handler: BatchHandler[K, C, O], key: K, command: C, identity: Hashable | None
    ) -> Pending[C, O]:
        pending: Pending[C, O] = Pending(command, next(self._numbers), identity, self._clock())
        self._count += 1
        if identity is not None:
            self._by_identity[identity] = pending
        lane = self._lane(handler, key)
        lane.waiting.append(pending)
        self._give_turn(lane)
        self._start_soon()
        return pending

    def _leave(self) -> None:
        self._count -= 1
        if not self._count:
            self._nobody_waits.set()

    def _lane(self, handler: BatchHandler[Any, C, O], key: Hashable) -> _Lane[C, O]:
        name = (handler.kind, key)
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = _Lane(handler, key)
        return lane

    def _give_turn(self, lane: _Lane[Any, Any]) -> None:
        if lane.waiting and not lane.queued:
            lane.queued = True
            self._turns.append(lane)

    def _start_soon(self) -> None:
        """Start after everybody who is ready in this turn of the event loop has been heard.

        Otherwise the first ones of a burst would each make a batch of their own. It waits for no I/O.
        """
        if not self._starting and len(self._in_flight) < self._limits.batches_in_flight:
            self._starting = True
            asyncio.get_running_loop().call_soon(self._start_batches)

    def _start_batches(self) -> None:
        self._starting = False
        passed: list[_Lane[Any, Any]] = []
        while self._turns and len(self._in_flight) < self._limits.batches_in_flight:
            lane = self._turns.popleft()
            if self._waits_for_more(lane):
                passed.append(lane)
            else:
                self._start(lane)
        self._turns.extendleft(reversed(passed))

    def _waits_for_more(self, lane: _Lane[Any, Any]) -> bool:
        """Say whether a lane is better off with one larger batch, once its last one is back.

        Half of what a small batch costs is the same for a large one. It is not a matter of time: where
        the last batch stays away for longer than usual, the next one goes beside it.
        """
        enough = min(self._limits.concurrent_min, self._limits.batch_max)
        return len(lane.waiting) < enough and lane.name in self._just_left.values()

    def _start(self, lane: _Lane[Any, Any]) -> None:
        loop = asyncio.get_running_loop()
        batch = self._take(lane)
        # A batch belongs to many requests, so it must not log as the one that started it.
        task = loop.create_task(self._run(lane, batch), context=Context())
        self._in_flight.add(task)
        self._just_left[task] = lane.name
        timer = loop.call_later(self._limits.concurrent_after_s, self._stays_away, task)
        task.add_done_callback(partial(self._finished, timer))

    def _stays_away(self, task: "asyncio.Task[None]") -> None:
        self._just_left.pop(task, None)
        self._start_batches()

    def _take(self, lane: _Lane[C, O]) -> list[Pending[C, O]]:
        size = min(len(lane.waiting), self._limits.batch_max)
        batch = [lane.waiting.popleft() for _ in range(size)]
        lane.queued = False
        # A lane with more than one batch of commands goes to the end of the line.
        self._give_turn(lane)
        if not lane.waiting:
            del self._lanes[lane.handler.kind, lane.key]
        return batch

    def _finished(self, timer: asyncio.TimerHandle, task: "asyncio.Task[None]") -> None:
        timer.cancel()
        self._just_left.pop(task, None)
        self._in_flight.discard(task)
        self._start_batches()

    async def _run(self, lane: _Lane[C, O], batch: list[Pending[C, O]]) -> None:
        started_at = self._clock()
        metrics.BATCH_COMMANDS.labels(lane.handler.kind).observe(len(batch))
        metrics.BATCH_QUEUE_LENGTH.set(self._count)
        try:
            await self._decide(lane, batch)
        except BaseException:
            # Nobody must wait for ever when this task is cancelled; they were at the database.
            self._refuse(batch, OutcomeUnknown)
            raise
        finally:
            ended_at = self._clock()
            self._throughput.observe(started_at, ended_at, len(batch))
            metrics.BATCH_SECONDS.labels(lane.handler.kind).observe(ended_at - started_at)
            metrics.BATCH_QUEUE_LENGTH.set(self._count)

    async def _decide(self, lane: _Lane[C, O], batch: Sequence[Pending[C, O]]) -> None:
        for pending in batch:
            pending.attempts += 1
        try:
            outcomes = await lane.handler.handle(lane.key, batch)
        except Exception as error:
            await self._failed(lane, batch, error)
            return
        # guard: batch_as_many_outcomes_as_commands => if False:
        if len(outcomes) != len(batch):
            bug = IntegrityError(f"{lane.handler.kind}: {len(outcomes)} outcomes for {len(batch)}")
            self._refuse(batch, partial(_copy, bug))
            return
        again = []
        for pending, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, Retry):
                pending.too_late = outcome.refusal
                again.append(pending)
            else:
                self._tell(pending, outcome)
        self._again(lane, again, "contended")

    async def _failed(
        self, lane: _Lane[C, O], batch: Sequence[Pending[C, O]], error: Exception
    ) -> None:
        failure = classify(error)
        # guard: batch_lost_answer_is_looked_up => if False:
        if failure is Failure.UNKNOWN:
            await self._settle(lane, batch)
        elif failure is Failure.UNAVAILABLE:
            for pending in batch:
                self._put_off(pending, partial(_unavailable, error))
        elif len(batch) > 1:
            metrics.BATCH_RETRIES.labels(lane.handler.kind, "split").inc(len(batch))
            await (self._halve if failure is Failure.REFUSED else self._isolate)(lane, batch)
        elif failure is Failure.TRANSIENT:
            self._again(lane, batch, "transient")
        else:
            self._refuse(batch, partial(_copy, error))

    async def _halve(self, lane: _Lane[C, O], batch: Sequence[Pending[C, O]]) -> None:
        """Find the command that spoils the transaction of all: halve until it stands alone."""
        for half in _halves(batch):
            await self._decide(lane, half)

    async def _isolate(self, lane: _Lane[C, O], batch: Sequence[Pending[C, O]]) -> None:
        """Decide each command alone, so that who waits for somebody's lock waits for itself only.

        Halving would wait for that lock once per half, and the neighbours with it. Where the database
        stalls for all of them, the time ends it.
        """
        self._in_time(batch)  # Their time runs from this failure, also of those whose turn is late.
        until = self._clock() + self._limits.isolation_timeout_s
        for at, pending in enumerate(batch):
            if self._clock() >= until:
                self._again(lane, batch[at:], "transient")
                return
            await self._decide(lane, [pending])

    async def _settle(self, lane: _Lane[C, O], batch: Sequence[Pending[C, O]]) -> None:
        """Learn what an interrupted transaction did; decide anew what it did not do.

        Where a look-up cannot end the old transaction, it may still be running. Its locks and its
        idempotency keys then make the new one wait, retry or find what the old one did, so that only
        one takes effect.
        Until the new one has an outcome the command stays in doubt: nobody hears that nothing was done.
        """
        try:
            outcomes = await self._look_up(lane, batch)
        except Exception as error:
            if len(batch) > 1 and classify(error) is Failure.REFUSED:
                for half in _halves(batch):
                    await self._settle(lane, half)
            else:
                self._refuse(batch, partial(_caused, OutcomeUnknown, error))
            return
        again = []
        for pending, outcome in zip(batch, outcomes, strict=True):
            if outcome is None:
                pending.in_doubt = True
                again.append(pending)
            else:
                self._tell(pending, outcome)
        self._again(lane, again, "unknown")

    async def _look_up(
        self, lane: _Lane[C, O], batch: Sequence[Pending[C, O]]
    ) -> Sequence[O | None]:
        """Ask until there is an answer, the question itself is refused, or it took too long."""
        until = self._clock() + self._limits.unknown_outcome_timeout_s
        tries = 0
        while True:
            tries += 1
            try:
                found = await lane.handler.look_up(lane.key, [p.command for p in batch])
            except Exception as error:
                if classify(error) is Failure.REFUSED or self._clock() >= until:
                    raise
                await asyncio.sleep(self._backoff_s(tries))
                continue
            if len(found) != len(batch):
                raise IntegrityError(f"{lane.handler.kind}: {len(found)} of {len(batch)} found")
            return found

    def _again(self, lane: _Lane[C, O], batch: Sequence[Pending[C, O]], reason: str) -> None:
        """Put commands back into their lane, at their place in the order, after a short back-off."""
        again: list[Pending[C, O]] = []
        for pending, in_time in zip(batch, self._in_time(batch), strict=True):
            if in_time:
                again.append(pending)
            else:
                self._put_off(pending, pending.too_late)
        if not again:
            return
        metrics.BATCH_RETRIES.labels(lane.handler.kind, reason).inc(len(again))
        delay_s = self._backoff_s(min(pending.attempts for pending in again))
        asyncio.get_running_loop().call_later(delay_s, self._return, lane, again)

    def _in_time(self, batch: Sequence[Pending[C, O]]) -> list[bool]:
        """Say who may be tried again; a command's time runs from its first failure."""
        now = self._clock()
        for pending in batch:
            pending.give_up_at = min(pending.give_up_at, now + self._limits.retry_for_s)
        # guard: batch_time_of_busy_command_is_bounded: now < pending.give_up_at => True
        return [now < pending.give_up_at for pending in batch]

    def _backoff_s(self, tries: int) -> float:
        doublings = min(tries - 1, _BACKOFF_DOUBLINGS_MAX)
        return min(_BACKOFF_FIRST_S * 2.0**doublings, _BACKOFF_LAST_S) * (0.5 + self._jitter())

    def _return(self, old: _Lane[C, O], batch: list[Pending[C, O]]) -> None:
        batch = [pending for pending in batch if not pending.told]
        if not batch:
            return
        for pending in batch:
            pending.since = self._clock()
        lane = self._lane(old.handler, old.key)
        # Two batches may come back in the wrong order, so the head of the lane is not enough.
        lane.waiting = deque(sorted([*batch, *lane.waiting], key=_arrival))
        self._give_turn(lane)
        self._start_batches()

    def _tell(self, pending: Pending[C, O], outcome: O) -> None:
        for waiter in self._settled(pending):
            waiter.set_result(outcome)

    def _refuse(self, batch: Sequence[Pending[Any, Any]], problem: Callable[[], Exception]) -> None:
        for pending in batch:
            for waiter in self._settled(pending):
                waiter.set_exception(problem())

    def _put_off(self, pending: Pending[Any, Any], problem: Callable[[], Exception]) -> None:
        """Refuse with the word that nothing was done, where that is known."""
        # guard: batch_in_doubt_is_not_reported_as_undone => self._refuse([pending], problem)
        self._refuse([pending], OutcomeUnknown if pending.in_doubt else problem)

    def _settled(self, pending: Pending[C, O]) -> list[asyncio.Future[O]]:
        """Take a command out of the books and return those who still wait for it."""
        # guard: batch_outcome_is_delivered_once {
        if pending.told:
            return []
        # guard: }
        pending.told = True
        self._leave()
        if pending.identity is not None:
            del self._by_identity[pending.identity]
        return [waiter for waiter in pending.waiters if not waiter.done()]


async def _outcome_of(pending: Pending[Any, O]) -> O:
    waiter: TasklessFuture[O] = TasklessFuture(loop=asyncio.get_running_loop())
    pending.waiters.append(waiter)
    return await waiter


def _arrival(pending: Pending[Any, Any]) -> int:
    return pending.number


def _halves(batch: Sequence[Pending[C, O]]) -> tuple[Sequence[Pending[C, O]], ...]:
    middle = len(batch) // 2
    return batch[:middle], batch[middle:]


# Each caller gets an exception of its own: tasks that raise a shared one mix up their tracebacks.


def _copy(error: Exception) -> Exception:
    made = copy.copy(error)
    made.__cause__ = error.__cause__
    return made.with_traceback(error.__traceback__)


def _unavailable(error: Exception) -> Unavailable:
    make = partial(copy.copy, error) if isinstance(error, Unavailable) else Unavailable
    return _caused(make, error)


def _caused(problem: Callable[[], Unavailable], error: Exception) -> Unavailable:
    made = problem()
    made.__cause__ = error
    return made
