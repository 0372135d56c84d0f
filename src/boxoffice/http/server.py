"""Runs the ASGI application on uvicorn, with the deadlines and the drain that it does not have."""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from boxoffice.http.middleware import InFlight
from boxoffice.platform import telemetry
from boxoffice.settings import Settings

_SEGMENT_MAX_BYTES = 262_144
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_REFUSAL = (
    b"HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: 0\r\nRetry-After: 1\r\n"
    b"Connection: close\r\n\r\n"
)


def bounded_protocol(settings: Settings) -> type[HttpToolsProtocol]:
    """Return uvicorn's protocol with a deadline and a size limit for heads, and a connection limit.

    Without them a client that sends a byte a second keeps a connection for ever.
    """
    head_timeout_s = settings.header_timeout_ms / 1000

    class BoundedProtocol(HttpToolsProtocol):
        _head_timer: asyncio.TimerHandle | None = None
        _head_bytes = 0
        _reading_head = True

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if len(self.connections) > settings.connections_max:
                self._refuse(b"503 Service Unavailable")
                return
            self._arm()

        def data_received(self, data: bytes) -> None:
            if self._reading_head:
                self._head_bytes += len(data)
                # A segment may carry the start of the body too; one segment is 256 KiB at the most.
                if self._head_bytes > settings.header_max_bytes + _SEGMENT_MAX_BYTES:
                    self._refuse(b"431 Request Header Fields Too Large")
                    return
            if not self.transport.is_closing():
                super().data_received(data)

        def on_message_begin(self) -> None:
            self._arm()
            super().on_message_begin()

        def on_headers_complete(self) -> None:
            self._disarm()
            super().on_headers_complete()

        def connection_lost(self, exc: Exception | None) -> None:
            self._disarm()
            super().connection_lost(exc)

        def _arm(self) -> None:
            self._disarm()
            self._reading_head = True
            self._head_bytes = 0
            self._head_timer = self.loop.call_later(head_timeout_s, self._give_up)

        def _disarm(self) -> None:
            self._reading_head = False
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None

        def _give_up(self) -> None:
            self._refuse(b"408 Request Timeout")

        def _refuse(self, status: bytes) -> None:
            self._disarm()
            if not self.transport.is_closing():
                self.transport.write(_REFUSAL % status)
                self.transport.close()

    return BoundedProtocol


class Server(uvicorn.Server):
    """uvicorn without its signal handling: the drain below decides when it stops."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to `serve`."""
        yield


def listen(settings: Settings, *, shared: bool = False) -> socket.socket:
    """Return a listening socket; raise `OSError` where the port is taken.

    `shared` lets several sockets of one user listen on the port, each with its own connections.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        sock.bind((settings.host, settings.port))
        sock.listen(settings.backlog_max)
    except OSError:
        sock.close()
        raise
    return sock


async def serve(
    app: Any,
    settings: Settings,
    in_flight: InFlight,
    sock: socket.socket,
    announce: Callable[[], None] = lambda: None,
) -> None:
    """Serve until SIGTERM or SIGINT, then drain: readiness goes first, requests in flight finish.

    After `drain_delay_ms`, in which load balancers notice, no connection is accepted; requests still
    open after `drain_timeout_ms` are cut.
    """
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=bounded_protocol(settings),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=max(1, settings.keep_alive_ms // 1000),
        timeout_graceful_shutdown=max(1, settings.drain_timeout_ms // 1000),
    )
    server = Server(config)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _STOP_SIGNALS:
        loop.add_signal_handler(number, stop.set)
    running = asyncio.create_task(server.serve(sockets=[sock]))
    in_flight.started = True
    announce()
    await asyncio.wait([running, asyncio.create_task(stop.wait())], return_when="FIRST_COMPLETED")
    if not running.done():
        await _drain(server, settings, in_flight)
    await running


async def _drain(server: uvicorn.Server, settings: Settings, in_flight: InFlight) -> None:
    in_flight.draining = True
    telemetry.log.info("draining", in_flight=in_flight.count)
    await asyncio.sleep(settings.drain_delay_ms / 1000)
    server.should_exit = True
