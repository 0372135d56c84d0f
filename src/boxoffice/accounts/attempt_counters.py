"""Counts of attempts in windows: of all processes in Valkey, of this one while Valkey is away."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from boxoffice.observability.logs import log
from boxoffice.platform.postgres import sql_files
from boxoffice.platform.valkey import Script, Valkey, ValkeyUnavailable

# A storm of attempts queues here and not for Valkey's connections: there it would run into the
# deadline, open the breaker that the seat lock shares, and so switch the shared counts off.
_CALLS_MAX = 4
# Windows that a process counts by itself; past it the oldest is forgotten.
_WINDOWS_MAX = 50_000

_COUNT = Script("count_attempt", sql_files.read("boxoffice.accounts", "lua/count_attempt.lua"))
_FORGIVE = Script(
    "forgive_attempt", sql_files.read("boxoffice.accounts", "lua/forgive_attempt.lua")
)


@dataclass
class _Window:
    attempts: int
    ends_at: float


class LocalCounts:
    """The same decisions as the scripts', within this process; `clock` is monotonic seconds."""

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
        """Take one attempt back; with `clear`, all of the first key."""
        now = self._clock()
        for key in keys:
            window = self._open(key, now)
            if window is not None and window.attempts > 0:
                window.attempts -= 1
        if clear:
            self._windows.pop(keys[0], None)

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


class Counts:
    """Counts for all processes together.

    While Valkey is away each process counts by itself, from nothing: people get in, and a limit lets
    through at most as many times more as there are processes. A shop that is open matters more than an
    exact brake, and a brake that is off would be worth taking Valkey away for.
    """

    def __init__(self, valkey: Valkey) -> None:
        self._valkey = valkey
        self._local = LocalCounts()
        self._turns = asyncio.Semaphore(_CALLS_MAX)

    async def count(self, keys: Sequence[str], limits: Sequence[int], window_ms: int) -> int:
        """Count an attempt under every limit and return 0, or return the milliseconds to wait.

        The keys share a hash tag.
        """
        try:
            async with self._turns:
                return int(await self._valkey.run(_COUNT, keys, (*limits, window_ms)))
        except ValkeyUnavailable as error:
            log.warning("attempts_counted_alone", error=str(error))
            # guard: addresses_process_counts_alone_while_valkey_is_away => return 0
            return self._local.count(keys, limits, window_ms)

    async def forgive(self, keys: Sequence[str], *, clear: bool = False) -> None:
        """Take one attempt back; with `clear`, all of the first key."""
        try:
            async with self._turns:
                await self._valkey.run(_FORGIVE, keys, (int(clear),))
        except ValkeyUnavailable as error:
            log.warning("attempts_counted_alone", error=str(error))
            self._local.forgive(keys, clear=clear)
