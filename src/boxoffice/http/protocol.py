"""HTTP/1.1 on one connection: uvicorn's protocol with what it does not have.

`BoundedProtocol` adds deadlines and limits, `LaneProtocol` the swift lane.
"""

import asyncio
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from boxoffice.http.lane import Lane, Run
from boxoffice.settings import Settings

_SEGMENT_MAX_BYTES = 262_144
# The refusal of a slow body goes out before the connection is closed.
_BODY_GRACE_S = 1.0
_VERSIONS = ("1.0", "1.1")
_HEAD_TOO_LARGE = b"431 Request Header Fields Too Large"
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
        self._start_head_clock()

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
        """Begin a head; its clock is started when the rest of it has to be waited for."""
        self._disarm()
        self._reading_head = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Weigh the target."""
        self._weigh(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Weigh a field and keep it."""
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
        if self._reading_head:
            self._start_head_clock()
        elif self._reading_body:
            wait_s = self.limits.body_timeout_ms / 1000 + _BODY_GRACE_S
            self._timer = self.loop.call_later(wait_s, self._give_body_up)
        elif self.cycle is not None and self.cycle.response_complete and self._is_idle():
            # A blank line between requests stops uvicorn's clock and begins nothing.
            self._start_head_clock()

    def _is_idle(self) -> bool:
        return self.timeout_keep_alive_task is None

    def _start_head_clock(self) -> None:
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


class LaneProtocol(BoundedProtocol):
    """Answers plain requests for swift operations itself, and leaves the others to the application."""

    lane: ClassVar[Lane]

    _run: Run | None = None
    _defaults: Any = None
    _raw_defaults = b""

    def on_message_begin(self) -> None:
        """Begin a head; what the application is told is made when it is to be told."""
        self._disarm()
        self._reading_head = True
        self._head_bytes = 0
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._run = None

    def on_headers_complete(self) -> None:
        """Take the request, or hand it to the application."""
        run = self._lane_run()
        if run is None:
            self._tell_application()
            super().on_headers_complete()
            return
        self._run = self.cycle = run  # type: ignore[assignment]
        self._disarm()
        self._received_bytes = 0
        self._reading_body = True

    def _lane_run(self) -> Run | None:
        parser, flow, cycle = self.parser, self.flow, self.cycle
        if cycle is not None and not cycle.response_complete:
            return (
                None  # Answers go out in the order of the requests: the application's way keeps it.
            )
        if flow.write_paused or parser.get_http_version() != "1.1":
            return None
        head = dict(self.headers)
        if len(head) != len(self.headers):
            return None
        method = parser.get_method()
        way = self.lane.find(method, self.url, head)
        if way is None:
            return None
        return Run(self.lane, way, method, head, parser.should_keep_alive(), self.client)

    def _tell_application(self) -> None:
        url, headers, expect = self.url, self.headers, self.expect_100_continue
        HttpToolsProtocol.on_message_begin(self)
        self.url, self.expect_100_continue = url, expect
        self.headers.extend(headers)

    def on_message_complete(self) -> None:
        """Let the handler begin."""
        run = self._run
        if run is None:
            super().on_message_complete()
            return
        self._disarm()
        run.start(self._write)
        if run.task is not None:
            # uvicorn waits for these when it stops.
            self.tasks.add(run.task)
            run.task.add_done_callback(self.tasks.discard)

    def _give_body_up(self) -> None:
        run = self._run
        if run is None:
            super()._give_body_up()
        elif not run.response_started:
            self._disarm()
            run.give_up(self._write)

    def _write(self, status: int, head: bytes, body: bytes, keep_alive: bool) -> None:
        defaults = self.server_state.default_headers
        if defaults is not self._defaults:
            self._defaults = defaults
            self._raw_defaults = b"".join([b"%b: %b\r\n" % pair for pair in defaults])
        self.transport.write(
            b"".join((STATUS_LINE[status], self._raw_defaults, head, b"\r\n", body))
        )
        if not keep_alive:
            self.transport.close()
        self.on_response_complete()


def protocol(settings: Settings, lane: Lane | None) -> type[BoundedProtocol]:
    """Return the protocol with the limits of `settings`, and with a swift lane where there is one."""
    kind = BoundedProtocol if lane is None else LaneProtocol
    return type(kind.__name__, (kind,), {"limits": settings, "lane": lane})
