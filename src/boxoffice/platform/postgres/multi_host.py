"""Connects to the one of several servers that takes writes.

The driver asks the hosts of an address one after the other within one deadline: where the first one is
frozen or gone from the network, nobody gets to the second. Here it has a head start only.
"""

import asyncio
import re
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import asyncpg

Task: TypeAlias = "asyncio.Future[asyncpg.Connection[asyncpg.Record]]"

_PARTS = re.compile(r"(?P<before>\w+://(?:[^/?#]*@)?)(?P<hosts>[^/?#]*)(?P<after>.*)", re.DOTALL)
_WRITABLE = "target_session_attrs=read-write"
# In order, so that every pod prefers the same one where several would do.
_HEAD_START_S = 0.25


def single(address: str) -> list[str]:
    """Return an address per host of `address`, in order.

    Of several hosts the one that takes writes is meant, unless the address says otherwise.
    """
    parts = _PARTS.fullmatch(address)
    hosts = parts["hosts"].split(",") if parts else []
    if parts is None or len(hosts) < 2:
        return [address]
    after = parts["after"]
    if "target_session_attrs=" not in after:
        after += ("&" if "?" in after else "?") + _WRITABLE
    return [f"{parts['before']}{host}{after}" for host in hosts]


async def connect(address: str, **options: Any) -> "asyncpg.Connection[asyncpg.Record]":
    """Return the first connection that one of the hosts grants; raise what the driver raises."""
    addresses = single(address)
    if len(addresses) == 1:
        made: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(address, **options)
        return made
    attempts = Attempts()
    try:
        return await attempts.first(addresses, options)
    finally:
        await attempts.end()


class Attempts:
    """Connections that are under way, of which one is kept."""

    def __init__(self) -> None:
        self._tasks: list[Task] = []
        self._kept: asyncpg.Connection[asyncpg.Record] | None = None
        self._errors: list[BaseException] = []

    async def first(
        self, addresses: Sequence[str], options: dict[str, Any]
    ) -> "asyncpg.Connection[asyncpg.Record]":
        """Begin with one address after the other until one of them is there."""
        waiting = list(reversed(addresses))
        pending: set[Task] = set()
        while waiting or pending:
            if waiting:
                asking = asyncio.ensure_future(asyncpg.connect(waiting.pop(), **options))
                self._tasks.append(asking)
                pending.add(asking)
            done, pending = await asyncio.wait(
                pending,
                timeout=_HEAD_START_S if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            self._take(done)
            if self._kept is not None:
                return self._kept
        # That a standby takes no writes says less than why the primary could not be had.
        raise min(self._errors, key=_says_little)

    def _take(self, done: Iterable[Task]) -> None:
        for one in done:
            error = one.exception()
            if error is not None:
                self._errors.append(error)
            elif self._kept is None:
                self._kept = one.result()

    async def end(self) -> None:
        """Hang up on all but the one that is kept."""
        for one in self._tasks:
            one.cancel()
        for made in await asyncio.gather(*self._tasks, return_exceptions=True):
            if not isinstance(made, BaseException) and made is not self._kept:
                made.terminate()


def _says_little(error: BaseException) -> bool:
    return isinstance(error, asyncpg.exceptions.TargetServerAttributeNotMatched)
