"""The client of Valkey: every call has a deadline, and a circuit breaker skips a failed server.

Valkey is the source of truth for nothing. Callers catch `ValkeyUnavailable` and continue without it.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from boxoffice.platform.valkey.address import ValkeyMode, parse
from boxoffice.platform.valkey.cluster import ClusterServers
from boxoffice.platform.valkey.node import Script, ValkeyNode
from boxoffice.platform.valkey.sentinel import SentinelServers
from boxoffice.platform.valkey.tls_files import check_tls_files
from boxoffice.settings import ValkeySettings


class Valkey:
    """Scripts and commands with a deadline; raises `ValkeyUnavailable` and nothing else.

    `cluster` is None unless the address names a Cluster.
    """

    def __init__(self, settings: ValkeySettings) -> None:
        check_tls_files(settings)
        address = parse(settings)
        self._servers: ValkeyNode | SentinelServers | ClusterServers
        self.cluster: ClusterServers | None = None
        if address.mode is ValkeyMode.CLUSTER:
            self._servers = self.cluster = ClusterServers(settings, address)
        elif address.mode is ValkeyMode.SENTINEL:
            self._servers = SentinelServers(settings, address)
        else:
            self._servers = ValkeyNode(settings, address.server)

    @property
    def is_breaker_open(self) -> bool:
        """Whether every server is skipped."""
        return self._servers.is_breaker_open

    async def close(self) -> None:
        """Close every connection; one that does not close in time ends with the process."""
        await self._servers.close()

    async def run(
        self, script: Script, keys: Sequence[str], args: Sequence[str | bytes | int]
    ) -> Any:
        """Run `script` and return its reply; keys must share a hash tag."""
        return await self._servers.run(script, keys, args)

    async def command(self, *words: str | bytes | float, key: str | None = None) -> Any:
        """Send one command and return its reply; `key` is its key where that is not the second word."""
        return await self._servers.command(*words, key=key)

    def subscribed(
        self, channel: str, silence_s: float
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Lend the messages of a channel; raise `ValkeyUnavailable` when the subscription ends.

        It ends with the connection, after `silence_s` without a message, and when the server's output
        buffer overflows. One message is in memory at a time.
        """
        return self._servers.subscribed(channel, silence_s)
