"""From a matched request to its bytes of answer: body, problems, headers, access log."""

import asyncio
import re
import time
from collections.abc import Mapping
from functools import lru_cache
from itertools import count
from secrets import token_hex
from typing import Any, Protocol

from boxoffice.errors import BodyTooLarge, Overloaded, Problem
from boxoffice.http.api import problems
from boxoffice.http.api.headers import NO_STORE, raw_headers
from boxoffice.http.api.operation import Reply, matches, out_of_time, respond
from boxoffice.http.api.problems import Rendered
from boxoffice.http.api.router import RouteMatch
from boxoffice.http.server.answers import AnswerWriter, content_headers
from boxoffice.http.server.handler_task import Deadlines, HandlerTask
from boxoffice.http.streams import HEADERS as STREAM_HEADERS
from boxoffice.http.streams import Stream
from boxoffice.observability.access_log import AccessLog, Kind

_NOT_FOUND = 404
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}\Z")
# Unique on every pod, and a tenth of the price of a UUID.
_PROCESS = token_hex(8)
_numbers = count(1)

Address = tuple[str, int]
# Names a request: method, route, the ids in the path, and `Authorization`.
RequestKey = tuple[str, str, Mapping[str, Any], bytes]


class ClientGone(ConnectionError):
    """The client hung up before its body was complete."""


class ExchangeContext(Protocol):
    """The part of `ServerContext` that requests use."""

    access_log: AccessLog
    deadlines: Deadlines
    answers: AnswerWriter


class Sender(Protocol):
    """A connection, as its requests see it."""

    def send_answer(self, answer: bytes, rest: bytes, *, keep_alive: bool) -> None: ...

    def send_continue(self) -> None: ...

    def resume_reading(self) -> None: ...

    def begin_stream(self, stream: Stream, request_id: str, address: str) -> None: ...


class Exchange(HandlerTask[Reply | Stream]):
    """One request and its answer; `HandlerTask` runs its handler."""

    __slots__ = (
        "_body_awaited", "_body_error", "_body_max_bytes", "_connection", "_context", "_fields",
        "_match", "_started_at", "body", "client", "expects_continue", "has_whole_body",
        "is_abandoned", "is_answered", "is_handled", "is_sent", "is_started", "keep_alive", "method",
        "request_id", "retry_at_s",
    )  # fmt: skip

    def __init__(
        self,
        connection: Sender,
        context: ExchangeContext,
        match: RouteMatch,
        method: str,
        fields: dict[bytes, bytes],
        client: Address | None,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(loop)
        self.method = method
        self.client = client
        self.body = bytearray()
        self.has_whole_body = False
        self.expects_continue = False
        self.keep_alive = True
        self.is_started = False
        self.is_handled = False
        self.is_answered = False
        self.is_sent = False
        self.is_abandoned = False
        # The event loop's time from which a refused client may repeat the request.
        self.retry_at_s = 0.0
        self._connection = connection
        self._context = context
        self._match = match
        self._fields = fields
        self._body_awaited: asyncio.Future[None] | None = None
        self._body_error: Exception | None = None
        self._body_max_bytes = 0
        self._started_at = time.perf_counter()
        given = fields.get(b"x-request-id")
        self.request_id = request_id_of(None if given is None else given.decode("latin-1"))

    @property
    def remote_addr(self) -> str:
        """The address of the client, or of the client that a trusted proxy names."""
        return self.client[0] if self.client else "127.0.0.1"

    @property
    def key(self) -> RequestKey:
        """The request without its body: what the client may repeat after `Retry-After`."""
        match = self._match
        return self.method, match.template, match.ids, self._fields.get(b"authorization", b"")

    @property
    def is_reading_body(self) -> bool:
        """Whether the handler waits for the rest of the body."""
        return self._body_awaited is not None

    def get_header(self, name: str) -> str | None:
        """Return the value of a header."""
        value = self._fields.get(_wire_name(name))
        return None if value is None else value.decode("latin-1")

    def start(self) -> None:
        """Start the handler."""
        self.is_started = True
        self._context.access_log.in_flight.count += 1
        self.run(respond(self._match, self))
        if not self.is_answered:
            self._context.deadlines.add(self, self._match.dependencies.request_timeout_s)

    async def read_body(self, max_bytes: int) -> bytes:
        """Return the body; raise `BodyTooLarge` or `BodyTooSlow`, before the rest of it is read."""
        length = self._fields.get(b"content-length")
        if length is not None and int(length) > max_bytes:
            raise _too_large(max_bytes)
        if self.expects_continue:
            self.expects_continue = False
            self._connection.send_continue()
        if self._body_error is not None:
            raise self._body_error
        if not self.has_whole_body:
            await self._rest_of_body(max_bytes)
        if len(self.body) > max_bytes:
            raise _too_large(max_bytes)
        return bytes(self.body)

    async def _rest_of_body(self, max_bytes: int) -> None:
        self._body_max_bytes = max_bytes
        self._body_awaited = self._loop.create_future()
        self._connection.resume_reading()
        try:
            await self._body_awaited
        finally:
            self._body_awaited = None

    def add_to_body(self, part: bytes) -> None:
        """Store a part of the body, unless the request is already answered."""
        if self.is_answered:
            return
        self.body += part
        if self._body_awaited is not None and len(self.body) > self._body_max_bytes:
            self._wake(_too_large(self._body_max_bytes))

    def end_body(self) -> None:
        """Note that the body is complete."""
        self.has_whole_body = True
        if self._body_awaited is not None:
            self._wake(None)

    def fail_body(self, error: Exception) -> None:
        """Note that the body will not become complete, and why."""
        if not self.has_whole_body:
            self._body_error = error
            self._wake(error)

    def _wake(self, error: Exception | None) -> None:
        waiting = self._body_awaited
        if waiting is None or waiting.done():
            return
        if error is None:
            waiting.set_result(None)
        else:
            waiting.set_exception(error)

    def completed(self, result: Reply | Stream) -> None:
        """Answer with what the handler returned."""
        try:
            if isinstance(result, Stream):
                self._stream(result)
            else:
                self._reply(result)
        except Exception as error:  # a bug is answered, too
            self.failed(error)

    def failed(self, error: BaseException) -> None:
        """Answer with the problem of `error`, which may come from encoding an answer."""
        if isinstance(error, ClientGone):
            self._give_up()
            return
        if isinstance(error, asyncio.CancelledError | TimeoutError):
            error = out_of_time(self.method, handled=self.is_handled)
        if isinstance(error, Overloaded) and b"authorization" in self._fields:
            # Clients without a token look alike behind one proxy.
            self.retry_at_s = self._loop.time() + error.retry_after_s
        if isinstance(error, Problem):
            self._refuse(self._match.present(self, problems.render(error, self.request_id)))
        else:
            self._refuse(problems.render_bug(error, self.request_id))

    def _reply(self, reply: Reply) -> None:
        operation = self._match.operation
        head = raw_headers(reply.headers)
        if reply.etag:
            head += b"etag: %b\r\n" % reply.etag.encode("latin-1")
            if matches(self.get_header("If-None-Match"), reply.etag):
                self._answer(304, "ok", head, b"", "")
                return
        if not operation.cached and operation.success != 204:
            head += NO_STORE.raw
        self._answer(operation.success, "ok", head, reply.body, reply.media_type)

    def _stream(self, stream: Stream) -> None:
        if self.method == "HEAD":
            self.keep_alive = False
            self._account(self._match.operation.success, "ok")
            self._send_soon(self._head(self._match.operation.success) + STREAM_HEADERS.raw, b"")
            return
        self._connection.begin_stream(stream, self.request_id, self.remote_addr)
        self._account(self._match.operation.success, "ok")

    def _refuse(self, refusal: Rendered) -> None:
        if refusal.closes:
            self.keep_alive = False
        head = raw_headers(refusal.headers)
        self._answer(refusal.status, refusal.code, head, refusal.body, refusal.media_type)

    def _answer(self, status: int, code: str, head: bytes, body: bytes, media_type: str) -> None:
        self._account(status, code)
        head += content_headers(status, body, media_type)
        if not self.keep_alive:
            head += b"connection: close\r\n"
        self._send_soon(self._head(status) + head, body)

    def _head(self, status: int) -> bytes:
        """Return the lines that all answers have."""
        return b"%bx-request-id: %b\r\nx-content-type-options: nosniff\r\n" % (
            self._context.answers.status_line(status),
            self.request_id.encode("latin-1"),
        )

    def _send_soon(self, head: bytes, body: bytes) -> None:
        self._context.answers.send_soon(self, head, b"" if self.method == "HEAD" else body)

    def _account(self, status: int, code: str) -> None:
        """Record the answer in the access log."""
        context, match = self._context, self._match
        self._end()
        kind = match.kinds.get((status, code))
        if kind is None:
            # 404 has no scope: invented ids would fill the memory.
            scope = "" if status == _NOT_FOUND else match.scope
            kind = Kind(self.method, match.template, status, code, scope)
            match.kinds[status, code] = kind
        context.access_log.answered(kind, self.request_id, self._started_at)

    def _give_up(self) -> None:
        """End without an answer: the client is gone, and nothing was done for it."""
        self._end()

    def _end(self) -> None:
        self.is_answered = True
        self._context.deadlines.forget(self)
        self._context.access_log.in_flight.count -= 1

    def send(self, answer: bytes, rest: bytes) -> None:
        """Send the answer, which ends the request, unless the client has hung up."""
        self.is_sent = True
        if not self.is_abandoned:
            self._connection.send_answer(answer, rest, keep_alive=self.keep_alive)


def request_id_of(given: str | None) -> str:
    """Return the id of a request: the caller's `X-Request-Id` where it is usable, else a new one."""
    if given and _REQUEST_ID.match(given):
        return given
    return f"{_PROCESS}-{next(_numbers):x}"


def _too_large(max_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body may have {max_bytes} bytes.", max_bytes=max_bytes)


@lru_cache(maxsize=64)
def _wire_name(name: str) -> bytes:
    return name.lower().encode("ascii")
