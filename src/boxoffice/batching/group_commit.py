"""One transaction decides a batch of commands: one round trip, one commit, one fsync.

A batch starts as soon as a slot is free and takes what has arrived, in arrival order; a lone command
does not wait. Only a lane whose last batch has just gone to the database waits for it to return, until
enough commands have arrived or `concurrent_after_s` have passed.
"""

import asyncio
import random
import time
from collections.abc import Callable, Hashable, Sequence
from contextvars import Context
from functools import partial
from typing import TypeVar

from boxoffice.batching import metrics
from boxoffice.batching.commands import (
    BatchHandler,
    C,
    GroupCommitLimits,
    HandOver,
    O,
    Pending,
    Retry,
    Waiter,
)
from boxoffice.batching.queue import CommandLane, CommandQueue, LaneName, waiter_of
from boxoffice.batching.recovery import BatchRecovery, copied
from boxoffice.batching.retry_after import RetryAfterScheduler
from boxoffice.errors import (
    Draining,
    IdempotencyInFlight,
    IntegrityError,
    OutcomeUnknown,
    Overloaded,
)
from boxoffice.platform.postgres.outcomes import StatementForbidden

K = TypeVar("K", bound=Hashable)


class GroupCommit:
    """Collects commands into batches; `submit` returns when the command's transaction is durable."""

    def __init__(
        self,
        limits: GroupCommitLimits,
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._retry_after = RetryAfterScheduler(
            limits.retry_after_max_s, limits.retry_after_share_min
        )
        self._queue = CommandQueue(limits, clock)
        self._recovery = BatchRecovery(
            limits, self._queue, self._decide, self._put_back, clock, jitter
        )
        self._in_flight: set[asyncio.Task[None]] = set()
        # The look-ups of commands whose collector has not answered.
        self._looking_up: set[asyncio.Task[None]] = set()
        # Gives commands to other processes; None: every command is decided here.
        self.hand_over: HandOver | None = None
        # The batches that went to the database less than `concurrent_after_s` ago, with their lanes.
        self._recent: dict[asyncio.Task[None], LaneName] = {}
        self._starting = False
        self._closing = False

    @property
    def count(self) -> int:
        """How many commands have no outcome yet, repetitions that wait for one included."""
        return self._queue.count

    async def submit(self, handler: BatchHandler[K, C, O], key: K, command: C) -> O:
        """Queue `command` in its lane and return its outcome once it is committed.

        Cancelling the caller does not cancel the command: it is decided all the same.

        Raises:
            Draining: this process is shutting down; nothing was done.
            IdempotencyInFlight: another request with its identity has no outcome yet; nothing was done.
            Overloaded: the wait would be too long, or concurrent transactions blocked the command for
                too long; nothing was done.
            Unavailable: the database cannot decide now; nothing was done.
            OutcomeUnknown: the answer was lost, and it is not known what was done.
        """
        # guard: batch_nothing_new_while_it_closes {
        if self._closing:
            raise Draining
        # guard: }
        identity = command.identity
        twin = None
        if identity is not None:
            identity = (handler.kind, key, identity)
            twin = self._queue.find(identity)
        # guard: batch_twin_shares_only_same_request => if False:
        if twin is not None and twin.command.fingerprint != command.fingerprint:
            # Its outcome depends on that of the pending request, so it could only wait.
            raise IdempotencyInFlight
        if self._queue.is_full():
            per_command_s = self._queue.throughput.per_command_s
            retry_after_s = self._retry_after.next_s(self._clock(), per_command_s)
            raise Overloaded(retry_after_s=retry_after_s)
        if twin is not None:
            shared: O = await self._queue.share(twin)
            return shared
        pending = self._queue.new(command, identity)
        outcome: asyncio.Future[O] = waiter_of(pending)
        if self.hand_over is None or not self.hand_over.take(handler, key, pending):
            self._queue.add(handler, key, pending)
            self._start_soon()
        return await outcome

    def collect(
        self,
        handler: BatchHandler[K, C, O],
        key: K,
        command: C,
        waiter: Waiter[O],
        number: int,
        retry_for_s: float,
    ) -> bool:
        """Queue a command of a peer; return False, and do nothing, where the peer is to decide it.

        The peer may forbid the decision by `number`. A command that stays blocked goes back after
        `retry_for_s`.
        """
        # guard: batch_collects_nothing_while_it_closes => if self._queue.is_full():
        if self._closing or self._queue.is_full():
            return False
        identity = command.identity
        if identity is not None:
            identity = (handler.kind, key, identity)
            # guard: batch_twin_of_a_peer_goes_back => if False:
            if self._queue.find(identity) is not None:
                return False
        pending = self._queue.new(command, identity)
        pending.number = number
        pending.give_up_at = self._clock() + retry_for_s
        pending.waiters.append(waiter)
        self._queue.add(handler, key, pending)
        self._start_soon()
        return True

    def resolve(self, pending: Pending[C, O], outcome: O) -> None:
        """Give the callers of a command the outcome that its collector has answered."""
        self._queue.resolve(pending, outcome)

    def decide_alone(
        self, handler: BatchHandler[K, C, O], key: K, batch: Sequence[Pending[C, O]]
    ) -> None:
        """Decide commands here with which a collector has surely done nothing."""
        self._put_back(CommandLane((handler.kind, key), handler, key), batch)

    def look_up(
        self, handler: BatchHandler[K, C, O], key: K, batch: Sequence[Pending[C, O]]
    ) -> None:
        """Find out what a collector did with commands, and decide here what it did not.

        The look-up forbids their number first, as for a statement whose answer was lost.
        """
        lane = CommandLane((handler.kind, key), handler, key)
        loop, size = asyncio.get_running_loop(), self._limits.batch_max
        for at in range(0, len(batch), size):
            part = batch[at : at + size]
            task = loop.create_task(self._recovery.recover(lane, part), context=Context())
            self._looking_up.add(task)
            task.add_done_callback(self._looking_up.discard)

    async def close(self) -> None:
        """Take no new command and return when every accepted one has its outcome."""
        self._closing = True
        await self._queue.drain()
        await asyncio.gather(*self._in_flight, *self._looking_up, return_exceptions=True)

    def _start_soon(self) -> None:
        """Start batches after all callbacks of this turn of the event loop.

        Otherwise the first requests of a burst would be batches of their own. This waits for no I/O.
        """
        if not self._starting and len(self._in_flight) < self._limits.batches_in_flight:
            self._starting = True
            asyncio.get_running_loop().call_soon(self._start_batches)

    def _start_batches(self) -> None:
        self._starting = False
        while self._queue.turns and len(self._in_flight) < self._limits.batches_in_flight:
            taken = self._queue.next_batch(self._recent.values())
            if taken is None:
                return
            self._start(*taken)

    def _start(self, lane: CommandLane[C, O], batch: Sequence[Pending[C, O]]) -> None:
        loop = asyncio.get_running_loop()
        # A batch belongs to many requests, so it must not log as the one that started it.
        task = loop.create_task(self._run(lane, batch), context=Context())
        self._in_flight.add(task)
        self._recent[task] = lane.name
        timer = loop.call_later(self._limits.concurrent_after_s, self._take_long, task)
        task.add_done_callback(partial(self._finished, timer))

    def _take_long(self, task: "asyncio.Task[None]") -> None:
        self._recent.pop(task, None)
        self._start_batches()

    def _finished(self, timer: asyncio.TimerHandle, task: "asyncio.Task[None]") -> None:
        timer.cancel()
        self._recent.pop(task, None)
        self._in_flight.discard(task)
        self._start_batches()

    async def _run(self, lane: CommandLane[C, O], batch: Sequence[Pending[C, O]]) -> None:
        """Decide a batch: afterwards each command has an outcome or is to be tried again."""
        started_at = self._clock()
        kind = lane.handler.kind
        metrics.BATCH_COMMANDS.labels(kind).observe(len(batch))
        metrics.BATCH_QUEUE_LENGTH.set(self._queue.count)
        try:
            await self._decide(lane, batch)
        except BaseException:
            # Cancelled while the commands were at the database: no caller may wait for ever.
            self._queue.refuse(batch, OutcomeUnknown)
            raise
        finally:
            ended_at = self._clock()
            self._queue.throughput.observe(started_at, ended_at, len(batch))
            metrics.BATCH_SECONDS.labels(kind).observe(ended_at - started_at)
            metrics.BATCH_QUEUE_LENGTH.set(self._queue.count)

    async def _decide(self, lane: CommandLane[C, O], batch: Sequence[Pending[C, O]]) -> None:
        for pending in batch:
            pending.attempts += 1
        try:
            outcomes = await lane.handler.handle(lane.key, batch)
        except StatementForbidden as forbidden:
            self._separate(lane, batch, forbidden)
            return
        except Exception as error:  # `failed` classifies it
            await self._recovery.failed(lane, batch, error)
            return
        # guard: batch_as_many_outcomes_as_commands => if False:
        if len(outcomes) != len(batch):
            bug = IntegrityError(f"{lane.handler.kind}: {len(outcomes)} outcomes for {len(batch)}")
            self._queue.refuse(batch, partial(copied, bug))
            return
        again = []
        for pending, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, Retry):
                pending.timeout_error = outcome.refusal
                again.append(pending)
            else:
                self._queue.resolve(pending, outcome)
        if again:
            self._recovery.retry(lane, again, "contended")

    def _separate(
        self, lane: CommandLane[C, O], batch: Sequence[Pending[C, O]], forbidden: StatementForbidden
    ) -> None:
        """Return a batch of which a peer decides commands itself: nothing was done with any of it."""
        numbered = [pending for pending in batch if pending.number is not None]
        self._queue.refuse(numbered, partial(copied, forbidden))
        self._put_back(lane, batch)

    def _put_back(self, lane: CommandLane[C, O], batch: Sequence[Pending[C, O]]) -> None:
        self._queue.put_back(lane, batch)
        self._start_batches()
