"""The queue of one worker: the commands without an outcome, and which of them the next batch takes.

Commands of one lane (a handler and its key, such as the holds of one schedule) share batches, and lanes
take turns. A full queue is one that is too long, or too slow for its length.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Generic, TypeAlias

from boxoffice.batching.commands import BatchHandler, C, GroupCommitLimits, O, Pending, Waiter
from boxoffice.errors import OutcomeUnknown

LaneName: TypeAlias = tuple[str, Hashable]

# The mean covers about this many commands, a tenth of a second under load, ...
_MEMORY_COMMANDS = 512
# ... and at most this many batches, so that one slow batch is soon forgotten at low rates as well.
_MEMORY_BATCHES = 16
# A queue whose head has waited for less than this share of the limit counts as empty.
_SHORT_WAIT = 0.1


@dataclass(eq=False, slots=True)
class CommandLane(Generic[C, O]):
    """The waiting commands of one handler and key; `name` identifies the lane."""

    name: LaneName
    handler: BatchHandler[Any, C, O]
    key: Hashable
    waiting: deque[Pending[C, O]] = field(default_factory=deque)
    queued: bool = False


class ThroughputEstimator:
    """Seconds per command, measured at the ends of batches. Pure.

    A limit on the length of a queue is too high for a slow database and too low for a fast one, so the
    limit is a time, as in CoDel (RFC 8289). Up to `free_max` commands never count as a queue: the next
    batches take them all.
    """

    def __init__(self, free_max: int) -> None:
        self._free_max = free_max
        self.per_command_s = 0.0
        self._last_end = 0.0

    def observe(self, began: float, end: float, commands: int) -> None:
        """Record a batch that was at the database from `began` to `end`.

        Batches overlap, so only the time since the end of the previous batch counts.
        """
        took_s = end - max(began, self._last_end)
        self._last_end = end
        weight = max(1 / _MEMORY_BATCHES, min(1.0, commands / _MEMORY_COMMANDS))
        self.per_command_s += weight * (took_s / commands - self.per_command_s)

    def is_too_slow_for(self, waiting: int, head_waited_s: float, wait_max_s: float) -> bool:
        """Return whether one more behind `waiting` commands would wait for longer than `wait_max_s`.

        The head of the queue must have waited as well, because one batch that met a lock raises the
        mean without making a queue.
        """
        if waiting <= self._free_max:
            return False
        if head_waited_s > wait_max_s:
            return True
        is_queue = head_waited_s > wait_max_s * _SHORT_WAIT
        return is_queue and waiting * self.per_command_s > wait_max_s


class CommandQueue:
    """The pending commands by identity, the waiting ones in lanes; each gets exactly one outcome.

    `count` is the number of pending commands, repetitions that wait for their outcome included;
    `turns` are the lanes with waiting commands, in the order in which they get a batch.
    """

    def __init__(self, limits: GroupCommitLimits, clock: Callable[[], float]) -> None:
        self.count = 0
        self.turns: deque[CommandLane[Any, Any]] = deque()
        self.throughput = ThroughputEstimator(limits.batch_max * limits.batches_in_flight)
        self._limits = limits
        self._clock = clock
        self._arrivals = count()
        self._by_identity: dict[Hashable, Pending[Any, Any]] = {}
        self._lanes: dict[LaneName, CommandLane[Any, Any]] = {}
        self._empty = asyncio.Event()

    def find(self, identity: Hashable) -> Pending[Any, Any] | None:
        """Return the pending command with this identity."""
        return self._by_identity.get(identity)

    def is_full(self) -> bool:
        """Return whether one more command would exceed the limit of length or that of time."""
        # guard: batch_queue_is_bounded => return self._wait_is_too_long()
        # guard: batch_wait_is_bounded: or self._wait_is_too_long() =>
        return self.count >= self._limits.queue_max or self._wait_is_too_long()

    def _wait_is_too_long(self) -> bool:
        if not self.turns:
            return False
        head_waited_s = self._clock() - self.turns[0].waiting[0].waiting_since
        return self.throughput.is_too_slow_for(self.count, head_waited_s, self._limits.wait_max_s)

    def new(self, command: C, identity: Hashable | None) -> Pending[C, Any]:
        """Return a new pending command, which is in no lane yet."""
        pending: Pending[C, Any] = Pending(command, next(self._arrivals), identity, self._clock())
        self.count += 1
        if identity is not None:
            self._by_identity[identity] = pending
        return pending

    def add(self, handler: BatchHandler[Any, C, O], key: Hashable, pending: Pending[C, O]) -> None:
        """Put a new pending command into its lane."""
        lane = self._lane(handler, key)
        lane.waiting.append(pending)
        self._enqueue(lane)

    async def share(self, pending: Pending[Any, O]) -> O:
        """Wait for the outcome of a command that another caller has sent."""
        self.count += 1
        try:
            return await waiter_of(pending)
        finally:
            self._leave()

    def next_batch(
        self, recent: Collection[LaneName]
    ) -> tuple[CommandLane[Any, Any], list[Pending[Any, Any]]] | None:
        """Take a batch of the first lane in turn.

        A lane of `recent` waits for its last batch to return, to make one larger batch then, unless
        `concurrent_min` commands wait: half the cost of a small batch does not depend on its size.
        """
        enough = min(self._limits.concurrent_min, self._limits.batch_max)
        for lane in self.turns:
            if len(lane.waiting) >= enough or lane.name not in recent:
                return lane, self._take(lane)
        return None

    def _take(self, lane: CommandLane[C, O]) -> list[Pending[C, O]]:
        """End a lane's turn and take its batch; the rest waits for another turn."""
        self.turns.remove(lane)
        size = min(len(lane.waiting), self._limits.batch_max)
        batch = [lane.waiting.popleft() for _ in range(size)]
        lane.queued = False
        if lane.waiting:
            self._enqueue(lane)
        else:
            del self._lanes[lane.name]
        return batch

    def put_back(self, old: CommandLane[C, O], batch: Iterable[Pending[C, O]]) -> None:
        """Queue commands without an outcome again, in the order of arrival."""
        waiting = [pending for pending in batch if not pending.resolved]
        if not waiting:
            return
        now = self._clock()
        for pending in waiting:
            pending.waiting_since = now
        lane = self._lane(old.handler, old.key)
        # Two batches may return in the wrong order, so the head of the lane is not the right place.
        lane.waiting = deque(sorted([*waiting, *lane.waiting], key=_arrival))
        self._enqueue(lane)

    def _lane(self, handler: BatchHandler[Any, C, O], key: Hashable) -> CommandLane[C, O]:
        name = (handler.kind, key)
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = CommandLane(name, handler, key)
        return lane

    def _enqueue(self, lane: CommandLane[Any, Any]) -> None:
        if not lane.queued:
            lane.queued = True
            self.turns.append(lane)

    def resolve(self, pending: Pending[Any, O], outcome: O) -> None:
        """Give the callers of a command its outcome."""
        for waiter in self._remove(pending):
            waiter.set_result(outcome)

    def refuse(self, batch: Sequence[Pending[Any, Any]], error: Callable[[], Exception]) -> None:
        """Raise an error of its own in each caller of these commands."""
        for pending in batch:
            for waiter in self._remove(pending):
                waiter.set_exception(error())

    def give_up(self, pending: Pending[Any, Any], error: Callable[[], Exception]) -> None:
        """Refuse a command with `error`, which says that nothing was done, where that is known."""
        # guard: batch_in_doubt_is_not_reported_as_undone => self.refuse([pending], error)
        self.refuse([pending], OutcomeUnknown if pending.in_doubt else error)

    def _remove(self, pending: Pending[Any, O]) -> list[Waiter[O]]:
        # guard: batch_outcome_is_delivered_once {
        if pending.resolved:
            return []
        # guard: }
        pending.resolved = True
        self._leave()
        if pending.identity is not None:
            del self._by_identity[pending.identity]
        return [waiter for waiter in pending.waiters if not waiter.done()]

    def _leave(self) -> None:
        self.count -= 1
        if not self.count:
            self._empty.set()

    async def drain(self) -> None:
        """Return when no command is pending."""
        while self.count:
            self._empty.clear()
            await self._empty.wait()


def waiter_of(pending: Pending[Any, O]) -> asyncio.Future[O]:
    """Return a future of the command's outcome, for one more caller."""
    waiter: asyncio.Future[O] = asyncio.get_running_loop().create_future()
    pending.waiters.append(waiter)
    return waiter


def _arrival(pending: Pending[Any, Any]) -> int:
    return pending.arrival
