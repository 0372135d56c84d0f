"""What becomes of a batch that was not decided: failures, lost answers, and what is tried again."""

import asyncio
import copy
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from boxoffice.batching import metrics
from boxoffice.batching.commands import C, GroupCommitLimits, O, Pending
from boxoffice.batching.queue import CommandLane, CommandQueue
from boxoffice.errors import IntegrityError, OutcomeUnknown, Unavailable
from boxoffice.platform.postgres.outcomes import Failure, classify

_BACKOFF_FIRST_S = 0.002
_BACKOFF_LAST_S = 0.1
_BACKOFF_DOUBLINGS_MAX = 6

# Decides the commands of a batch, again or in smaller parts.
Decide = Callable[[CommandLane[Any, Any], Sequence[Pending[Any, Any]]], Awaitable[None]]
# Queues commands that are to be tried again.
PutBack = Callable[[CommandLane[Any, Any], Sequence[Pending[Any, Any]]], None]


class BatchRecovery:
    """Gives each command of a failed batch an outcome, or another try."""

    def __init__(
        self,
        limits: GroupCommitLimits,
        queue: CommandQueue,
        decide: Decide,
        put_back: PutBack,
        clock: Callable[[], float],
        jitter: Callable[[], float],
    ) -> None:
        self._limits = limits
        self._queue = queue
        self._decide = decide
        self._put_back = put_back
        self._clock = clock
        self._jitter = jitter

    async def failed(
        self, lane: CommandLane[C, O], batch: Sequence[Pending[C, O]], error: Exception
    ) -> None:
        """Deal with an error that ended the batch's transaction."""
        failure = classify(error)
        # guard: batch_lost_answer_is_looked_up => if False:
        if failure is Failure.UNKNOWN:
            await self.recover(lane, batch)
        elif failure is Failure.UNAVAILABLE:
            for pending in batch:
                self._queue.give_up(pending, partial(_unavailable, error))
        elif len(batch) > 1:
            metrics.BATCH_RETRIES.labels(lane.handler.kind, "split").inc(len(batch))
            await (self._halve if failure is Failure.REFUSED else self._isolate)(lane, batch)
        elif failure is Failure.TRANSIENT:
            self.retry(lane, batch, "transient")
        else:
            self._queue.refuse(batch, partial(copied, error))

    async def _halve(self, lane: CommandLane[C, O], batch: Sequence[Pending[C, O]]) -> None:
        """Find the command that makes the whole transaction fail: halve until it stands alone."""
        for half in _halves(batch):
            await self._decide(lane, half)

    async def _isolate(self, lane: CommandLane[C, O], batch: Sequence[Pending[C, O]]) -> None:
        """Decide each command alone, so that a lock delays only the commands that need it.

        Halving would wait for the lock once per half. The timeout covers a database that stalls for
        all commands.
        """
        self._may_retry(batch)  # The time of all commands runs from this failure.
        until = self._clock() + self._limits.isolation_timeout_s
        for at, pending in enumerate(batch):
            if self._clock() >= until:
                self.retry(lane, batch[at:], "transient")
                return
            await self._decide(lane, [pending])

    async def recover(self, lane: CommandLane[C, O], batch: Sequence[Pending[C, O]]) -> None:
        """Look up what an interrupted transaction did, and decide again what it did not do.

        Where the look-up could not end the old transaction, it may still be running. Its locks and
        idempotency keys make the new one wait, retry or find what the old one did, so that only one
        takes effect. Until then the command stays in doubt, and is never refused as not done.
        """
        try:
            outcomes = await self._look_up(lane, batch)
        except Exception as error:  # the callers get it, or halves are tried
            if len(batch) > 1 and classify(error) is Failure.REFUSED:
                for half in _halves(batch):
                    await self.recover(lane, half)
            else:
                self._queue.refuse(batch, partial(_caused, OutcomeUnknown, error))
            return
        again = []
        for pending, outcome in zip(batch, outcomes, strict=True):
            if outcome is None:
                pending.in_doubt = True
                again.append(pending)
            else:
                self._queue.resolve(pending, outcome)
        self.retry(lane, again, "unknown")

    async def _look_up(
        self, lane: CommandLane[C, O], batch: Sequence[Pending[C, O]]
    ) -> Sequence[O | None]:
        """Repeat the look-up until it succeeds, is refused or takes too long."""
        until = self._clock() + self._limits.unknown_outcome_timeout_s
        tries = 0
        while True:
            tries += 1
            try:
                found = await lane.handler.look_up(lane.key, [p.command for p in batch])
            except Exception as error:  # repeated unless it was refused
                if classify(error) is Failure.REFUSED or self._clock() >= until:
                    raise
                await asyncio.sleep(self._backoff_s(tries))
                continue
            if len(found) != len(batch):
                raise IntegrityError(f"{lane.handler.kind}: {len(found)} of {len(batch)} found")
            return found

    def retry(self, lane: CommandLane[C, O], batch: Sequence[Pending[C, O]], reason: str) -> None:
        """Queue commands again after a short back-off; give up those whose time is over."""
        again: list[Pending[Any, Any]] = []
        for pending, in_time in zip(batch, self._may_retry(batch), strict=True):
            if in_time:
                again.append(pending)
            else:
                self._queue.give_up(pending, pending.timeout_error)
        if not again:
            return
        metrics.BATCH_RETRIES.labels(lane.handler.kind, reason).inc(len(again))
        delay_s = self._backoff_s(min(pending.attempts for pending in again))
        asyncio.get_running_loop().call_later(delay_s, self._put_back, lane, again)

    def _may_retry(self, batch: Sequence[Pending[C, O]]) -> list[bool]:
        """Return which commands may be tried again; their time runs from the first failure."""
        now = self._clock()
        for pending in batch:
            pending.give_up_at = min(pending.give_up_at, now + self._limits.retry_for_s)
        # guard: batch_time_of_busy_command_is_bounded: now < pending.give_up_at => True
        return [now < pending.give_up_at for pending in batch]

    def _backoff_s(self, tries: int) -> float:
        doublings = min(tries - 1, _BACKOFF_DOUBLINGS_MAX)
        return min(_BACKOFF_FIRST_S * 2.0**doublings, _BACKOFF_LAST_S) * (0.5 + self._jitter())


def _halves(batch: Sequence[Pending[C, O]]) -> tuple[Sequence[Pending[C, O]], ...]:
    middle = len(batch) // 2
    return batch[:middle], batch[middle:]


def copied(error: Exception) -> Exception:
    """Return an exception for one caller: tasks that raise a shared one mix up their tracebacks."""
    made = copy.copy(error)
    made.__cause__ = error.__cause__
    return made.with_traceback(error.__traceback__)


def _unavailable(error: Exception) -> Unavailable:
    make = partial(copy.copy, error) if isinstance(error, Unavailable) else Unavailable
    return _caused(make, error)


def _caused(make: Callable[[], Unavailable], error: Exception) -> Unavailable:
    made = make()
    made.__cause__ = error
    return made
