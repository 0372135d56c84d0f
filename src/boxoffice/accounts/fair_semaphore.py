"""Who hashes a password next: the kinds of work in turn, and within a kind the addresses in turn."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager

from boxoffice.accounts import metrics
from boxoffice.errors import Overloaded, TooMany

LOG_IN = "log_in"
SIGN_UP = "sign_up"

_Future = asyncio.Future[None]


class Turns:
    """A number of slots, and a bounded queue for them per kind of work.

    However many wait for one address, another one's first is next after at most one of each other
    address, and a flood of sign-ups takes every other turn from log-ins at the most. Where a queue is
    full, who waits last of the address with the most makes room for an address with fewer.
    """

    def __init__(self, slots: int, waiting_max: int) -> None:
        self._free = slots
        # Per kind.
        self._waiting_max = waiting_max
        self._queues: OrderedDict[str, _Queue] = OrderedDict()
        for kind in (LOG_IN, SIGN_UP):
            self._queues[kind] = _Queue()

    @property
    def waiting(self) -> int:
        """How many wait, of all kinds."""
        return sum(len(queue) for queue in self._queues.values())

    def require_room(self, kind: str, address: str) -> None:
        """Raise `Overloaded` where one more of an address would be refused now."""
        queue = self._queues[kind]
        # guard: turns_queue_has_bound => if False:
        if len(queue) >= self._waiting_max and not queue.could_yield_to(address):
            raise Overloaded

    async def take(self, kind: str, address: str) -> None:
        """Return when it is one's turn; raise `Overloaded` where there is no room to wait."""
        if self._free and not self.waiting:
            self._free -= 1
            return
        self.require_room(kind, address)
        queue = self._queues[kind]
        if len(queue) >= self._waiting_max:
            queue.drop_last_of_longest()
        turn: _Future = asyncio.get_running_loop().create_future()
        queue.add(address, turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.give_back()  # It was given just before its owner hung up.
            else:
                queue.remove(address, turn)
            raise

    def give_back(self) -> None:
        """Let the next one have a slot."""
        self._free += 1
        while self._free and self.waiting:
            kind = next(kind for kind, queue in self._queues.items() if len(queue))
            # guard: turns_kinds_take_turns => pass
            self._queues.move_to_end(kind)
            turn = self._queues[kind].next()
            # Whoever hung up in this very turn of the event loop has not left the queue yet.
            # guard: turns_cancelled_request_gets_none => if True:
            if not turn.done():
                self._free -= 1
                turn.set_result(None)


class _Queue:
    """Those who wait, by address; the address whose turn it is comes first."""

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
        # guard: turns_addresses_take_turns => pass
        self._by_address.move_to_end(address)
        self._tidy(address)
        return turn

    def remove(self, address: str, turn: _Future) -> None:
        turns = self._by_address.get(address, deque())
        if turn in turns:
            turns.remove(turn)
            self._count -= 1
            self._tidy(address)

    def could_yield_to(self, address: str) -> bool:
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


class Places:
    """How many attempts an address may have under way at one time in this process, by kind."""

    def __init__(self, per_address_max: int) -> None:
        self._per_address_max = per_address_max
        self._inside: dict[tuple[str, str], int] = {}

    @contextmanager
    def of(self, kind: str, address: str) -> Iterator[None]:
        """Have a place; raise `TooMany` where an address has as many as it may."""
        key = kind, address
        inside = self._inside.get(key, 0)
        # guard: turns_address_has_so_many_places => if False:
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
