"""The deadlines and limits of one connection."""

import asyncio
from functools import partial
from typing import Any, ClassVar

from httptools import HttpParserError, HttpParserUpgrade
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from boxoffice.http import metrics
from boxoffice.http.api.operation import STREAMING
from boxoffice.http.server.address_limit import AddressLimit
from boxoffice.http.server.framing import (
    HeadInvalid,
    check_head,
    has_many_heads,
    host_is_valid,
)
from boxoffice.http.server.pipelining import PipelinedProtocol
from boxoffice.http.server.proxies import speaks_for_others
from boxoffice.http.server.write_buffers import Unsent
from boxoffice.http.streams import Stream, Subscriber, head

# The refusal of a slow body goes out before the connection is closed.
_BODY_GRACE_S = 1.0
# What a chunk needs beside its content: its length in hexadecimal, and two line ends.
_CHUNK_FRAME_BYTES = 20
BLANKS = b" \t"
_VERSIONS = ("1.0", "1.1")
_HEAD_TOO_LARGE = b"431 Request Header Fields Too Large"
_TOO_SLOW = b"408 Request Timeout"
_TOO_MANY = b"503 Service Unavailable\r\nRetry-After: 1"
_TOO_MANY_OF_ONE = b"429 Too Many Requests\r\nRetry-After: 1"
_REASONS = {
    _HEAD_TOO_LARGE: "head_too_large",
    _TOO_SLOW: "request_too_slow",
    _TOO_MANY: "too_many_connections",
    _TOO_MANY_OF_ONE: "too_many_of_one_address",
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


class BoundedProtocol(PipelinedProtocol):
    """uvicorn's protocol with deadlines for heads, bodies and answers, and with limits.

    Without them a client that sends or takes a byte a second keeps a connection for ever. Handlers
    have a deadline for the body that they read; this one is for the others: for a body that is not
    begun, for one that nobody reads, and for one that goes on after it was refused.
    """

    unsent: ClassVar[Unsent]
    by_address: ClassVar[AddressLimit]

    _timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None
    # What the application answers now; `cycle` is the last request that was read.
    _answering: RequestResponseCycle | None = None
    # What came of a head before this piece, the piece that it shares with what came before it, and
    # this piece.
    _received_bytes = 0
    _begun_in_bytes = 0
    _piece_bytes = 0
    # What was read of a request after its head and is no body: the frames of chunks, and trailers.
    _frame_bytes = 0
    # The fields of the head, the last one of each name, and whether that leaves any out.
    _fields: dict[bytes, bytes]
    _is_repeated = False
    # The `Host` of the request before, which was a valid one.
    _host: bytes | None = None
    # What to say to a request that the parser, or one of its callbacks, refuses.
    _refusal = b""
    _idle_since_s = 0.0
    _subscriber: Subscriber | None = None
    # By what it is counted among the connections of its address.
    _bucket: str | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or refuse it where there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.limits.server.connections_max:
            self._refuse(_TOO_MANY)
        elif self._counts_for_its_address():
            self._start_head_clock()
        else:
            self._refuse(_TOO_MANY_OF_ONE)

    def _counts_for_its_address(self) -> bool:
        """Count a connection for its client, unless that has as many as it may; say whether.

        Not behind a proxy that is believed, which has those of everybody.
        """
        if self.client is not None and not speaks_for_others(self.config, self.client):
            if self.by_address.is_reached(self.client[0]):
                return False
            self._bucket = self.by_address.add(self.client[0])
        return True

    def data_received(self, data: bytes) -> None:
        """Parse `data`, and watch the time until the rest of its last request is there."""
        if self.pipeline or self._unparsed or self._is_last or has_many_heads(data):
            super().data_received(data)
        elif not self.transport.is_closing():
            # As most are: one request, or a part of one, with nothing before it.
            self._parse(data)
        if self._timer is None:
            self._watch()

    def feed_on(self) -> None:
        """Parse what waits for that."""
        super().feed_on()
        if self._timer is None and not self.transport.is_closing():
            self._watch()

    def _parse(self, piece: bytes) -> None:
        """Parse a piece, unless what belongs to no body has grown out of bounds."""
        self._piece_bytes = len(piece)
        if self._reading_head:
            self._received_bytes += len(piece)
        elif self._reading_body:
            self._frame_bytes += len(piece)
        try:
            self.parser.feed_data(piece)
        except HttpParserError:
            self._refuse_unparsable()
        except HttpParserUpgrade as upgrade:
            self._read_body_of_upgrade(piece[upgrade.args[0] :])
        if self._reading_head:
            if self._head_is_too_large():
                self._refuse(_HEAD_TOO_LARGE)
            elif not self._received_bytes:
                self._begun_in_bytes = len(piece)
        elif self._reading_body and self._frame_bytes > self.limits.server.header_max_bytes:
            self._refuse_body(_HEAD_TOO_LARGE)

    def _head_is_too_large(self) -> bool:
        """Say whether a head is that before its end; all that was received since belongs to it."""
        limits, fields = self.limits, self.headers
        too_many = fields is not None and len(fields) > limits.server.header_fields_max
        return too_many or self._received_bytes > limits.server.header_max_bytes

    def on_message_begin(self) -> None:
        """Begin a head; its clock is started when the rest of it has to be waited for."""
        self._disarm()
        self._reading_head = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a field of the head, or one of the trailers where nobody looks."""
        super().on_header(name, value.rstrip(BLANKS))

    def on_headers_complete(self) -> None:
        """Stop the clock of the head."""
        self._end_head()
        self._hand_over()

    def _hand_over(self) -> None:
        """Hand the request to the application."""
        if b"#" in self.url:
            raise HeadInvalid("a target has no fragment")
        self._note_upgrade()
        if self._version != "1.1":
            self.expect_100_continue = False  # They do not know it (RFC 9110, section 10.1.1).
        super().on_headers_complete()
        if self._is_last:
            self.cycle.keep_alive = False
        # Trailers are counted with the frames of their body, and go with this list.
        self.headers = []

    def _end_head(self) -> None:
        self._disarm()
        most_bytes = self._begun_in_bytes + self._received_bytes + self._piece_bytes
        if most_bytes > self.limits.server.header_max_bytes:
            self._weigh()
        self._received_bytes = self._begun_in_bytes = self._frame_bytes = 0
        headers = self.headers
        self._fields = fields = dict(headers)
        self._version = version = self.parser.get_http_version()
        self._is_repeated = is_repeated = len(fields) != len(headers)
        host = fields.get(b"host")
        if (
            is_repeated
            or version != "1.1"
            or b"transfer-encoding" in fields
            or host is None
            or (host != self._host and not host_is_valid(host))
            or len(headers) > self.limits.server.header_fields_max
        ):
            self._check_head()
        self._host = host
        if version != "1.1" or not self.parser.should_keep_alive():
            self._is_last = True
        self._reading_body = True

    def _check_head(self) -> None:
        """Look at a head that is not plain; the parser turns an error into its own and stops."""
        if self._version not in _VERSIONS:
            raise HeadInvalid("no such version of HTTP")
        if len(self.headers) > self.limits.server.header_fields_max:
            self._refusal = _HEAD_TOO_LARGE
            raise HeadInvalid("the head has too many fields")
        check_head(self._version, self.headers)

    def _weigh(self) -> None:
        """Weigh a head that may be too large; most are in a piece that is smaller than that."""
        fields = sum(len(name) + len(value) for name, value in self.headers)
        if len(self.url) + fields > self.limits.server.header_max_bytes:
            self._refusal = _HEAD_TOO_LARGE
            # The parser turns this into its own error and stops.
            raise HeadInvalid("the head is too large")

    def on_chunk_header(self) -> None:
        """Allow a chunk what every chunk needs."""
        self._frame_bytes -= _CHUNK_FRAME_BYTES

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body, as long as somebody may want it."""
        self._frame_bytes -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Stop the clock of the body."""
        if not self._body_follows_upgrade:
            self._disarm()
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, or not acceptable HTTP."""
        if self._answers_first():
            return
        if self._refusal:
            self._refuse(self._refusal)
            return
        self._disarm()
        metrics.CONNECTIONS_ENDED.labels("not_http").inc()
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
        if self._unparsed:
            self.loop.call_soon(self.feed_on)

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
            wait_s = self.limits.server.write_timeout_ms / 1000
            self._write_timer = self.loop.call_later(wait_s, self._give_answer_up)

    def _stop_write_clock(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _give_answer_up(self) -> None:
        self._stop_write_clock()
        metrics.CONNECTIONS_ENDED.labels("answer_not_taken").inc()
        self.transport.abort()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answering = cycle
        # Without the cycle, or what a request takes would stay until the garbage is collected.
        extensions = {STREAMING: self._stream_instead}
        cycle.scope["extensions"] = extensions  # type: ignore[typeddict-item]
        super()._start_asgi_task(cycle, app)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the clocks, and tell the application, also where it answers an earlier request."""
        if self._answering is not None:
            self._answering.disconnected = True
            self._answering.message_event.set()
        if self._bucket is not None:
            self.by_address.remove(self._bucket)
            self._bucket = None
        self._disarm()
        self._unparsed = b""
        self._stop_write_clock()
        self.unsent.remove(self)
        super()._unset_keepalive_if_required()
        super().connection_lost(exc)
        if self._subscriber is not None:
            self._subscriber.lost()

    def _stream_instead(self, stream: Stream, request_id: str, client: str) -> None:
        cycle = self._answering
        self._begin_stream(stream, request_id, client)
        if cycle is not None:
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
        self._is_last = True
        self._unparsed = b""
        self.flow.let_go()  # or nobody would notice that the other end hangs up
        self.headers = []
        self.scope = None  # type: ignore[assignment]
        if self.flow.write_paused:
            self._subscriber.drop()

    def _watch(self) -> None:
        if self._reading_head:
            self._start_head_clock()
        elif self._reading_body:
            wait_s = self.limits.server.body_timeout_ms / 1000 + _BODY_GRACE_S
            self._timer = self.loop.call_later(wait_s, self._give_body_up)

    def _start_head_clock(self) -> None:
        wait_s = self.limits.server.header_timeout_ms / 1000
        self._timer = self.loop.call_later(wait_s, self._give_head_up)

    def _give_head_up(self) -> None:
        if not self._is_kept_waiting():
            self._refuse(_TOO_SLOW)

    def _is_kept_waiting(self) -> bool:
        """Say whether what is missing may be here already; then the client has its time again."""
        self._timer = None
        if self._unparsed:
            self._watch()
        return bool(self._unparsed)

    def _disarm(self) -> None:
        self._reading_head = self._reading_body = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_body_up(self) -> None:
        if not self._is_kept_waiting():
            self._refuse_body(_TOO_SLOW)

    def _refuse_body(self, status: bytes) -> None:
        self._is_last = True
        if self.cycle.response_started:
            self._close()
        else:
            self._refuse(status)

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
            metrics.CONNECTIONS_ENDED.labels(_REASONS[status]).inc()
            self.transport.write(_REFUSAL % status)
            self._close()

    def _close(self) -> None:
        self.transport.close()
        self._start_write_clock()
