"""Counters of attempts per time window: shared in Valkey, per process while Valkey is away."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from boxoffice.observability.logs import log
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.valkey import Script, Valkey, ValkeyUnavailable

# A burst of attempts queues here. In the queue for Valkey's connections it would time out and open the
# circuit breaker, which the seat lock shares.
_CALLS_MAX = 4
# Windows that a process counts by itself; above it the oldest is dropped.
_WINDOWS_MAX = 50_000

_COUNT = Script(
    "count_attempt", sql_files.read("boxoffice.accounts.limits", "lua/count_attempt.lua")
)
_FORGIVE = Script(
    "forgive_attempt", sql_files.read("boxoffice.accounts.limits", "lua/forgive_attempt.lua")
)


@dataclass
class _Window:
    attempts: int
    ends_at: float


class LocalAttemptCounters:
    """The decisions of the scripts within this process; `clock` returns monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._windows: OrderedDict[str, _Window] = OrderedDict()

    def count(self, keys: Sequence[str], limits: Sequence[int], window_ms: int) -> int:
        """Count an attempt under every limit and return 0, or return the milliseconds to wait."""
        now = self._clock()
        waits = [
            max(1, int((window.ends_at - now) * 1000))
            for key, limit in zip(keys, limits, strict=True)
            if (window := self._open(key, now)) is not None and window.attempts >= limit
        ]
        if waits:
            return max(waits)
        for key in keys:
            self._add(key, now + window_ms / 1000)
        return 0

    def forgive(self, keys: Sequence[str], *, clear: bool) -> None:
        """Subtract one attempt; with `clear`, all attempts of the first key."""
        now = self._clock()
        for key in keys:
            window = self._open(key, now)
            if window is not None and window.attempts > 0:
                window.attempts -= 1
        if clear:
            self._windows.pop(keys[0], None)

    def fill(self, key: str, limit: int, wait_ms: int) -> None:
        """Let a key have no attempt left for some milliseconds: another process has counted them."""
        now = self._clock()
        self._windows.pop(key, None)
        self._add(key, now + wait_ms / 1000)
        self._windows[key].attempts = limit

    def _open(self, key: str, now: float) -> _Window | None:
        window = self._windows.get(key)
        if window is not None and window.ends_at <= now:
            del self._windows[key]
            return None
        return window

    def _add(self, key: str, ends_at: float) -> None:
        window = self._windows.setdefault(key, _Window(0, ends_at))
        window.attempts += 1
        if len(self._windows) > _WINDOWS_MAX:
            self._windows.popitem(last=False)


class AttemptCounters:
    """Counters shared by all processes.

    While Valkey is away each process counts by itself, from zero: log-ins go on, and a limit applies
    per process. Without any limit, an attacker would gain from taking Valkey down.
    """

    def __init__(self, valkey: Valkey) -> None:
        self._valkey = valkey
        self._local = LocalAttemptCounters()
        self._semaphore = asyncio.Semaphore(_CALLS_MAX)

    async def count(self, keys: Sequence[str], limits: Sequence[int], window_ms: int) -> int:
        """Count an attempt under every limit and return 0, or return the milliseconds to wait.

        The keys share a hash tag.
        """
        try:
            async with self._semaphore:
                return int(await self._valkey.run(_COUNT, keys, (*limits, window_ms)))
        except ValkeyUnavailable as error:
            log.warning("attempts_counted_alone", error=str(error))
            # guard: addresses_process_counts_alone_while_valkey_is_away => return 0
            return self._local.count(keys, limits, window_ms)

    async def forgive(self, keys: Sequence[str], *, clear: bool = False) -> None:
        """Subtract one attempt; with `clear`, all attempts of the first key."""
        try:
            async with self._semaphore:
                await self._valkey.run(_FORGIVE, keys, (int(clear),))
        except ValkeyUnavailable as error:
            log.warning("attempts_counted_alone", error=str(error))
            self._local.forgive(keys, clear=clear)
