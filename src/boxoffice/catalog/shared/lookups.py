"""Look-ups that one process reads for all, through Valkey.

Only what a process has already is read in turns, in the background and before it is too old: a request
waits for no other process, and an id that may be made up costs Valkey no key.
"""

import asyncio
import contextlib
import random
import secrets
import time
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from boxoffice.platform.postgres.sql_files import read
from boxoffice.platform.valkey import Script, Valkey, ValkeyUnavailable

_TAKE = Script("take_lookup", read("boxoffice.catalog.shared", "lua/take_lookup.lua"))
_PUBLISH = Script("publish_lookup", read("boxoffice.catalog.shared", "lua/publish_lookup.lua"))

# The keys of a look-up and of its turn live so long after the turn began.
_KEPT_MS = 60_000
# The age is rounded to milliseconds, and the clocks drift apart meanwhile.
_AGE_ERROR_S = 0.002
_TURN_S = 0.25
_POLL_S = 0.01
# A request that waits for a first look-up waits so long for another process's.
_FIRST_WAIT_S = 0.05


class SharedLookup(NamedTuple):
    """A look-up of another process, begun at `began_at` (monotonic seconds) at the earliest."""

    began_at: float
    body: bytes


class LookupTurn(NamedTuple):
    """This process is to read, and with a token to publish what it has read."""

    token: bytes = b""


class SharedLookups:
    """Look-ups by key, of processes of one release: another one's may lack a field.

    `is_active` says whether there are processes to share with.
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
        self._valkey = valkey
        self._start = start
        self._release = release
        self._clock = clock

    async def first(self, key: str, after: float) -> SharedLookup | LookupTurn:
        """Return a look-up that began after `after` if there is one; waits for nothing else."""
        try:
            async with asyncio.timeout(_FIRST_WAIT_S):
                return await self._take(key, after, b"") or LookupTurn()
        except (TimeoutError, ValkeyUnavailable):
            return LookupTurn()

    async def next(self, key: str, after: float, wait_s: float) -> SharedLookup | LookupTurn:
        """The same, and wait up to `wait_s` for another process that is reading."""
        until = self._clock() + wait_s
        with contextlib.suppress(ValkeyUnavailable):
            while self._clock() < until:
                found = await self._take(key, after, secrets.token_bytes(8))
                if found is not None:
                    return found
                await asyncio.sleep(_POLL_S * random.uniform(1, 2))  # noqa: S311 — no secret
        return LookupTurn()

    def publish(self, key: str, turn: LookupTurn, body: bytes) -> None:
        """Publish what was read in a turn, in the background."""
        if turn.token:
            self._start(self._publish(key, turn.token, body))

    async def _take(self, key: str, after: float, token: bytes) -> SharedLookup | LookupTurn | None:
        """Return a look-up or the turn; None while another process reads. Without a token, no turn."""
        asked_at = self._clock()
        age_max_ms = int(max(-1.0, min(asked_at - after - _AGE_ERROR_S, _KEPT_MS / 1000)) * 1000)
        turn_ms = int(_TURN_S * 1000) if token else 0
        args: list[bytes | int] = [token, age_max_ms, turn_ms, _KEPT_MS]
        answer = await self._valkey.run(_TAKE, self._keys(key), args)
        if isinstance(answer, list):
            return SharedLookup(asked_at - answer[0] / 1000 - _AGE_ERROR_S, answer[1])
        return LookupTurn(token) if answer else None

    async def _publish(self, key: str, token: bytes, body: bytes) -> None:
        # Without Valkey the turn ends, and another process reads.
        with contextlib.suppress(ValkeyUnavailable):
            await self._valkey.run(_PUBLISH, self._keys(key), [token, body])

    def _keys(self, key: str) -> list[str]:
        known_as = f"boxoffice:lookup:{self._release}:{{{key}}}"
        return [known_as, f"{known_as}:turn"]
