"""The master that Sentinels name, asked for again once a second and after a failure.

A promoted replica is another server: it may miss the last writes, and has no scripts. What must not
repeat is rebuilt elsewhere (docs/high-availability.md).
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from boxoffice.observability.logs import log
from boxoffice.platform.valkey.address import HostPort, ValkeyAddress
from boxoffice.platform.valkey.node import Script, ValkeyNode, ValkeyUnavailable
from boxoffice.settings import ValkeySettings

_ASK_EVERY_S = 1.0
# After a failure the Sentinels are asked this often.
_ASK_AFTER_FAILURE_S = 0.1
_LOG_FAILURE_EVERY_S = 5.0


class SentinelServers:
    """Calls go to the master; an answer of the Sentinels replaces it."""

    def __init__(self, settings: ValkeySettings, address: ValkeyAddress) -> None:
        self._settings = settings
        self._address = address
        self._timeout_s = settings.valkey_timeout_ms / 1000
        self._sentinels = [
            ValkeyNode(settings, {**(address.sentinel or {}), "host": host, "port": port})
            for host, port in address.hosts
        ]
        self._master: ValkeyNode | None = None
        self._at: HostPort | None = None
        self._has_failed = False
        self._asked_at = -_ASK_EVERY_S
        self._logged_at = -_LOG_FAILURE_EVERY_S
        self._asking: asyncio.Task[None] | None = None

    @property
    def is_breaker_open(self) -> bool:
        """Whether calls of the master are skipped."""
        return self._master is not None and self._master.is_breaker_open

    async def close(self) -> None:
        """Close every connection."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)
        for node in (*self._sentinels, *([self._master] if self._master else [])):
            await node.close()

    async def run(
        self, script: Script, keys: Sequence[str], args: Sequence[str | bytes | int]
    ) -> Any:
        """Run `script` at the master."""
        try:
            return await (await self._current()).run(script, keys, args)
        except ValkeyUnavailable:
            self._note_failure()
            raise

    async def command(self, *words: str | bytes | float, key: str | bytes | None = None) -> Any:
        """Send one command to the master."""
        try:
            return await (await self._current()).command(*words)
        except ValkeyUnavailable:
            self._note_failure()
            raise

    @asynccontextmanager
    async def subscribed(
        self, channel: str, silence_s: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Lend the messages of a channel at the master; a replaced master ends it."""
        master = await self._current()
        async with master.subscribed(channel, silence_s) as messages:
            yield messages

    async def _current(self) -> ValkeyNode:
        now = time.monotonic()
        wait_s = _ASK_AFTER_FAILURE_S if self._has_failed else _ASK_EVERY_S
        if self._asking is None and now - self._asked_at >= wait_s:
            self._asked_at = now
            self._asking = asyncio.create_task(self._ask())
            self._asking.add_done_callback(self._ended)
        if self._master is None and self._asking is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._timeout_s):
                    await asyncio.shield(self._asking)
        if self._master is None:
            raise ValkeyUnavailable("no Sentinel has named a master")
        return self._master

    def _note_failure(self) -> None:
        self._has_failed = True

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._asking = None
        error = None if task.cancelled() else task.exception()
        now = time.monotonic()
        if error is not None and now - self._logged_at >= _LOG_FAILURE_EVERY_S:
            self._logged_at = now
            log.warning("valkey_sentinels_not_asked", error=repr(error))

    async def _ask(self) -> None:
        """Ask every Sentinel at once; the address that most name is checked first."""
        answers = await asyncio.gather(*(self._named_by(one) for one in self._sentinels))
        had_failed, self._has_failed = self._has_failed, False
        votes = Counter(answer for answer in answers if answer is not None)
        if not votes:
            raise ValkeyUnavailable("no Sentinel has answered, or none knows the master")
        for at, _ in votes.most_common():
            if at == self._at and not had_failed:
                return
            if at != self._at and await self._adopt(at):
                return

    async def _named_by(self, sentinel: ValkeyNode) -> HostPort | None:
        try:
            reply = await sentinel.command(
                "SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._address.master
            )
        except ValkeyUnavailable:
            return None
        return None if reply is None else (reply[0].decode(), int(reply[1]))

    async def _adopt(self, at: HostPort) -> bool:
        """Use a server, if it says itself that it is a master: a Sentinel may be late."""
        host, port = at
        node = ValkeyNode(self._settings, {**self._address.server, "host": host, "port": port})
        try:
            role = await node.command("ROLE")
        except ValkeyUnavailable:
            role = [b"away"]
        if role[0] != b"master":
            await node.close()
            return False
        before, self._master, self._at = self._master, node, at
        if before is not None:
            log.warning("valkey_master_replaced", before=before.name, node=node.name)
            await before.close()
        return True
