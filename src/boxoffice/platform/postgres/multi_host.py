"""Connects to the one of several hosts that takes writes.

The driver tries the hosts of an address in turn within one deadline, which a frozen first host uses up.
Here each host only gets a head start (as in RFC 8305, Happy Eyeballs).
"""

import asyncio
import re
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import asyncpg

Task: TypeAlias = "asyncio.Future[asyncpg.Connection[asyncpg.Record]]"

_PARTS = re.compile(r"(?P<before>\w+://(?:[^/?#]*@)?)(?P<hosts>[^/?#]*)(?P<after>.*)", re.DOTALL)
_WRITABLE = "target_session_attrs=read-write"
# In order, so that every pod prefers the same host.
_HEAD_START_S = 0.25


def split_hosts(address: str) -> list[str]:
    """Return one address per host of `address`, in order.

    Unless the address says otherwise, the host of several must take writes.
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
    """Return the first connection that a host accepts; raise what the driver raises."""
    addresses = split_hosts(address)
    if len(addresses) == 1:
        made: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(address, **options)
        return made
    attempts = ConnectionAttempts()
    try:
        return await attempts.first(addresses, options)
    finally:
        await attempts.end()


class ConnectionAttempts:
    """Concurrent attempts to connect, of which one connection is kept."""

    def __init__(self) -> None:
        self._tasks: list[Task] = []
        self._kept: asyncpg.Connection[asyncpg.Record] | None = None
        self._errors: list[BaseException] = []

    async def first(
        self, addresses: Sequence[str], options: dict[str, Any]
    ) -> "asyncpg.Connection[asyncpg.Record]":
        """Start the attempts one after another until one of them succeeds."""
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
        # The primary's error says more than a standby's refusal of writes.
        raise min(self._errors, key=_says_little)

    def _take(self, done: Iterable[Task]) -> None:
        for one in done:
            error = one.exception()
            if error is not None:
                self._errors.append(error)
            elif self._kept is None:
                self._kept = one.result()

    async def end(self) -> None:
        """Cancel the attempts and close every connection that is not kept."""
        for one in self._tasks:
            one.cancel()
        for made in await asyncio.gather(*self._tasks, return_exceptions=True):
            if not isinstance(made, BaseException) and made is not self._kept:
                made.terminate()


def _says_little(error: BaseException) -> bool:
    return isinstance(error, asyncpg.exceptions.TargetServerAttributeNotMatched)
