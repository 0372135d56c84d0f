"""From replies and problems to bytes; the answers of one turn of the event loop are sent together."""

import asyncio
import time
from collections.abc import Mapping
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Protocol

import msgspec

from boxoffice.http.api.headers import NO_STORE, FixedHeaders, raw_headers
from boxoffice.http.api.operation import Reply
from boxoffice.http.api.problems import Rendered
from boxoffice.http.api.router import RouteMatch
from boxoffice.http.downloads import Download
from boxoffice.http.streams import HEADERS as STREAM_HEADERS
from boxoffice.observability.access_log import AccessLog, Kind
from boxoffice.observability.logs import log

# A larger body is written as it is: a copy for each slow reader would fill the memory.
_COPIED_MAX_BYTES = 16_384
# Statuses without a body (RFC 9110, section 6.4.1).
_WITHOUT_BODY = frozenset({204, 304})
_NOT_FOUND = 404

_encode = msgspec.json.Encoder().encode


class Sender(Protocol):
    """A connection, as its answers see it."""

    def send_answer(self, answer: bytes, rest: bytes, *, keep_alive: bool) -> None: ...

    def send_head(self, head: bytes) -> None: ...


class Answered(Protocol):
    """A request whose answer is due; the names of `fields` are in lower case."""

    fields: Mapping[bytes, bytes]
    is_abandoned: bool
    keep_alive: bool
    match: RouteMatch
    method: str
    request_id: str
    started_at: float

    @property
    def connection(self) -> Sender: ...


class AnswerWriter:
    """Encodes and logs the answers of a server, and writes those of a turn of the event loop together.

    One by one, each answer would wake the other end, or the network's, before the next one is made.
    """

    def __init__(self, access_log: AccessLog) -> None:
        self._access_log = access_log
        self._second = 0
        self._status_lines: dict[int, bytes] = {}
        self._due: list[tuple[Answered, bytes, bytes]] = []

    def reply(self, request: Answered, reply: Reply) -> None:
        """Answer with what a handler returned."""
        operation = request.match.operation
        lines = _header_lines(reply.headers)
        if reply.location:
            lines += b"location: %b\r\n" % reply.location.encode("latin-1")
        if reply.etag:
            etag = reply.etag.encode("latin-1")
            lines += b"etag: %b\r\n" % etag
            # The tag of a version says nothing about what else an answer shows, such as seat counts.
            if operation.cached and _matches(request.fields.get(b"if-none-match"), etag):
                self._answer(request, 304, "ok", lines, b"")
                return
        if not operation.cached and operation.success != 204:
            lines += NO_STORE.raw
        body = reply.encoded
        if body is None:
            body = b"" if reply.value is None else _encode(reply.value)
        if operation.success not in _WITHOUT_BODY:
            lines += content_lines(body, reply.media_type)
        status = 202 if reply.is_accepted else operation.success
        self._answer(request, status, "ok", lines, body)

    def refuse(self, request: Answered, refusal: Rendered) -> None:
        """Answer with a problem."""
        if refusal.closes:
            request.keep_alive = False
        lines = _header_lines(refusal.headers) + content_lines(refusal.body, refusal.media_type)
        self._answer(request, refusal.status, refusal.code, lines, refusal.body)

    def stream_head(self, request: Answered) -> None:
        """Answer HEAD where GET answers with a stream."""
        request.keep_alive = False
        status = request.match.operation.success
        self.account(request, status, "ok")
        self._send_soon(request, self._head(request, status, STREAM_HEADERS.raw), b"")

    def file_head(
        self, request: Answered, download: Download, length_bytes: int | None = None
    ) -> None:
        """Send the head of a file, whose pieces follow; without a length where none follow."""
        lines = _header_lines(download.headers) + NO_STORE.raw
        lines += b"content-type: %b\r\n" % _encoded(download.media_type)
        if not request.keep_alive:
            lines += b"connection: close\r\n"
        status = request.match.operation.success
        self.account(request, status, "ok")
        if length_bytes is None:
            self._send_soon(request, self._head(request, status, lines), b"")
        else:
            lines += b"content-length: %d\r\n" % length_bytes
            request.connection.send_head(self._head(request, status, lines))

    def account(self, request: Answered, status: int, code: str, trace_fields: str = "") -> None:
        """Record an answer in the access log; `trace_fields` as in `AccessLog`."""
        match = request.match
        kind = match.kinds.get((status, code))
        if kind is None:
            # 404 has no scope: invented ids would fill the memory.
            scope = "" if status == _NOT_FOUND else match.scope
            kind = Kind(request.method, match.template, status, code, scope)
            match.kinds[status, code] = kind
        self._access_log.answered(kind, request.request_id, request.started_at, trace_fields)

    def status_line(self, status: int) -> bytes:
        """Return the status line of an answer, and its `Date` (RFC 9110, section 6.6.1)."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._status_lines.clear()
        line = self._status_lines.get(status)
        if line is None:
            date = formatdate(second, usegmt=True)
            phrase = HTTPStatus(status).phrase
            line = f"HTTP/1.1 {status} {phrase}\r\ndate: {date}\r\n".encode("ascii")
            self._status_lines[status] = line
        return line

    def _answer(self, request: Answered, status: int, code: str, lines: bytes, body: bytes) -> None:
        self.account(request, status, code)
        if not request.keep_alive:
            lines += b"connection: close\r\n"
        head = self._head(request, status, lines)
        self._send_soon(request, head, b"" if request.method == "HEAD" else body)

    def _head(self, request: Answered, status: int, lines: bytes) -> bytes:
        """Return a head: the lines that all answers have, and those of this one."""
        return b"%bx-request-id: %b\r\nx-content-type-options: nosniff\r\n%b\r\n" % (
            self.status_line(status),
            request.request_id.encode("latin-1"),
            lines,
        )

    def _send_soon(self, request: Answered, head: bytes, body: bytes) -> None:
        """Send an answer at the end of this turn of the event loop, in two parts if it is large."""
        if not self._due:
            asyncio.get_running_loop().call_soon(self._send)
        if len(body) <= _COPIED_MAX_BYTES:
            self._due.append((request, head + body, b""))
        else:
            self._due.append((request, head, body))

    def _send(self) -> None:
        due, self._due = self._due, []
        for request, answer, rest in due:
            if request.is_abandoned:
                continue  # The client has hung up.
            try:
                request.connection.send_answer(answer, rest, keep_alive=request.keep_alive)
            except Exception as error:  # the other answers are still sent
                log.error("answer_not_sent", exc_info=error)


def _header_lines(headers: Mapping[str, str] | None) -> bytes:
    if not headers:
        return b""
    return headers.raw if isinstance(headers, FixedHeaders) else raw_headers(headers)


def content_lines(body: bytes, media_type: str) -> bytes:
    """Return the header lines that describe a body; also in an answer to HEAD."""
    return b"content-type: %b\r\ncontent-length: %d\r\n" % (_encoded(media_type), len(body))


@lru_cache(maxsize=64)
def _encoded(media_type: str) -> bytes:
    return media_type.encode("ascii")


def _matches(header: bytes | None, etag: bytes) -> bool:
    """Weak comparison of If-None-Match (RFC 9110, section 13.1.2)."""
    if not header:
        return False
    if header == etag or header.strip() == b"*":
        return True
    plain = etag.removeprefix(b"W/")
    return any(tag.strip().removeprefix(b"W/") == plain for tag in header.split(b","))
