"""Runs the ASGI application on uvicorn, with the deadlines and the drain that it does not have."""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from boxoffice.errors import CannotListen
from boxoffice.http.middleware import InFlight
from boxoffice.platform import telemetry
from boxoffice.settings import Settings

_SEGMENT_MAX_BYTES = 262_144
# The refusal of a slow body goes out before the connection is closed.
_BODY_GRACE_S = 1.0
_VERSIONS = ("1.0", "1.1")
_HEAD_TOO_LARGE = b"431 Request Header Fields Too Large"
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_REFUSAL = b"HTTP/1.1 %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with deadlines for heads and bodies, and limits of size and connections.

    Without them a client that sends a byte a second keeps a connection for ever. Handlers have a
    deadline for the body that they read; this one is for the others: for a body that is not begun, for
    one that nobody reads, and for one that goes on after it was refused.
    """

    limits: ClassVar[Settings]

    _timer: asyncio.TimerHandle | None = None
    _received_bytes = 0
    _head_bytes = 0
    _reading_head = True
    _reading_body = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or refuse it where there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections_max:
            self._refuse(b"503 Service Unavailable\r\nRetry-After: 1")
            return
        self._arm()

    def data_received(self, data: bytes) -> None:
        """Parse `data`, unless a line of the head has grown out of bounds."""
        if self._reading_head:
            self._received_bytes += len(data)
            # A segment may carry the start of the body too; one segment is 256 KiB at the most.
            if self._received_bytes > self.limits.header_max_bytes + _SEGMENT_MAX_BYTES:
                self._refuse(_HEAD_TOO_LARGE)
                return
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self._timer is None:
            self._watch()

    def on_message_begin(self) -> None:
        """Start the clock of a head."""
        self._arm()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Weigh the target."""
        self._weigh(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Weigh a field."""
        self._weigh(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Stop the clock of the head."""
        self._disarm()
        self._received_bytes = 0
        if self.parser.get_http_version() not in _VERSIONS:
            # The parser turns this into its own error and stops.
            raise ValueError("no such version of HTTP")
        self._reading_body = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Stop the clock of the body."""
        self._disarm()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, or not acceptable HTTP."""
        if self._head_bytes > self.limits.header_max_bytes:
            self._refuse(_HEAD_TOO_LARGE)
            return
        self._disarm()
        super().send_400_response(msg)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the clock."""
        self._disarm()
        super().connection_lost(exc)

    def _weigh(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > self.limits.header_max_bytes:
            # The parser turns this into its own error and stops.
            raise ValueError("the head is too large")

    def _watch(self) -> None:
        if self._reading_body:
            wait_s = self.limits.body_timeout_ms / 1000 + _BODY_GRACE_S
            self._timer = self.loop.call_later(wait_s, self._give_body_up)
        elif self.cycle is not None and self.cycle.response_complete:
            # A blank line between requests stops uvicorn's clock and begins nothing.
            self._arm()

    def _arm(self) -> None:
        self._disarm()
        self._reading_head = True
        self._head_bytes = 0
        self._timer = self.loop.call_later(
            self.limits.header_timeout_ms / 1000, self._refuse, b"408 Request Timeout"
        )

    def _disarm(self) -> None:
        self._reading_head = self._reading_body = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_body_up(self) -> None:
        if self.cycle.response_started:
            self.transport.close()
        else:
            self._refuse(b"408 Request Timeout")

    def _refuse(self, status: bytes) -> None:
        self._disarm()
        if not self.transport.is_closing():
            self.transport.write(_REFUSAL % status)
            self.transport.close()


def bounded_protocol(settings: Settings) -> type[BoundedProtocol]:
    """Return the protocol with the limits of `settings`."""

    class Bounded(BoundedProtocol):
        limits = settings

    return Bounded


class Server(uvicorn.Server):
    """uvicorn without its signal handling: the drain below decides when it stops."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to `serve`."""
        yield


def listen(settings: Settings, *, shared: bool = False) -> socket.socket:
    """Return a listening socket; raise `CannotListen` where the port is taken.

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
    except (OSError, OverflowError) as error:
        sock.close()
        raise CannotListen(
            f"cannot listen on {settings.host}:{settings.port}: {error}; "
            "another port is chosen with --port or BOXOFFICE_PORT"
        ) from error
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
