"""The client of Valkey: every call has a deadline, and a circuit breaker skips a failed server.

Valkey is the source of truth for nothing. Callers catch `ValkeyUnavailable` and continue without it.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from hashlib import sha1
from typing import Any

from prometheus_client import Counter, Gauge
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    BusyLoadingError,
    MasterDownError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
)

from boxoffice.errors import BoxofficeError
from boxoffice.platform.circuit_breaker import CircuitBreaker
from boxoffice.platform.concurrency.tasks import cancellations, raise_if_cancelled
from boxoffice.settings import ValkeySettings

VALKEY_FAILURES = Counter("boxoffice_valkey_failures_total", "Calls that Valkey failed or missed.")

VALKEY_BREAKERS_OPEN = Gauge(
    "boxoffice_valkey_breakers_open",
    "Open circuit breakers: to these servers of Valkey no calls are sent, but for probes.",
    multiprocess_mode="livesum",
)

_SUBSCRIPTIONS_MAX = 4
# Errors of a server that has become a replica: reconnect, perhaps to another one.
_OTHER_ROLE = (ReadOnlyError, MasterDownError, BusyLoadingError)


class ValkeyUnavailable(BoxofficeError):
    """Valkey did not answer in time, refused, or is skipped by the breaker."""


def breaker_changed(is_open: bool) -> None:
    """Count an open breaker, or one that has closed."""
    VALKEY_BREAKERS_OPEN.inc(1 if is_open else -1)


class Script:
    """A Lua script with its digest; it is sent once per server and called by the digest."""

    def __init__(self, name: str, source: str) -> None:
        self.name = name
        self.source = source
        # Valkey identifies scripts by SHA-1; it is not used for security.
        self.digest = sha1(source.encode(), usedforsecurity=False).hexdigest()


class Valkey:
    """Scripts and commands with a deadline; raises `ValkeyUnavailable` and nothing else."""

    def __init__(self, settings: ValkeySettings) -> None:
        self._timeout_s = settings.valkey_timeout_ms / 1000
        self._breaker = CircuitBreaker(
            settings.breaker_failures_max, settings.breaker_open_ms / 1000, breaker_changed
        )
        pool = BlockingConnectionPool.from_url(
            settings.valkey_url,
            max_connections=settings.valkey_pool_max,
            timeout=self._timeout_s,
            socket_timeout=self._timeout_s,
            socket_connect_timeout=self._timeout_s,
            # A retry would wait past the deadline; the next batch is the retry.
            retry=Retry(NoBackoff(), 0),
        )
        self._client = Redis(connection_pool=pool)
        # A subscription waits for messages without a socket timeout.
        self._listener: Redis = Redis.from_url(
            settings.valkey_url,
            max_connections=_SUBSCRIPTIONS_MAX,
            socket_connect_timeout=self._timeout_s,
            retry=Retry(NoBackoff(), 0),
        )

    @property
    def is_breaker_open(self) -> bool:
        """Whether the breaker is open."""
        return self._breaker.is_open

    async def close(self) -> None:
        """Close every connection; one that does not close in time ends with the process."""
        for client in (self._client, self._listener):
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                await client.aclose(close_connection_pool=True)

    async def run(
        self, script: Script, keys: Sequence[str], args: Sequence[str | bytes | int]
    ) -> Any:
        """Run `script` and return its reply; keys must share a hash tag."""
        return await self._within_deadline(self._evaluate(script, [len(keys), *keys, *args]))

    async def command(self, *words: str | bytes | float) -> Any:
        """Send one command and return its reply."""
        return await self._within_deadline(self._send(*words))

    @asynccontextmanager
    async def subscribed(
        self, channel: str, silence_s: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Lend the messages of a channel; raise `ValkeyUnavailable` when the subscription ends.

        It ends with the connection, after `silence_s` without a message, and when the server's output
        buffer overflows. One message is in memory at a time.
        """
        pubsub = self._listener.pubsub(ignore_subscribe_messages=True)
        before = cancellations()
        try:
            async with asyncio.timeout(silence_s):
                await pubsub.subscribe(channel)
            raise_if_cancelled(before)
            yield _messages(pubsub, silence_s)
        except (RedisError, OSError, TimeoutError) as error:
            raise ValkeyUnavailable(str(error)) from error
        finally:
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                await pubsub.aclose()  # type: ignore[no-untyped-call]

    async def _evaluate(self, script: Script, words: Sequence[str | bytes | int]) -> Any:
        try:
            return await self._send("EVALSHA", script.digest, *words)
        except NoScriptError:
            # A restarted server has no scripts.
            return await self._send("EVAL", script.source, *words)

    async def _send(self, *words: str | bytes | float) -> Any:
        return await self._client.execute_command(*words)  # type: ignore[no-untyped-call]

    async def _within_deadline(self, work: Coroutine[Any, Any, Any]) -> Any:
        if not self._breaker.admits(time.monotonic()):
            work.close()
            raise ValkeyUnavailable("the circuit breaker is open")
        before = cancellations()
        try:
            async with asyncio.timeout(self._timeout_s):
                reply = await work
        except (RedisError, OSError, TimeoutError) as error:
            self._breaker.failed(time.monotonic())
            VALKEY_FAILURES.inc()
            if isinstance(error, _OTHER_ROLE):
                await self._reconnect()
            raise ValkeyUnavailable(str(error)) from error
        self._breaker.succeeded()
        raise_if_cancelled(before)
        return reply

    async def _reconnect(self) -> None:
        """Close connections after a change of role; the next call resolves the address.

        Connections with a call in progress stay until that call gets the same answer. Subscriptions
        end, and their readers subscribe again.
        """
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(self._timeout_s):
                await self._client.connection_pool.disconnect(inuse_connections=False)
                await self._listener.connection_pool.disconnect()


async def _messages(pubsub: Any, silence_s: float) -> AsyncIterator[bytes]:
    until = time.monotonic() + silence_s
    before = cancellations()
    while True:
        message = await pubsub.get_message(timeout=max(0.001, until - time.monotonic()))
        raise_if_cancelled(before)
        if message is not None:
            until = time.monotonic() + silence_s
            yield message["data"]
        elif time.monotonic() >= until:
            raise ValkeyUnavailable(f"nothing was heard for {silence_s} s")
