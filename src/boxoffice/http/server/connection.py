"""HTTP/1.1 on one connection (RFC 9112), for every request and every answer.

The parser's state tells what the connection reads: nothing, a head or a body. The first of `_requests`
is being answered, the others wait. A client may send many requests without waiting for answers (section
9.3.2). A parsed request takes a hundred times the memory of its bytes, so at most
`pipelined_requests_max` wait parsed and 256 KiB wait unparsed; the rest waits in the kernel, whose
window then stops the client.

Head, body, an unread answer and an idle connection have deadlines. Without them a client that sends or
reads a byte a second would keep a connection for ever.
"""

import asyncio
from collections import deque
from functools import partial
from typing import cast

from boxoffice.errors import BodyTooSlow
from boxoffice.http import metrics
from boxoffice.http.downloads import Download, FileSender
from boxoffice.http.server.context import ServerContext
from boxoffice.http.server.exchange import ClientGone, Exchange, RequestKey
from boxoffice.http.server.parsing import (
    HEAD_END,
    PIECE_MAX_BYTES,
    Reading,
    Refusal,
    RequestParser,
    RequestRefused,
    piece_end,
)
from boxoffice.http.streams import Stream, Subscriber, head

# Reading stops when a body that no handler reads yet is this long.
_BODY_AHEAD_MAX_BYTES = 65_536
# A request before its `Retry-After` is kept only up to this size of its body.
_EARLY_MAX_BYTES = 4_096
_NOTHING, _HEAD, _BODY = Reading

_TOO_SLOW = Refusal(408, "request_too_slow")
_REFUSAL = b"%b%bcontent-length: %d\r\nconnection: close\r\n\r\n%b"


class Connection(asyncio.Protocol):
    """One connection of a server."""

    __slots__ = (
        "_context", "_early_timer", "_held", "_held_from", "_idle_since_s", "_idle_timer",
        "_is_last", "_is_new", "_is_read_paused", "_is_write_paused", "_loop", "_parser", "_peer",
        "_read_timer", "_receiving", "_requests", "_retry_at_s", "_retry_key", "_sender",
        "_subscriber", "_transport", "_write_timer",
    )  # fmt: skip

    _transport: asyncio.Transport

    def __init__(self, context: ServerContext) -> None:
        limits = context.limits
        self._context = context
        self._loop = context.loop
        self._parser = RequestParser(self, limits.head_max_bytes, limits.fields_max)
        self._peer: tuple[str, int] | None = None
        # The request that is being read, and the unanswered requests; the first one is being answered.
        self._receiving: Exchange | None = None
        self._requests: deque[Exchange] = deque()
        # Bytes that were read, and the offset of the first unparsed one.
        self._held = b""
        self._held_from = 0
        self._is_read_paused = False
        self._is_write_paused = False
        # Nothing was read yet.
        self._is_new = True
        # No further request is read.
        self._is_last = False
        # Deadlines of the head or body that is being read, and of the unread answer.
        self._read_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._idle_since_s = 0.0
        # The request that was refused as overload, and the event loop's time of its `Retry-After`.
        self._retry_key: RequestKey | None = None
        self._retry_at_s = 0.0
        self._early_timer: asyncio.TimerHandle | None = None
        self._subscriber: Subscriber | None = None
        self._sender: FileSender | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accept the connection, or refuse it at a limit."""
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self._peer = (str(peer[0]), int(peer[1])) if isinstance(peer, tuple) else None
        refusal = self._context.add(self, self._peer[0] if self._peer else None)
        if refusal is None:
            self._watch()
        else:
            self._refuse(refusal)

    def connection_lost(self, _error: Exception | None) -> None:
        """Cancel the timers, and mark the requests as abandoned."""
        self._context.remove(self)
        for timer in (self._read_timer, self._write_timer, self._idle_timer, self._early_timer):
            if timer is not None:
                timer.cancel()
        self._held = b""
        self._context.write_budget.remove(self)
        requests, self._requests = self._requests, deque()
        self._receiving = None
        for request in requests:
            request.is_abandoned = True
            request.fail_body(ClientGone())
        if self._subscriber is not None:
            self._subscriber.lost()
        if self._sender is not None:
            self._sender.stop()

    def data_received(self, data: bytes) -> None:
        """Parse `data`; start the deadline of a request that is not complete."""
        if self._is_new:
            # The deadline of the first head begins with its first byte.
            self._is_new = False
            self._stop_read_timer()
        if self._held:
            self._hold(self._held[self._held_from :] + data, 0)
        elif (
            len(self._requests) > 1
            or self._is_last
            or len(data) > PIECE_MAX_BYTES
            or data.count(HEAD_END) > 1
        ):
            self._parse_in_pieces(data, 0)
        elif not self._transport.is_closing():
            # The usual case: one request or a part of one, and no request before it.
            self._parse(data)
        if self._read_timer is None and self._parser.reading is not _NOTHING:
            self._watch()

    def _parse_in_pieces(self, data: bytes, begin: int) -> None:
        while begin < len(data) and not self._transport.is_closing():
            if self._is_last and self._parser.reading is _NOTHING:
                return  # Data is read and dropped, because a paused transport notices no hang-up.
            if self._has_to_wait():
                self._hold(data, begin)
                return
            end = piece_end(data, begin)
            self._parse(data if end - begin == len(data) else data[begin:end])
            begin = end

    def _has_to_wait(self) -> bool:
        waiting = len(self._requests) - 1
        if waiting >= self._context.limits.pipelined_requests_max:
            return True
        # The last request waits, and its body is already long.
        return waiting > 0 and len(self._requests[-1].body) > _BODY_AHEAD_MAX_BYTES

    def _hold(self, data: bytes, begin: int) -> None:
        self._held, self._held_from = data, begin
        self._pause_reading()

    def _parse_held(self) -> None:
        """Parse the held bytes; called after a request was answered."""
        if self._held and not self._transport.is_closing():
            data, begin = self._held, self._held_from
            self._held = b""
            self.resume_reading()
            self._parse_in_pieces(data, begin)
            if self._read_timer is None and self._parser.reading is not _NOTHING:
                self._watch()

    def _parse(self, piece: bytes) -> None:
        try:
            self._parser.feed(piece)
        except RequestRefused as refused:
            self._refuse_what_was_read(refused.refusal)
        if self._requests and not self._requests[0].is_started:
            self._start_first()

    def _pause_reading(self) -> None:
        if not self._is_read_paused:
            self._is_read_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Resume reading, unless held bytes have to be parsed first."""
        if self._is_read_paused and not self._held:
            self._is_read_paused = False
            self._transport.resume_reading()

    def head_received(
        self,
        method: bytes,
        target: bytes,
        fields: dict[bytes, bytes],
        is_last: bool,
        expects_continue: bool,
    ) -> None:
        """Queue a request."""
        if self._read_timer is not None:
            self._stop_read_timer()
        context = self._context
        name = method.decode("ascii")
        match = context.router.find(name, target)
        client = self._peer
        if b"x-forwarded-for" in fields:
            client = context.proxies.client_of(client, fields[b"x-forwarded-for"])
        request = context.exchange_class(self, context, match, name, fields, client, self._loop)
        if is_last:
            self._is_last = True
        if self._is_last:
            request.keep_alive = False
        request.expects_continue = expects_continue
        self._receiving = request
        self._requests.append(request)

    def body_received(self, part: bytes) -> None:
        """Add a part of the body to its request; pause reading if it is long and still unread."""
        request = self._receiving
        if request is None:
            return
        request.add_to_body(part)
        if len(request.body) > _BODY_AHEAD_MAX_BYTES and not request.is_reading_body:
            self._pause_reading()

    def request_received(self) -> None:
        """Cancel the read timer and complete the body."""
        if self._read_timer is not None:
            self._stop_read_timer()
        request, self._receiving = self._receiving, None
        if request is not None:
            request.has_whole_body = True
            if request.is_reading_body:
                request.end_body()

    def _start_first(self) -> None:
        """Start the first request's handler, now or at its `Retry-After`."""
        request = self._requests[0]
        if request.is_started or self._is_write_paused or self._transport.is_closing():
            return
        if self._retry_at_s and self._is_too_early(request):
            if request.has_whole_body and self._early_timer is None:
                self._early_timer = self._loop.call_at(self._retry_at_s, self._end_early)
            return
        request.start()

    def _is_too_early(self, request: Exchange) -> bool:
        """Return whether the client repeats an overloaded request before its `Retry-After`.

        Such a request waits, because refusing it repeatedly would take time from other clients.
        """
        if self._loop.time() >= self._retry_at_s:
            self._retry_at_s = 0.0
            return False
        return request.key == self._retry_key and len(request.body) <= _EARLY_MAX_BYTES

    def _end_early(self) -> None:
        self._retry_at_s = 0.0
        if self._early_timer is not None:
            self._early_timer.cancel()
            self._early_timer = None
        if self._requests:
            self._start_first()

    def send_continue(self) -> None:
        """Send 100 Continue, which asks the client for its body (RFC 9110, section 10.1.1)."""
        if not self._transport.is_closing():
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def send_answer(self, answer: bytes, rest: bytes, *, keep_alive: bool) -> None:
        """Write the answer of the first request, and start the next request."""
        request = self._requests.popleft()
        if request.retry_at_s:
            self._retry_key, self._retry_at_s = request.key, request.retry_at_s
        if self._transport.is_closing():
            return
        self._transport.write(answer)
        if rest:
            self._transport.write(rest)
        if not keep_alive:
            self._close()
            return
        self._idle_since_s = self._loop.time()
        if self._idle_timer is None:
            self._idle_timer = self._loop.call_later(
                self._context.limits.keep_alive_s, self._end_idle
            )
        if self._held:
            self._loop.call_soon(self._parse_held)
        elif self._is_read_paused:
            self.resume_reading()
        if self._requests:
            self._start_first()

    def begin_stream(self, stream: Stream, request_id: str, address: str) -> None:
        """Hand the connection to a stream until it closes; raise as `Streams.open`."""
        if self._transport.is_closing():
            return
        answer_head = head(self._context.answers.status_line(200), request_id)
        streams = stream.channel.streams
        self._subscriber = streams.open(stream, self._transport, answer_head, address)
        # Requests behind a stream are dropped: it ends only with the connection.
        while len(self._requests) > 1:
            self._requests.pop()
        self._receiving = None
        self._is_last = True
        self._held = b""
        self.resume_reading()  # A paused transport notices no hang-up.
        if self._is_write_paused:
            self._subscriber.drop()

    def begin_download(self, download: Download, request: Exchange) -> None:
        """Make and send a file as the answer to the first request."""
        if self._transport.is_closing():
            return
        self._sender = FileSender(download, request)
        if self._is_write_paused:
            self._sender.pause()
        if not self._held:
            self.resume_reading()  # A paused transport notices no hang-up.

    def send_head(self, head: bytes) -> None:
        """Write the head of a file."""
        self._transport.write(head)

    def send_piece(self, piece: bytes, *, is_last: bool, keep_alive: bool) -> None:
        """Write a piece of a file; the answer ends with the last one."""
        self._transport.write(piece)
        if is_last:
            self._sender = None
            # A task sends the file, and the next request must not start within it.
            self._loop.call_soon(self._end_file, keep_alive)

    def _end_file(self, keep_alive: bool) -> None:
        if self._requests:
            self.send_answer(b"", b"", keep_alive=keep_alive)

    def shutdown(self) -> None:
        """Close the connection after the answers to the requests read so far, delayed ones at once."""
        self._is_last = True
        if self._requests:
            self._requests[-1].keep_alive = False
            self._loop.call_soon(self._end_early)
        else:
            self._transport.close()

    def cancel_request(self) -> None:
        """Cancel the request that is being answered; its answer reports that."""
        if self._requests:
            self._requests[0].cancel()

    def abort(self) -> None:
        """Close the connection at once and discard unsent data."""
        self._transport.abort()

    def pause_writing(self) -> None:
        """Start the write deadline; a stream is dropped at once."""
        self._is_write_paused = True
        size_bytes = self._transport.get_write_buffer_size()
        give_up = partial(self._loop.call_soon, self._give_answer_up)
        self._context.write_budget.add(self, size_bytes, give_up)
        if self._sender is not None:
            self._sender.pause()
        if self._subscriber is None:
            self._start_write_timer()
        else:
            self._subscriber.drop()

    def resume_writing(self) -> None:
        """Cancel the write deadline, unless the connection is closing."""
        self._is_write_paused = False
        self._context.write_budget.remove(self)
        if self._sender is not None:
            self._sender.resume()
        if not self._transport.is_closing():
            self._stop_write_timer()
            if self._requests:
                self._start_first()

    def _start_write_timer(self) -> None:
        """Abort the connection after the write deadline.

        Closing is not enough: a transport closes only after it has written everything.
        """
        if self._write_timer is None:
            wait_s = self._context.limits.write_timeout_s
            self._write_timer = self._loop.call_later(wait_s, self._give_answer_up)

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _give_answer_up(self) -> None:
        self._stop_write_timer()
        metrics.CONNECTIONS_ENDED.labels("answer_not_taken").inc()
        self._transport.abort()

    def _watch(self) -> None:
        limits = self._context.limits
        if self._parser.reading is _HEAD:
            self._read_timer = self._loop.call_later(limits.head_timeout_s, self._give_head_up)
        elif self._parser.reading is _BODY:
            self._read_timer = self._loop.call_later(limits.body_timeout_s, self._give_body_up)

    def _stop_read_timer(self) -> None:
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None

    def _give_head_up(self) -> None:
        if not self._is_kept_waiting():
            self._refuse(_TOO_SLOW)

    def _give_body_up(self) -> None:
        if self._is_kept_waiting():
            return
        request = self._receiving
        is_first = bool(self._requests) and request is self._requests[0]
        if request is not None and is_first and not request.is_answered:
            request.keep_alive = False
            self._is_last = True
            request.fail_body(BodyTooSlow())
            if not request.is_started:
                self._end_early()
        else:
            self._refuse_what_was_read(_TOO_SLOW)

    def _is_kept_waiting(self) -> bool:
        """Return whether held bytes may contain the missing part; then restart the deadline."""
        self._read_timer = None
        if self._held:
            self._watch()
        return bool(self._held)

    def _end_idle(self) -> None:
        """Close the connection if its idle time is over, else check again later.

        One timer for the connection costs less than one for each answer.
        """
        self._idle_timer = None
        if self._requests or self._parser.reading is not _NOTHING:
            return  # `send_answer` starts the timer again.
        idle_until_s = self._idle_since_s + self._context.limits.keep_alive_s
        if self._loop.time() < idle_until_s:
            self._idle_timer = self._loop.call_at(idle_until_s, self._end_idle)
        else:
            self._close()

    def _refuse_what_was_read(self, refusal: Refusal) -> None:
        """Refuse bytes that are not a valid request, or a body that cannot be completed."""
        request = self._receiving
        if request is not None and request.is_answered:
            self._is_last = True
            self._close()
        else:
            self._refuse(refusal)

    def _refuse(self, refusal: Refusal) -> None:
        """Answer a connection-level refusal and close, after the answers to earlier requests."""
        self._is_last = True
        self._stop_read_timer()
        if self._ends_with_earlier_answers():
            return
        self._parser.stop()
        if self._transport.is_closing():
            return
        metrics.CONNECTIONS_ENDED.labels(refusal.reason).inc()
        status_line = self._context.answers.status_line(refusal.status)
        self._transport.write(
            _REFUSAL % (status_line, refusal.more, len(refusal.body), refusal.body)
        )
        self._close()

    def _ends_with_earlier_answers(self) -> bool:
        """Return whether earlier requests are unanswered; the connection then closes after them.

        The client would take a refusal for the answer to an earlier request.
        """
        is_reading_body = self._parser.reading is _BODY
        if is_reading_body and len(self._requests) > 1:
            self._close()  # The refused request is queued itself.
            return True
        if is_reading_body or not self._requests:
            return False
        self._parser.stop()
        self._requests[-1].keep_alive = False
        self._pause_reading()
        return True

    def _close(self) -> None:
        self._transport.close()
        self._start_write_timer()
