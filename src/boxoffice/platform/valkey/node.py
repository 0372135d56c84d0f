"""One server of Valkey: a bounded pool, a deadline per call, and a circuit breaker of its own."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from hashlib import sha1
from typing import Any

from prometheus_client import Counter, Gauge
from redis.asyncio import BlockingConnectionPool, ConnectionPool, Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AskError,
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    TryAgainError,
)

from boxoffice.errors import BoxofficeError
from boxoffice.platform.circuit_breaker import CircuitBreaker
from boxoffice.platform.concurrency.tasks import cancellations, raise_if_cancelled
from boxoffice.platform.valkey.address import Connection
from boxoffice.settings import ValkeySettings

VALKEY_FAILURES = Counter(
    "boxoffice_valkey_failures_total", "Calls that Valkey failed or missed.", ("node",)
)
VALKEY_BREAKERS_OPEN = Gauge(
    "boxoffice_valkey_breakers_open",
    "Open circuit breakers: to these servers of Valkey no calls are sent, but for probes.",
    ("node",),
    multiprocess_mode="livesum",
)

_SUBSCRIPTIONS_MAX = 4
# Errors of a server that has become a replica: reconnect, perhaps to another one.
_OTHER_ROLE = (ReadOnlyError, MasterDownError, BusyLoadingError)
# A node of a Cluster answers so about a slot; the node itself is well. MOVED is an `AskError`.
_OF_A_SLOT = (AskError, TryAgainError, ClusterDownError)


class ValkeyUnavailable(BoxofficeError):
    """Valkey did not answer in time, refused, or is skipped by the breaker."""


class SlotElsewhere(BoxofficeError):
    """A node of a Cluster does not serve the slot at the moment; `error` is its answer."""

    def __init__(self, error: RedisError) -> None:
        super().__init__(str(error))
        self.error = error


class Script:
    """A Lua script with its digest; it is sent once per server and called by the digest."""

    def __init__(self, name: str, source: str) -> None:
        self.name = name
        self.source = source
        # Valkey identifies scripts by SHA-1; it is not used for security.
        self.digest = sha1(source.encode(), usedforsecurity=False).hexdigest()


class ValkeyNode:
    """Scripts and commands with a deadline; raises `ValkeyUnavailable`.

    With `in_cluster` it raises `SlotElsewhere` too.
    """

    def __init__(
        self, settings: ValkeySettings, connection: Connection, *, in_cluster: bool = False
    ) -> None:
        self.name = str(connection.get("path") or _name(connection))
        self._timeout_s = settings.valkey_timeout_ms / 1000
        self._breaker = CircuitBreaker(
            settings.breaker_failures_max, settings.breaker_open_ms / 1000, self._breaker_changed
        )
        self._is_closed = False
        self._answers_of_slots = _OF_A_SLOT if in_cluster else ()
        # Without CLIENT SETINFO, which Redis 7.0 and an ACL without it would refuse.
        connection = {**connection, "driver_info": None}
        pool = BlockingConnectionPool(
            max_connections=settings.valkey_pool_max,
            timeout=self._timeout_s,
            socket_timeout=self._timeout_s,
            socket_connect_timeout=self._timeout_s,
            # A retry would wait past the deadline; the next batch is the retry.
            retry=Retry(NoBackoff(), 0),
            **connection,
        )
        self._client = Redis(connection_pool=pool)
        # A subscription waits for messages without a socket timeout.
        self._listener = Redis(
            connection_pool=ConnectionPool(
                max_connections=_SUBSCRIPTIONS_MAX,
                socket_connect_timeout=self._timeout_s,
                retry=Retry(NoBackoff(), 0),
                **connection,
            )
        )

    @property
    def is_breaker_open(self) -> bool:
        """Whether the breaker is open."""
        return self._breaker.is_open

    async def close(self) -> None:
        """Close every connection; one that does not close in time ends with the process."""
        # A server that is no longer called has no open breaker, though calls in progress fail now.
        self._breaker.succeeded()
        self._is_closed = True
        for client in (self._client, self._listener):
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                await client.aclose(close_connection_pool=True)

    async def run(
        self,
        script: Script,
        keys: Sequence[str],
        args: Sequence[str | bytes | int],
        timeout_s: float | None = None,
    ) -> Any:
        """Run `script` and return its reply."""
        return await self._within_deadline(
            self._evaluate(script, [len(keys), *keys, *args]), timeout_s
        )

    async def command(
        self,
        *words: str | bytes | float,
        key: str | bytes | None = None,
        timeout_s: float | None = None,
    ) -> Any:
        """Send one command and return its reply; `key` is of use in a Cluster only."""
        return await self._within_deadline(self._send(*words), timeout_s)

    async def command_asking(
        self, words: Sequence[str | bytes | float], timeout_s: float | None = None
    ) -> Any:
        """Send one command about a slot that is being moved to this node."""
        return await self._within_deadline(self._send_asking(words), timeout_s)

    def pubsub(self) -> PubSub:
        """Return a subscription of its own connection; the caller closes it."""
        return self._listener.pubsub()

    @asynccontextmanager
    async def subscribed(
        self, channel: str, silence_s: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Lend the messages of a channel; see `Valkey.subscribed`."""
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
            # A restarted or promoted server has no scripts.
            return await self._send("EVAL", script.source, *words)

    async def _send(self, *words: str | bytes | float) -> Any:
        return await self._client.execute_command(*words)  # type: ignore[no-untyped-call]

    async def _send_asking(self, words: Sequence[str | bytes | float]) -> Any:
        """ASKING counts for the next command of its connection only."""
        async with self._client.client() as one:
            await one.execute_command("ASKING")  # type: ignore[no-untyped-call]
            return await one.execute_command(*words)  # type: ignore[no-untyped-call]

    async def _within_deadline(
        self, work: Coroutine[Any, Any, Any], timeout_s: float | None = None
    ) -> Any:
        if not self._breaker.admits(time.monotonic()):
            work.close()
            raise ValkeyUnavailable("the circuit breaker is open")
        before = cancellations()
        try:
            async with asyncio.timeout(self._timeout_s if timeout_s is None else timeout_s):
                reply = await work
        except self._answers_of_slots as error:
            self._breaker.succeeded()
            raise SlotElsewhere(error) from error
        except (RedisError, OSError, TimeoutError) as error:
            self._breaker.failed(time.monotonic())
            VALKEY_FAILURES.labels(self.name).inc()
            if isinstance(error, _OTHER_ROLE):
                await self._reconnect()
            raise ValkeyUnavailable(str(error)) from error
        self._breaker.succeeded()
        raise_if_cancelled(before)
        return reply

    def _breaker_changed(self, is_open: bool) -> None:
        if self._is_closed:
            return
        VALKEY_BREAKERS_OPEN.labels(self.name).inc(1 if is_open else -1)

    async def _reconnect(self) -> None:
        """Close connections after a change of role; the next call resolves the address.

        Connections with a call in progress stay until that call gets the same answer. Subscriptions
        end, and their readers subscribe again.
        """
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(self._timeout_s):
                await self._client.connection_pool.disconnect(inuse_connections=False)
                await self._listener.connection_pool.disconnect()


def _name(connection: Connection) -> str:
    return f"{connection.get('host', 'localhost')}:{connection.get('port', 6379)}"


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
