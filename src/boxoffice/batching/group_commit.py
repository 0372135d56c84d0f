"""One transaction decides a batch of commands: one round trip, one commit, one fsync.

A batch starts as soon as a slot is free and takes what has arrived, in arrival order; a lone command
does not wait. Commands of one lane (a handler and its key, such as a schedule) share batches, and
lanes take turns. Only a lane whose last batch has just gone to the database waits for it to return,
until enough commands have arrived or `concurrent_after_s` have passed.
"""

import asyncio
import random
import time
from collections.abc import Callable, Hashable
from contextvars import Context
from functools import partial
from typing import Any, TypeVar

from boxoffice.batching import metrics
from boxoffice.batching.commands import BatchHandler, C, GroupCommitLimits, O, Pending
from boxoffice.batching.lanes import CommandLane, CommandLanes, LaneName
from boxoffice.batching.pending import PendingCommands, outcome_of
from boxoffice.batching.retry_after import RetryAfterScheduler
from boxoffice.batching.runner import BatchRunner
from boxoffice.batching.throughput import ThroughputEstimator
from boxoffice.errors import Draining, IdempotencyInFlight, Overloaded

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
        self._throughput = ThroughputEstimator(limits.batch_max * limits.batches_in_flight)
        self._retry_after = RetryAfterScheduler(
            limits.retry_after_max_s, limits.retry_after_share_min
        )
        self._commands = PendingCommands()
        self._lanes = CommandLanes()
        self._runner = BatchRunner(limits, self._commands, self._put_back, clock, jitter)
        self._in_flight: set[asyncio.Task[None]] = set()
        # The batches that went to the database less than `concurrent_after_s` ago, with their lanes.
        self._recent: dict[asyncio.Task[None], LaneName] = {}
        self._starting = False
        self._closing = False

    @property
    def count(self) -> int:
        """How many commands have no outcome yet, repetitions that wait for one included."""
        return self._commands.count

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
        identity = None if command.identity is None else (handler.kind, key, command.identity)
        twin = None if identity is None else self._commands.find(identity)
        # guard: batch_twin_shares_only_same_request => if False:
        if twin is not None and twin.command.fingerprint != command.fingerprint:
            # Its outcome depends on that of the pending request, so it could only wait.
            raise IdempotencyInFlight
        # guard: batch_queue_is_bounded => if self._wait_is_too_long():
        # guard: batch_wait_is_bounded: or self._wait_is_too_long() =>
        if self._commands.count >= self._limits.queue_max or self._wait_is_too_long():
            retry_after_s = self._retry_after.next_s(self._clock(), self._throughput.per_command_s)
            raise Overloaded(retry_after_s=retry_after_s)
        if twin is not None:
            outcome: O = await self._commands.share(twin)
            return outcome
        pending = self._commands.add(command, identity, self._clock())
        self._lanes.add(handler, key, pending)
        self._start_soon()
        return await outcome_of(pending)

    def _wait_is_too_long(self) -> bool:
        since = self._lanes.head_waiting_since()
        if since is None:
            return False
        return self._throughput.is_too_slow_for(
            self._commands.count, self._clock() - since, self._limits.wait_max_s
        )

    async def close(self) -> None:
        """Take no new command and return when every accepted one has its outcome."""
        self._closing = True
        await self._commands.drain()
        await asyncio.gather(*self._in_flight, return_exceptions=True)

    def _start_soon(self) -> None:
        """Start batches after all callbacks of this turn of the event loop.

        Otherwise the first requests of a burst would be batches of their own. This waits for no I/O.
        """
        if not self._starting and len(self._in_flight) < self._limits.batches_in_flight:
            self._starting = True
            asyncio.get_running_loop().call_soon(self._start_batches)

    def _start_batches(self) -> None:
        self._starting = False
        while len(self._in_flight) < self._limits.batches_in_flight:
            lane = self._lanes.next(skipped=self._waits_for_more)
            if lane is None:
                return
            self._start(lane)

    def _waits_for_more(self, lane: CommandLane[Any, Any]) -> bool:
        """Return whether a lane should wait for its last batch and make one larger batch then.

        Half the cost of a small batch does not depend on its size.
        """
        enough = min(self._limits.concurrent_min, self._limits.batch_max)
        return len(lane.waiting) < enough and lane.name in self._recent.values()

    def _start(self, lane: CommandLane[Any, Any]) -> None:
        loop = asyncio.get_running_loop()
        batch = self._lanes.take(lane, self._limits.batch_max)
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

    async def _run(self, lane: CommandLane[C, O], batch: list[Pending[C, O]]) -> None:
        started_at = self._clock()
        metrics.BATCH_COMMANDS.labels(lane.handler.kind).observe(len(batch))
        metrics.BATCH_QUEUE_LENGTH.set(self._commands.count)
        try:
            await self._runner.run(lane, batch)
        finally:
            ended_at = self._clock()
            self._throughput.observe(started_at, ended_at, len(batch))
            metrics.BATCH_SECONDS.labels(lane.handler.kind).observe(ended_at - started_at)
            metrics.BATCH_QUEUE_LENGTH.set(self._commands.count)

    def _put_back(self, lane: CommandLane[C, O], batch: list[Pending[C, O]]) -> None:
        waiting = [pending for pending in batch if not pending.resolved]
        if not waiting:
            return
        now = self._clock()
        for pending in waiting:
            pending.waiting_since = now
        self._lanes.put_back(lane, waiting)
        self._start_batches()
