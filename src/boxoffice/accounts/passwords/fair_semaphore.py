"""A semaphore whose waiters take turns by kind of work and by client address."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager

from boxoffice.accounts import metrics
from boxoffice.errors import Overloaded, TooMany

LOG_IN = "log_in"
SIGN_UP = "sign_up"

_Future = asyncio.Future[None]


class FairSemaphore:
    """Slots for password hashing, and a bounded queue of waiters per kind of work.

    Kinds alternate, so a flood of sign-ups takes at most every other slot from log-ins. Within a kind
    the addresses take turns: the first waiter of an address waits for at most one waiter of each other
    address. A full queue drops the last waiter of the address with the most, for an address with fewer.
    """

    def __init__(self, slots: int, waiting_max: int) -> None:
        self._free = slots
        # Per kind of work.
        self._waiting_max = waiting_max
        self._queues: OrderedDict[str, _AddressQueue] = OrderedDict()
        for kind in (LOG_IN, SIGN_UP):
            self._queues[kind] = _AddressQueue()

    @property
    def waiting(self) -> int:
        """How many wait, of all kinds."""
        return sum(len(queue) for queue in self._queues.values())

    def check_capacity(self, kind: str, address: str) -> None:
        """Raise `Overloaded` where one more waiter of an address would be refused now."""
        queue = self._queues[kind]
        # guard: hashing_queue_has_bound => if False:
        if len(queue) >= self._waiting_max and not queue.is_longer_elsewhere(address):
            raise Overloaded

    async def acquire(self, kind: str, address: str) -> None:
        """Wait for a slot; raise `Overloaded` where the queue is full."""
        if self._free and not self.waiting:
            self._free -= 1
            return
        self.check_capacity(kind, address)
        queue = self._queues[kind]
        if len(queue) >= self._waiting_max:
            queue.drop_last_of_longest()
        turn: _Future = asyncio.get_running_loop().create_future()
        queue.add(address, turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.release()  # The slot was granted just before the cancellation.
            else:
                queue.remove(address, turn)
            raise

    def release(self) -> None:
        """Free a slot for the next waiter."""
        self._free += 1
        while self._free and self.waiting:
            kind = next(kind for kind, queue in self._queues.items() if len(queue))
            # guard: hashing_kinds_take_turns => pass
            self._queues.move_to_end(kind)
            turn = self._queues[kind].next()
            # A waiter that is cancelled in this turn of the event loop is still in the queue.
            # guard: hashing_cancelled_request_gets_none => if True:
            if not turn.done():
                self._free -= 1
                turn.set_result(None)


class _AddressQueue:
    """Waiters by address; the address whose turn is next comes first."""

    def __init__(self) -> None:
        self._by_address: OrderedDict[str, deque[_Future]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, address: str, turn: _Future) -> None:
        self._by_address.setdefault(address, deque()).append(turn)
        self._count += 1

    def next(self) -> _Future:
        address, turns = next(iter(self._by_address.items()))
        turn = turns.popleft()
        self._count -= 1
        # guard: hashing_addresses_take_turns => pass
        self._by_address.move_to_end(address)
        self._tidy(address)
        return turn

    def remove(self, address: str, turn: _Future) -> None:
        turns = self._by_address.get(address, deque())
        if turn in turns:
            turns.remove(turn)
            self._count -= 1
            self._tidy(address)

    def is_longer_elsewhere(self, address: str) -> bool:
        own = len(self._by_address.get(address, ()))
        return max(map(len, self._by_address.values()), default=0) > own + 1

    def drop_last_of_longest(self) -> None:
        address = max(self._by_address, key=lambda one: len(self._by_address[one]))
        turn = self._by_address[address].pop()
        self._count -= 1
        self._tidy(address)
        if not turn.done():
            turn.set_exception(Overloaded())

    def _tidy(self, address: str) -> None:
        if not self._by_address[address]:
            del self._by_address[address]


class ConcurrencyLimit:
    """Bounds the concurrent attempts of an address in this process, by kind."""

    def __init__(self, per_address_max: int) -> None:
        self._per_address_max = per_address_max
        self._inside: dict[tuple[str, str], int] = {}

    @contextmanager
    def slot(self, kind: str, address: str) -> Iterator[None]:
        """Occupy a slot; raise `TooMany` where the address has no free one."""
        key = kind, address
        inside = self._inside.get(key, 0)
        # guard: hashing_address_has_so_many_places => if False:
        if inside >= self._per_address_max:
            metrics.ATTEMPTS_REFUSED.labels("at_one_time").inc()
            raise TooMany("Too many attempts from this network at one time.", retry_after_s=1)
        self._inside[key] = inside + 1
        try:
            yield
        finally:
            left = self._inside[key] - 1
            if left:
                self._inside[key] = left
            else:
                del self._inside[key]
