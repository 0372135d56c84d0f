"""HTTP/1.1 on one connection: uvicorn's protocol with what it does not have.

`BoundedProtocol` adds deadlines and limits, `LaneProtocol` the swift lane.
"""

import asyncio
from functools import partial
from typing import Any, ClassVar

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from boxoffice.http.lane import Errand, Lane, Run
from boxoffice.http.operation import STREAMING
from boxoffice.http.proxies import client_of
from boxoffice.http.streams import Stream, Subscriber, head
from boxoffice.http.unsent import Unsent
from boxoffice.platform import telemetry
from boxoffice.settings import Settings

# The refusal of a slow body goes out before the connection is closed.
_BODY_GRACE_S = 1.0
# Of what is asked for too early, no more than this is kept until it is time.
_KEPT_MAX_BYTES = 4_096
_VERSIONS = ("1.0", "1.1")
_HEAD_TOO_LARGE = b"431 Request Header Fields Too Large"
_TOO_SLOW = b"408 Request Timeout"
_TOO_MANY = b"503 Service Unavailable\r\nRetry-After: 1"
_REASONS = {
    _HEAD_TOO_LARGE: "head_too_large",
    _TOO_SLOW: "request_too_slow",
    _TOO_MANY: "too_many_connections",
}
_REFUSAL = b"HTTP/1.1 %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class _StreamCycle:
    """Stands in for uvicorn's cycle where a connection belongs to a stream: one for all of them.

    It never ends, so uvicorn takes no other request up, and it remembers nothing that it is told.
    """

    response_started = True
    response_complete = False
    disconnected = False
    body = b""

    class message_event:  # noqa: N801 — uvicorn's name
        """Wakes nobody."""

        @staticmethod
        def set() -> None:
            """Nobody waits."""

    def __setattr__(self, name: str, value: object) -> None:
        """Forget what uvicorn notes: that is about requests with an end."""


_STREAM_CYCLE: Any = _StreamCycle()


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with deadlines for heads, bodies and answers, and with limits.

    Without them a client that sends or takes a byte a second keeps a connection for ever. Handlers
    have a deadline for the body that they read; this one is for the others: for a body that is not
    begun, for one that nobody reads, and for one that goes on after it was refused.
    """

    limits: ClassVar[Settings]
    unsent: ClassVar[Unsent]

    _timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None
    # What the application answers now; `cycle` is the last request that was read.
    _answering: RequestResponseCycle | None = None
    # What came of a head before this segment, the segment that it shares with what came before it,
    # this segment, and the head where it was weighed.
    _received_bytes = 0
    _begun_in_bytes = 0
    _segment_bytes = 0
    _head_bytes = 0
    _reading_head = True
    _reading_body = False
    _idle_since_s = 0.0
    _version = ""
    _subscriber: Subscriber | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or refuse it where there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections_max:
            self._refuse(_TOO_MANY)
            return
        self._start_head_clock()

    def data_received(self, data: bytes) -> None:
        """Parse `data`, unless the head has grown out of bounds."""
        self._segment_bytes = len(data)
        if self._reading_head:
            self._received_bytes += len(data)
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self._reading_head and self._received_bytes > self.limits.header_max_bytes:
            # All of it belonged to the head, which is not at its end yet.
            self._refuse(_HEAD_TOO_LARGE)
        if self._reading_head and not self._received_bytes:
            self._begun_in_bytes = len(data)
        if self._timer is None:
            self._watch()

    def on_message_begin(self) -> None:
        """Begin a head; its clock is started when the rest of it has to be waited for."""
        self._disarm()
        self._reading_head = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Stop the clock of the head."""
        self._end_head()
        super().on_headers_complete()

    def _end_head(self) -> None:
        self._disarm()
        most_bytes = self._begun_in_bytes + self._received_bytes + self._segment_bytes
        if most_bytes > self.limits.header_max_bytes:
            self._weigh()
        self._received_bytes = self._begun_in_bytes = 0
        self._version = self.parser.get_http_version()
        if self._version not in _VERSIONS:
            # The parser turns this into its own error and stops.
            raise ValueError("no such version of HTTP")
        self._reading_body = True

    def _weigh(self) -> None:
        """Weigh a head that may be too large; most are in a segment that is smaller than that."""
        fields = sum(len(name) + len(value) for name, value in self.headers)
        self._head_bytes = len(self.url) + fields
        if self._head_bytes > self.limits.header_max_bytes:
            # The parser turns this into its own error and stops.
            raise ValueError("the head is too large")

    def on_message_complete(self) -> None:
        """Stop the clock of the body."""
        self._disarm()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, or not acceptable HTTP."""
        if self._answers_first():
            return
        if self._head_bytes > self.limits.header_max_bytes:
            self._refuse(_HEAD_TOO_LARGE)
            return
        self._disarm()
        telemetry.CONNECTIONS_ENDED.labels("not_http").inc()
        super().send_400_response(msg)
        self._start_write_clock()

    def on_response_complete(self) -> None:
        """Begin the next request, or let the connection wait for one."""
        self._idle_since_s = self.loop.time()
        if self.transport.is_closing():
            self._start_write_clock()
            super().on_response_complete()
        elif self.pipeline or self.timeout_keep_alive_task is None:
            super().on_response_complete()
        else:
            self.server_state.total_requests += 1
            self.flow.resume_reading()

    def _unset_keepalive_if_required(self) -> None:
        """Let uvicorn's clock for idle connections run on: one for all, instead of one per answer."""

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection if it has been idle for its time, else look again."""
        self.timeout_keep_alive_task = None
        if self._reading_head or self._reading_body or not self.cycle.response_complete:
            return  # The end of that answer starts the clock.
        left_s = self._idle_since_s + self.timeout_keep_alive - self.loop.time()
        if left_s > 0:
            self.timeout_keep_alive_task = self.loop.call_later(
                left_s, self.timeout_keep_alive_handler
            )
        else:
            super().timeout_keep_alive_handler()
            self._start_write_clock()

    def pause_writing(self) -> None:
        """Give the client its time to take what is there; a stream does not wait for it."""
        super().pause_writing()
        size_bytes = self.transport.get_write_buffer_size()
        self.unsent.add(self, size_bytes, partial(self.loop.call_soon, self._give_answer_up))
        if self._subscriber is None:
            self._start_write_clock()
        else:
            self._subscriber.drop()

    def resume_writing(self) -> None:
        """Stop that clock, except for a connection that ends with what is left."""
        super().resume_writing()
        self.unsent.remove(self)
        if not self.transport.is_closing():
            self._stop_write_clock()

    def _start_write_clock(self) -> None:
        """End the connection, whatever is left to be written, unless the client takes it in time.

        Closing does not do that: a transport closes when it has written everything.
        """
        if self._write_timer is None:
            wait_s = self.limits.write_timeout_ms / 1000
            self._write_timer = self.loop.call_later(wait_s, self._give_answer_up)

    def _stop_write_clock(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _give_answer_up(self) -> None:
        self._stop_write_clock()
        telemetry.CONNECTIONS_ENDED.labels("answer_not_taken").inc()
        self.transport.abort()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answering = cycle
        extensions = {STREAMING: partial(self._stream_instead, cycle)}
        cycle.scope["extensions"] = extensions  # type: ignore[typeddict-item]
        super()._start_asgi_task(cycle, app)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the clocks, and tell the application, also where it answers an earlier request."""
        if self._answering is not None:
            self._answering.disconnected = True
            self._answering.message_event.set()
        self._disarm()
        self._stop_write_clock()
        self.unsent.remove(self)
        super()._unset_keepalive_if_required()
        super().connection_lost(exc)
        if self._subscriber is not None:
            self._subscriber.lost()

    def _stream_instead(
        self, cycle: RequestResponseCycle, stream: Stream, request_id: str, client: str
    ) -> None:
        self._begin_stream(stream, request_id, client)
        # Whatever the application answers now is for nobody.
        cycle.disconnected = True

    def _begin_stream(self, stream: Stream, request_id: str, client: str) -> None:
        """Give the connection to a stream, for the rest of its life; raise what `Streams.open` does."""
        if self.transport.is_closing():
            return
        answer_head = head(self.server_state.default_headers, request_id)
        streams = stream.channel.streams
        self._subscriber = streams.open(stream, self.transport, answer_head, client)
        self.cycle = _STREAM_CYCLE
        self._answering = None
        self.pipeline.clear()  # what was asked after it has no place before the connection's end
        self.flow.resume_reading()  # or nobody would notice that the other end hangs up
        self.headers = []
        self.scope = None  # type: ignore[assignment]
        if self.flow.write_paused:
            self._subscriber.drop()

    def _watch(self) -> None:
        if self._reading_head:
            self._start_head_clock()
        elif self._reading_body:
            wait_s = self.limits.body_timeout_ms / 1000 + _BODY_GRACE_S
            self._timer = self.loop.call_later(wait_s, self._give_body_up)

    def _start_head_clock(self) -> None:
        self._timer = self.loop.call_later(
            self.limits.header_timeout_ms / 1000, self._refuse, _TOO_SLOW
        )

    def _disarm(self) -> None:
        self._reading_head = self._reading_body = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_body_up(self) -> None:
        if self.cycle.response_started:
            self._close()
        else:
            self._refuse(_TOO_SLOW)

    def _answers_first(self) -> bool:
        """Where an earlier request waits for its answer, let the connection end with that one.

        A refusal in its place would be taken for its answer.
        """
        if self._reading_body and self.pipeline:
            self._close()  # What is refused stands in the line itself.
            return True
        if self._reading_body or self.cycle is None or self.cycle.response_complete:
            return False
        self._disarm()
        self.cycle.keep_alive = False
        self.flow.pause_reading()
        return True

    def _refuse(self, status: bytes) -> None:
        if self._answers_first():
            return
        self._disarm()
        if not self.transport.is_closing():
            telemetry.CONNECTIONS_ENDED.labels(_REASONS[status]).inc()
            self.transport.write(_REFUSAL % status)
            self._close()

    def _close(self) -> None:
        self.transport.close()
        self._start_write_clock()


class LaneProtocol(BoundedProtocol):
    """Answers plain requests for swift operations itself, and leaves the others to the application.

    Whoever was told when to come back, and asks for the same on the same connection before that time,
    waits for it there: to refuse them again and again would take the time in which others are served.
    """

    lane: ClassVar[Lane]

    _run: Run | None = None
    # Who was told to come back and for what, at what time of the event loop, and who came too early.
    _told: Errand | None = None
    _told_at_s = 0.0
    _early: Run | None = None
    _early_timer: asyncio.TimerHandle | None = None

    def on_message_begin(self) -> None:
        """Begin a head; what the application is told is made when it is to be told."""
        if self._run is not None and self._run.comeback_at_s:
            self._told, self._told_at_s = self._run.errand, self._run.comeback_at_s
        self._disarm()
        self._reading_head = True
        self._head_bytes = 0
        self.url = b""
        self.headers = []
        self._run = None

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a field."""
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Take the request, or hand it to the application."""
        self._end_head()
        run = self._lane_run()
        if run is None:
            self._tell_application()
            HttpToolsProtocol.on_headers_complete(self)
        else:
            self._run = self.cycle = run  # type: ignore[assignment]

    def _lane_run(self) -> Run | None:
        parser = self.parser
        if self.cycle is not None and not self.cycle.response_complete:
            return None  # Answers go out in the order of the requests, and uvicorn keeps it.
        if self.flow.write_paused or self._version != "1.1":
            return None
        fields = dict(self.headers)
        if len(fields) != len(self.headers):
            return None
        method = parser.get_method()
        way = self.lane.find(method, self.url, fields)
        if way is None:
            return None
        self.lane.use_common(self.server_state.default_headers)
        keep_alive = parser.should_keep_alive()
        begin_stream = self._begin_stream if way.op.events else None
        client = self.client
        if b"x-forwarded-for" in fields:
            client = client_of(self.config, client, fields[b"x-forwarded-for"])
        return Run(self.lane, way, method, fields, keep_alive, client, self._write, begin_stream)

    def _begin_stream(self, stream: Stream, request_id: str, client: str) -> None:
        super()._begin_stream(stream, request_id, client)
        self._run = None

    def _tell_application(self) -> None:
        url, headers = self.url, self.headers
        HttpToolsProtocol.on_message_begin(self)
        self.url = url
        for name, value in headers:
            HttpToolsProtocol.on_header(self, name, value)

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body; the lane has seen to it that there is not too much of it."""
        if self._run is None:
            super().on_body(body)
        else:
            self._run.body += body

    def on_message_complete(self) -> None:
        """Let the handler begin, now or when it is time."""
        run = self._run
        if run is None:
            super().on_message_complete()
            return
        self._disarm()
        if self._told_at_s and self._is_too_early(run):
            self._early = run
            self._early_timer = self.loop.call_at(self._told_at_s, self._let_early_begin)
        else:
            self._begin(run)

    def _is_too_early(self, run: Run) -> bool:
        if self.loop.time() >= self._told_at_s:
            self._told_at_s = 0.0
            return False
        return run.errand == self._told and len(run.body) <= _KEPT_MAX_BYTES

    def _let_early_begin(self) -> None:
        run = self._forget_early()
        if run is not None:
            self._begin(run)

    def _forget_early(self) -> Run | None:
        run, self._early = self._early, None
        if self._early_timer is not None:
            self._early_timer.cancel()
            self._early_timer = None
        return run

    def _begin(self, run: Run) -> None:
        run.start()
        if run.task is not None:
            # uvicorn waits for these when it stops.
            self.tasks.add(run.task)
            run.task.add_done_callback(self.tasks.discard)

    def shutdown(self) -> None:
        """Let the connection end with the answer to what it waits for, which waits no longer."""
        super().shutdown()
        self._told_at_s = 0.0  # Nor does one whose body is still on its way.
        self._let_early_begin()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what was asked for too early: nothing was done about it yet."""
        self._forget_early()
        super().connection_lost(exc)

    def _give_body_up(self) -> None:
        run = self._run
        if run is None:
            super()._give_body_up()
        elif not run.response_started:
            self._disarm()
            run.give_up()

    def _write(self, answer: bytes, rest: bytes, keep_alive: bool) -> None:
        if self.transport.is_closing():
            return  # For a later request; only its own cycle was told.
        self.transport.write(answer)
        if rest:
            self.transport.write(rest)
        if not keep_alive:
            self.transport.close()
        self.on_response_complete()


def protocol(settings: Settings, lane: Lane | None) -> type[BoundedProtocol]:
    """Return the protocol with the limits of `settings`, and with a swift lane where there is one."""
    kind = BoundedProtocol if lane is None else LaneProtocol
    own = {"limits": settings, "lane": lane, "unsent": Unsent(settings.unsent_max_bytes)}
    return type(kind.__name__, (kind,), own)
