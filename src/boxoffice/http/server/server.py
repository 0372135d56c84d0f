"""Serves a router on a socket; on a stop, requests in flight are completed."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from boxoffice.http.api.router import Router
from boxoffice.http.server.connection import Connection
from boxoffice.http.server.context import ConnectionLimits, ServerContext, connection_limits
from boxoffice.http.streams import Streams
from boxoffice.observability.access_log import AccessLog
from boxoffice.observability.logs import log
from boxoffice.settings import Settings

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# Time to send the answers of cancelled requests.
_CUT_GRACE_S = 1.0


class Server:
    """Connections on one listening socket; `streams` end before the server waits for requests."""

    def __init__(
        self,
        router: Router,
        access_log: AccessLog,
        limits: ConnectionLimits,
        streams: Streams | None = None,
    ) -> None:
        self.context = ServerContext(router, access_log, limits)
        self._streams = streams
        self._listening: asyncio.Server | None = None

    async def start(self, sock: socket.socket, backlog_max: int) -> None:
        """Accept connections from `sock`, which the server closes when it stops."""
        context = self.context
        self._listening = await context.loop.create_server(
            lambda: Connection(context), sock=sock, backlog=backlog_max
        )

    async def stop(self) -> None:
        """Accept no more connections, end the streams, and wait for requests in flight.

        Requests that are open after the drain timeout are cancelled.
        """
        if self._listening is not None:
            self._listening.close()
        if self._streams is not None:
            # After the listening socket closed, so that a reader reconnects to another process.
            self._streams.drain()
        connections = self.context.connections
        for connection in list(connections):
            connection.shutdown()
        if await self.context.wait_until_empty(self.context.limits.drain_timeout_s):
            return
        log.warning("requests_cut", connections=len(connections))
        for connection in list(connections):
            connection.cancel_request()
        if not await self.context.wait_until_empty(_CUT_GRACE_S):
            for connection in list(connections):
                connection.abort()


async def serve(
    router: Router,
    access_log: AccessLog,
    settings: Settings,
    sock: socket.socket,
    announce: Callable[[], None] = lambda: None,
    streams: Streams | None = None,
    metrics: tuple[Router, socket.socket] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then drain: readiness goes first, requests in flight finish.

    After `drain_delay_ms`, in which load balancers notice, no connection is accepted, and `streams`
    end; requests still open after `drain_timeout_ms` are cut. `metrics` are a router and a socket of
    their own, served until the end.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _STOP_SIGNALS:
        loop.add_signal_handler(number, stop.set)
    in_flight = access_log.in_flight
    async with _serving_metrics(metrics, access_log, settings):
        server = Server(router, access_log, connection_limits(settings.server), streams)
        await server.start(sock, settings.server.backlog_max)
        in_flight.started = True
        announce()
        await stop.wait()
        in_flight.draining = True
        log.info("draining", in_flight=in_flight.count)
        await asyncio.sleep(settings.server.drain_delay_ms / 1000)
        await server.stop()


@asynccontextmanager
async def _serving_metrics(
    metrics: tuple[Router, socket.socket] | None, access_log: AccessLog, settings: Settings
) -> AsyncIterator[None]:
    """Serve the metrics on a socket of their own, so that they stay readable under overload."""
    if metrics is None:
        yield
        return
    router, sock = metrics
    server = Server(router, access_log, connection_limits(settings.server))
    await server.start(sock, settings.server.backlog_max)
    try:
        yield
    finally:
        await server.stop()
