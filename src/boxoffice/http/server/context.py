"""The context that the connections of one server share: limits, counts, and the router."""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from boxoffice.http.api.router import Router
from boxoffice.http.server.address_limit import AddressLimit
from boxoffice.http.server.answers import AnswerWriter
from boxoffice.http.server.exchange import Deadlines, Exchange
from boxoffice.http.server.parsing import Refusal
from boxoffice.http.server.proxies import TrustedProxies, trusted_proxies
from boxoffice.http.server.write_buffers import WriteBufferBudget
from boxoffice.observability.access_log import AccessLog
from boxoffice.observability.tracing import spans
from boxoffice.settings import ServerSettings

if TYPE_CHECKING:
    from boxoffice.http.server.connection import Connection
    from boxoffice.observability.tracing.tracer import ProcessTracer

_LATER = b"retry-after: 1\r\n"
_TOO_MANY = Refusal(503, "too_many_connections", _LATER)
_TOO_MANY_OF_ONE = Refusal(429, "too_many_of_one_address", _LATER)


@dataclass(frozen=True)
class ConnectionLimits:
    """The limits of one connection, and of all connections of a server together."""

    connections_max: int
    connections_per_address_max: int
    head_max_bytes: int
    fields_max: int
    pipelined_requests_max: int
    unsent_max_bytes: int
    head_timeout_s: float
    body_timeout_s: float
    write_timeout_s: float
    keep_alive_s: float
    drain_timeout_s: float


def connection_limits(settings: ServerSettings) -> ConnectionLimits:
    """Return the limits of the settings."""
    return ConnectionLimits(
        connections_max=settings.connections_max,
        connections_per_address_max=settings.connections_per_address_max,
        head_max_bytes=settings.header_max_bytes,
        fields_max=settings.header_fields_max,
        pipelined_requests_max=settings.pipelined_requests_max,
        unsent_max_bytes=settings.unsent_max_bytes,
        head_timeout_s=settings.header_timeout_ms / 1000,
        body_timeout_s=settings.body_timeout_ms / 1000,
        write_timeout_s=settings.write_timeout_ms / 1000,
        keep_alive_s=max(1.0, settings.keep_alive_ms / 1000),
        drain_timeout_s=max(1.0, settings.drain_timeout_ms / 1000),
    )


class ServerContext:
    """The router, the limits and the counts of a server."""

    def __init__(
        self,
        router: Router,
        access_log: AccessLog,
        limits: ConnectionLimits,
        proxies: TrustedProxies | None = None,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.router = router
        self.in_flight = access_log.in_flight
        self.limits = limits
        self.proxies = proxies or trusted_proxies()
        self.answers = AnswerWriter(access_log)
        self.exchange_class = Exchange
        if (tracer := spans.current()) is not None:
            self._trace(tracer, access_log)
        self.deadlines = Deadlines()
        self.write_budget = WriteBufferBudget(limits.unsent_max_bytes)
        # Each connection with its bucket in the count of connections per address.
        self.connections: dict[Connection, str | None] = {}
        self._by_address = AddressLimit(limits.connections_per_address_max)
        self._is_empty = asyncio.Event()

    def _trace(self, tracer: "ProcessTracer", access_log: AccessLog) -> None:
        from boxoffice.http.server import traced  # noqa: PLC0415 — needs optional packages

        self.answers = traced.TracedAnswers(access_log)
        self.exchange_class = traced.traced_exchange(tracer)

    def add(self, connection: "Connection", address: str | None) -> Refusal | None:
        """Count a connection until `remove`; return why it is refused, None if it is accepted.

        A trusted proxy has the connections of all its clients and is not counted by address.
        """
        self.connections[connection] = None
        self._is_empty.clear()
        if len(self.connections) > self.limits.connections_max:
            return _TOO_MANY
        if address is not None and not self.proxies.trusts(address):
            if self._by_address.is_reached(address):
                return _TOO_MANY_OF_ONE
            self.connections[connection] = self._by_address.add(address)
        return None

    def remove(self, connection: "Connection") -> None:
        """Remove a closed connection."""
        bucket = self.connections.pop(connection, None)
        if bucket is not None:
            self._by_address.remove(bucket)
        if not self.connections:
            self._is_empty.set()

    async def wait_until_empty(self, timeout_s: float) -> bool:
        """Wait until all connections are closed; return False at the timeout."""
        try:
            async with asyncio.timeout(timeout_s):
                while self.connections:
                    await self._is_empty.wait()
        except TimeoutError:
            return False
        return True
