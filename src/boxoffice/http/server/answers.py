"""Encodes answers, and writes them together at the end of a turn of the event loop."""

import asyncio
import time
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Protocol

from boxoffice.observability.logs import log

# A larger body is written as it is: a copy for each slow reader would fill the memory.
_COPIED_MAX_BYTES = 16_384
# Statuses without a body (RFC 9110, section 6.4.1).
_WITHOUT_BODY = frozenset({204, 304})


class Answered(Protocol):
    """A request whose answer is due."""

    def send(self, answer: bytes, rest: bytes) -> None: ...


class AnswerWriter:
    """Writes the answers of a server, all of one turn of the event loop at its end.

    One by one, each answer would wake the other end, or the network's, before the next one is made.
    """

    def __init__(self) -> None:
        self._second = 0
        self._status_lines: dict[int, bytes] = {}
        self._due: list[tuple[Answered, bytes, bytes]] = []

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

    def send_soon(self, request: Answered, head: bytes, body: bytes) -> None:
        """Send an answer at the end of this turn of the event loop, in two parts if it is large."""
        if not self._due:
            asyncio.get_running_loop().call_soon(self._send)
        if len(body) <= _COPIED_MAX_BYTES:
            self._due.append((request, b"%b\r\n%b" % (head, body), b""))
        else:
            self._due.append((request, b"%b\r\n" % head, body))

    def _send(self) -> None:
        due, self._due = self._due, []
        for request, answer, rest in due:
            try:
                request.send(answer, rest)
            except Exception as error:  # the other answers are still sent
                log.error("answer_not_sent", exc_info=error)


@lru_cache(maxsize=64)
def _encoded(media_type: str) -> bytes:
    return media_type.encode("ascii")


def content_headers(status: int, body: bytes, media_type: str) -> bytes:
    """Return the header lines that describe a body; also in an answer to HEAD."""
    if status in _WITHOUT_BODY:
        return b""
    return b"content-type: %b\r\ncontent-length: %d\r\n" % (_encoded(media_type), len(body))
