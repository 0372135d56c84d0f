"""Runs the application on uvicorn, with the drain that it does not have."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn

from boxoffice.http.server.connection import protocol
from boxoffice.http.server.fast_path import Lane
from boxoffice.http.streams import Streams
from boxoffice.observability.access_log import InFlight
from boxoffice.observability.logs import log
from boxoffice.settings import Settings

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Server(uvicorn.Server):
    """uvicorn without its signal handling: the drain below decides when it stops."""

    streams: Streams | None = None

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, end the event streams, and let requests come to their end."""
        for server in self.servers:
            server.close()
        if self.streams is not None:
            # Only now: who comes back is to find another process.
            self.streams.drain()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to `serve`."""
        yield


async def serve(
    app: Any,
    settings: Settings,
    in_flight: InFlight,
    sock: socket.socket,
    announce: Callable[[], None] = lambda: None,
    lane: Lane | None = None,
    streams: Streams | None = None,
    metrics: tuple[Any, socket.socket] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then drain: readiness goes first, requests in flight finish.

    After `drain_delay_ms`, in which load balancers notice, no connection is accepted, and `streams`
    end; requests still open after `drain_timeout_ms` are cut. What has a `lane` takes it past the
    application. `metrics` are an application and a socket of their own, served until the end.
    """
    server = _server(app, settings, lane)
    server.streams = streams
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _STOP_SIGNALS:
        loop.add_signal_handler(number, stop.set)
    async with _serving_metrics(metrics, settings):
        running = asyncio.create_task(server.serve(sockets=[sock]))
        in_flight.started = True
        announce()
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait([running, stopped], return_when="FIRST_COMPLETED")
        if not running.done():
            await _drain(server, settings, in_flight)
        await running


def _server(app: Any, settings: Settings, lane: Lane | None) -> Server:
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=protocol(settings, lane),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=settings.server.backlog_max,
        timeout_keep_alive=max(1, settings.server.keep_alive_ms // 1000),
        timeout_graceful_shutdown=max(1, settings.server.drain_timeout_ms // 1000),
    )
    return Server(config)


@asynccontextmanager
async def _serving_metrics(
    metrics: tuple[Any, socket.socket] | None, settings: Settings
) -> AsyncIterator[None]:
    """Serve them beside the rest: whatever floods that is no reason not to see it."""
    if metrics is None:
        yield
        return
    app, sock = metrics
    server = _server(app, settings, None)
    running = asyncio.create_task(server.serve(sockets=[sock]))
    try:
        yield
    finally:
        server.should_exit = True
        await running


async def _drain(server: uvicorn.Server, settings: Settings, in_flight: InFlight) -> None:
    in_flight.draining = True
    log.info("draining", in_flight=in_flight.count)
    await asyncio.sleep(settings.server.drain_delay_ms / 1000)
    server.should_exit = True
