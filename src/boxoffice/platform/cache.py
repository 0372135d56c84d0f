"""A bounded LRU cache with one load at a time per key."""

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from boxoffice.errors import NotFound

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T")

# How long "not found" is cached.
ABSENT_TTL_S = 0.05


class _Entry(Generic[V]):
    __slots__ = ("due_at", "read_at", "until", "value", "weight")

    def __init__(
        self, value: V, read_at: float, until: float, weight: int, due_at: float = math.inf
    ) -> None:
        self.value = value
        self.read_at = read_at
        self.due_at = due_at
        self.until = until
        self.weight = weight


class _Load(Generic[V]):
    __slots__ = ("started_at", "task")

    def __init__(self, started_at: float) -> None:
        self.started_at = started_at
        self.task: asyncio.Task[V]


class Cache(Generic[K, V]):
    """Values by key, loaded when missing or too old.

    `ttl_s` returns how long a value may be served, from the start of its load (monotonic seconds), and
    `due_s` after how long a request for it starts the next load in the background.
    Concurrent callers share one load; loads of one key never overlap unless the key was invalidated.
    Keys that were not found (`NotFound`) are cached for `absent_ttl_s`, at most `ABSENT_MAX` and apart
    from the values, so that requests for made-up keys cost few reads and evict no value. That time is
    short, because another process may create the key, and clients take a 404 as final.
    """

    ABSENT_MAX = 10_000

    def __init__(
        self,
        load: Callable[[K], Awaitable[V]],
        *,
        ttl_s: Callable[[V], float],
        weight_max: int,
        weigh: Callable[[V], int] = lambda _value: 1,
        absent_ttl_s: float = ABSENT_TTL_S,
        clock: Callable[[], float] = time.monotonic,
        due_s: Callable[[V], float] = lambda _value: math.inf,
    ) -> None:
        self._load = load
        self._ttl_s = ttl_s
        self._due_s = due_s
        self._weight_max = weight_max
        self._weigh = weigh
        self._absent_ttl_s = absent_ttl_s
        self._clock = clock
        self._entries: OrderedDict[K, _Entry[V]] = OrderedDict()
        self._weight = 0
        self._absent: OrderedDict[K, _Entry[type[NotFound]]] = OrderedDict()
        self._loads: dict[K, _Load[V]] = {}
        # The event loop holds tasks weakly: a load without callers must not be collected.
        self._running: set[asyncio.Task[V]] = set()

    def __len__(self) -> int:
        return len(self._entries)

    async def get(self, key: K, max_age_s: float | None = None) -> V:
        """Return the value of `key`, read at most `max_age_s` before this call; 0 reads again.

        Raises what the load raises; a failure other than `NotFound` is not kept.
        """
        # Clocks tick: a read that started in the tick of this call may have started before it.
        after = -math.inf if max_age_s is None else self._clock() - max_age_s
        while True:
            entry = self._fresh(self._entries, key, after)
            if entry is not None:
                if self._clock() >= entry.due_at and key not in self._loads:
                    self._start(key)
                return entry.value
            absent = self._fresh(self._absent, key, after)
            if absent is not None:
                raise absent.value
            load = self._loads.get(key)
            if load is None:
                return await asyncio.shield(self._start(key).task)
            if load.started_at > after:
                return await asyncio.shield(load.task)
            # This load is too old for the caller; waiting callers share the next one.
            await asyncio.wait([load.task])

    def get_cached(self, key: K) -> V | None:
        """Return the value that `get` would return without a load; None where it would load."""
        entry = self._entries.get(key)
        if entry is None or entry.until <= self._clock():
            return None
        self._entries.move_to_end(key)
        return entry.value

    def peek(self, key: K) -> V | None:
        """Return the value that was stored last, however old it is."""
        entry = self._entries.get(key)
        return entry.value if entry is not None else None

    def values(self) -> list[V]:
        """Return every value that is kept, however old it is."""
        return [entry.value for entry in self._entries.values()]

    def invalidate(self, key: K) -> None:
        """Drop `key`; a load in progress is returned to its callers and not kept."""
        self._drop(key)
        self._absent.pop(key, None)
        self._loads.pop(key, None)

    def clear(self) -> None:
        """Drop everything."""
        for key in [*self._entries, *self._absent, *self._loads]:
            self.invalidate(key)

    def forget_absent(self) -> None:
        """Drop cached absences; loads in progress are not kept."""
        self._absent.clear()
        self._loads.clear()

    def _fresh(
        self, entries: "OrderedDict[K, _Entry[T]]", key: K, after: float
    ) -> _Entry[T] | None:
        entry = entries.get(key)
        if entry is None or entry.read_at <= after or entry.until <= self._clock():
            return None
        entries.move_to_end(key)
        return entry

    def _start(self, key: K) -> _Load[V]:
        load: _Load[V] = _Load(self._clock())
        self._loads[key] = load
        load.task = asyncio.create_task(self._run(key, load))
        self._running.add(load.task)
        load.task.add_done_callback(self._finished)
        return load

    def _finished(self, task: "asyncio.Task[V]") -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # a failure without callers needs no warning

    async def _run(self, key: K, load: _Load[V]) -> V:
        try:
            value = await self._load(key)
        except NotFound as error:
            if self._end(key, load):
                self._keep_absent(key, type(error), load.started_at)
            raise
        except BaseException:
            self._end(key, load)
            raise
        if self._end(key, load):
            self._keep(key, value, load.started_at)
        return value

    def _end(self, key: K, load: _Load[V]) -> bool:
        """End a load and say whether its result is still wanted."""
        wanted = self._loads.get(key) is load
        if wanted:
            del self._loads[key]
        return wanted

    def _keep(self, key: K, value: V, read_at: float) -> None:
        self._drop(key)
        self._absent.pop(key, None)
        until, due_at = read_at + self._ttl_s(value), read_at + self._due_s(value)
        entry = _Entry(value, read_at, until, self._weigh(value), due_at)
        self._entries[key] = entry
        self._weight += entry.weight
        # The newest one stays even where it alone is too heavy: it was requested just now.
        while self._weight > self._weight_max and len(self._entries) > 1:
            self._drop(next(iter(self._entries)))

    def _keep_absent(self, key: K, kind: type[NotFound], read_at: float) -> None:
        self._drop(key)
        self._absent[key] = _Entry(kind, read_at, read_at + self._absent_ttl_s, 1)
        while len(self._absent) > self.ABSENT_MAX:
            self._absent.popitem(last=False)

    def _drop(self, key: K) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._weight -= entry.weight
