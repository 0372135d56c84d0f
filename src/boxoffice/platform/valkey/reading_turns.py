"""Readings in turns: one process reads for all, and publishes in Valkey what it has read.

Valkey says whose turn it is, and how long ago a published reading began.
"""

import asyncio
import random
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from boxoffice.platform.postgres.sql_files import read
from boxoffice.platform.valkey import Script, Valkey

# The keys of a published reading and of its turn live so long after the turn began.
KEPT_MS = 60_000
# The age is rounded to milliseconds, and the clocks drift apart meanwhile.
AGE_ERROR_S = 0.002
_SHARED = read("boxoffice.platform.valkey", "lua/reading_turn.lua")


class ReadingWanted(NamedTuple):
    """Which reading is wanted: it began after `after` (monotonic seconds).

    Another process is waited for until `until`, and asked again every `poll_s` to twice that. A turn
    lasts `turn_s`; 0 asks for none, because what is to be read may not exist.
    """

    after: float
    until: float = 0.0
    poll_s: float = 0.0
    turn_s: float = 0.0


class PublishedReading(NamedTuple):
    """A reading of another process: it began at `began_at` (monotonic seconds here) at the earliest.

    `parts` are those that the script returns after the age.
    """

    began_at: float
    parts: Sequence[Any]


class ReadingTurn(NamedTuple):
    """This process is to read, and with a token to publish what it has read."""

    token: bytes = b""


def turn_script(package: str, name: str) -> Script:
    """Return a script of the folder `lua` of a package, after the text that those of turns share."""
    return Script(name, _SHARED + read(package, f"lua/{name}.lua"))


class ReadingTurns:
    """The turns of one kind of reading; `take` and `publish` are its scripts.

    Keys are those of the published reading and of its turn, then those of the script. `clock` counts
    monotonic seconds.
    """

    def __init__(
        self,
        valkey: Valkey,
        take: Script,
        publish: Script,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._valkey = valkey
        self._take = take
        self._publish = publish
        self._clock = clock

    async def find(
        self, keys: Sequence[str], wanted: ReadingWanted, *args: bytes | int
    ) -> PublishedReading | ReadingTurn | None:
        """Return a reading or the turn; None where another process has not published in time.

        Raises `ValkeyUnavailable`.
        """
        while True:
            token, asked_at = secrets.token_bytes(8), self._clock()
            answer = await self._valkey.run(
                self._take, keys, [token, *_limits_ms(wanted, asked_at), KEPT_MS, *args]
            )
            if isinstance(answer, list):
                age_ms, *parts = answer
                return PublishedReading(asked_at - age_ms / 1000 - AGE_ERROR_S, parts)
            if answer:
                return ReadingTurn(token)
            if self._clock() >= wanted.until:
                return None
            await asyncio.sleep(wanted.poll_s * random.uniform(1, 2))  # noqa: S311 — no secret

    async def publish(self, keys: Sequence[str], turn: ReadingTurn, *args: bytes | int) -> int:
        """Publish what was read in a turn; return what the script does, 0 where the turn is gone.

        Raises `ValkeyUnavailable`; then the turn ends by itself, and another process reads.
        """
        result: int = await self._valkey.run(self._publish, keys, [turn.token, *args])
        return result


def _limits_ms(wanted: ReadingWanted, asked_at: float) -> tuple[int, int]:
    """Return how old a reading may be, and how long a turn lasts."""
    age_max_s = max(-1.0, min(asked_at - wanted.after - AGE_ERROR_S, KEPT_MS / 1000))
    # A missing turn is older than its key lives, so a longer one would never begin.
    return int(age_max_s * 1000), min(int(wanted.turn_s * 1000), KEPT_MS)
