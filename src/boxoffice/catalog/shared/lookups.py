"""Look-ups that one process reads for all, through Valkey.

Only what a process has already is read in turns, in the background and before it is too old: a request
waits for no other process, and an id that may be made up costs Valkey no key.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from typing import Any

from boxoffice.platform.valkey import Valkey, ValkeyUnavailable
from boxoffice.platform.valkey.reading_turns import (
    PublishedReading,
    ReadingTurn,
    ReadingTurns,
    ReadingWanted,
    turn_script,
)

_TAKE = turn_script("boxoffice.catalog.shared", "take_lookup")
_PUBLISH = turn_script("boxoffice.catalog.shared", "publish_lookup")

_TURN_S = 0.25
_POLL_S = 0.01
# A request that waits for a first look-up waits so long for another process's.
_FIRST_WAIT_S = 0.05


class SharedLookups:
    """Look-ups by key, of processes of one release: another one's may lack a field.

    `is_active` says whether there are processes to share with. A published look-up has one part, its
    bytes; a turn without a token publishes nothing.
    """

    def __init__(
        self,
        valkey: Valkey,
        is_active: Callable[[], bool],
        start: Callable[[Coroutine[Any, Any, None]], None],
        release: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.is_active = is_active
        self._turns = ReadingTurns(valkey, _TAKE, _PUBLISH, clock)
        self._start = start
        self._release = release
        self._clock = clock

    async def first(self, key: str, after: float) -> PublishedReading | ReadingTurn:
        """Return a look-up that began after `after` if there is one; waits for nothing else."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FIRST_WAIT_S):
                return await self._find(key, ReadingWanted(after))
        return ReadingTurn()

    async def next(self, key: str, after: float, wait_s: float) -> PublishedReading | ReadingTurn:
        """The same, and wait up to `wait_s` for another process that is reading."""
        if wait_s <= 0:
            return ReadingTurn()
        until = self._clock() + wait_s
        return await self._find(key, ReadingWanted(after, until, _POLL_S, _TURN_S))

    def publish(self, key: str, turn: ReadingTurn, body: bytes) -> None:
        """Publish what was read in a turn, in the background."""
        if turn.token:
            self._start(self._publish(key, turn, body))

    async def _find(self, key: str, wanted: ReadingWanted) -> PublishedReading | ReadingTurn:
        with contextlib.suppress(ValkeyUnavailable):
            found = await self._turns.find(self._keys(key), wanted)
            if found is not None:
                return found
        return ReadingTurn()

    async def _publish(self, key: str, turn: ReadingTurn, body: bytes) -> None:
        with contextlib.suppress(ValkeyUnavailable):
            await self._turns.publish(self._keys(key), turn, body)

    def _keys(self, key: str) -> list[str]:
        known_as = f"boxoffice:lookup:{self._release}:{{{key}}}"
        return [known_as, f"{known_as}:turn"]
