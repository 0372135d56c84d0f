"""The commands without an outcome, and how each gets exactly one."""

import asyncio
from collections.abc import Callable, Hashable, Sequence
from itertools import count
from typing import Any

from boxoffice.batching.commands import C, O, Pending
from boxoffice.errors import OutcomeUnknown


class PendingCommands:
    """Counts the pending commands and finds repetitions; `count` includes waiting repetitions."""

    def __init__(self) -> None:
        self.count = 0
        self._arrivals = count()
        self._by_identity: dict[Hashable, Pending[Any, Any]] = {}
        self._empty = asyncio.Event()

    def find(self, identity: Hashable) -> Pending[Any, Any] | None:
        """Return the pending command with this identity."""
        return self._by_identity.get(identity)

    def add(self, command: C, identity: Hashable | None, now: float) -> Pending[C, Any]:
        """Record a new command."""
        pending: Pending[C, Any] = Pending(command, next(self._arrivals), identity, now)
        self.count += 1
        if identity is not None:
            self._by_identity[identity] = pending
        return pending

    async def share(self, pending: Pending[Any, O]) -> O:
        """Wait for the outcome of a command that another caller has sent."""
        self.count += 1
        try:
            return await outcome_of(pending)
        finally:
            self._leave()

    async def drain(self) -> None:
        """Return when no command is pending."""
        while self.count:
            self._empty.clear()
            await self._empty.wait()

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

    def _remove(self, pending: Pending[Any, O]) -> list[asyncio.Future[O]]:
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


async def outcome_of(pending: Pending[Any, O]) -> O:
    """Wait for the outcome of a command."""
    waiter: asyncio.Future[O] = asyncio.get_running_loop().create_future()
    pending.waiters.append(waiter)
    return await waiter
