"""Reads the requests of one connection, with bounds for all that is no body.

The parser (llhttp by way of httptools) is strict about line ends, lengths and chunks; what RFC 9112
refuses beside that, `framing` does. A request that asks to upgrade is the last one of its connection:
what follows it may be another protocol, and the parser reads nothing after it. Its body is read all the
same, because Java's client asks for HTTP/2 with the first request that it sends.
"""

from enum import Enum
from typing import NamedTuple, Protocol

import httptools
from httptools import HttpParserError, HttpParserUpgrade

from boxoffice.http.server.framing import HeadInvalid, check_head, host_is_valid

# What a chunk needs beside its content: its length in hexadecimal, and two line ends.
_CHUNK_FRAME_BYTES = 20
_BLANKS = b" \t"
_VERSIONS = ("1.0", "1.1")
# What says where a body ends.
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})
# Where such a field comes twice, the last one counts; the values of others are joined.
_SINGLETONS = frozenset(
    {b"content-length", b"content-type", b"cookie", b"expect", b"from", b"host"}
    | {b"max-forwards", b"referer", b"user-agent"}
)


class Reading(Enum):
    """What a connection reads at a moment."""

    NOTHING = "nothing"  # between two requests
    HEAD = "head"
    BODY = "body"


# Looking a member up costs more than a module's own name.
_NOTHING, _HEAD, _BODY = Reading


class Refusal(NamedTuple):
    """How a connection ends that is refused below a request; `reason` is the metric's label.

    `more` are header lines beside those of all refusals.
    """

    status: int
    reason: str
    more: bytes = b""
    body: bytes = b""


NOT_HTTP = Refusal(
    400,
    "not_http",
    b"content-type: text/plain; charset=utf-8\r\n",
    b"Invalid HTTP request received.",
)
HEAD_TOO_LARGE = Refusal(431, "head_too_large")


class RequestRefused(Exception):
    """What was read is no request, or has more of a head than allowed."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


class Receiver(Protocol):
    """Takes the parts of requests; the names of a head's fields are in lower case."""

    def head_begun(self) -> None: ...

    def head_received(
        self,
        method: bytes,
        target: bytes,
        fields: dict[bytes, bytes],
        is_last: bool,
        expects_continue: bool,
    ) -> None: ...

    def body_received(self, part: bytes) -> None: ...

    def request_received(self) -> None: ...


class RequestParser:
    """Parses the bytes of a connection, and passes heads and bodies to `receiver`."""

    __slots__ = (
        "_begun_in_bytes", "_body_follows_upgrade", "_fields", "_fields_max", "_frame_bytes",
        "_head_bytes", "_head_max_bytes", "_host", "_parser", "_piece_bytes", "_receiver", "_refusal",
        "_target", "reading",
    )  # fmt: skip

    def __init__(self, receiver: Receiver, head_max_bytes: int, fields_max: int) -> None:
        self.reading = _HEAD
        self._receiver = receiver
        self._head_max_bytes = head_max_bytes
        self._fields_max = fields_max
        self._parser = httptools.HttpRequestParser(self)
        # What comes after the last request is not read; it is no reason to refuse that request.
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._target = b""
        self._fields: list[tuple[bytes, bytes]] = []
        # What came of a head before this piece, the piece that it shares with what came before it, and
        # this piece.
        self._head_bytes = 0
        self._begun_in_bytes = 0
        self._piece_bytes = 0
        # What was read of a request after its head and is no body: the frames of chunks, and trailers.
        self._frame_bytes = 0
        # The `Host` of the request before, which was a valid one.
        self._host: bytes | None = None
        # The framing of the body that follows a head with an upgrade: for the parser the request ends
        # with that head.
        self._body_follows_upgrade = b""
        self._refusal = NOT_HTTP

    def feed(self, piece: bytes) -> None:
        """Parse a piece; raise `RequestRefused` where the connection has to end."""
        self._piece_bytes = size = len(piece)
        if self.reading is _HEAD:
            self._head_bytes += size
        elif self.reading is _BODY:
            self._frame_bytes += size
        try:
            self._parser.feed_data(piece)
        except HttpParserError as error:
            raise RequestRefused(self._refusal) from error
        except HttpParserUpgrade as upgrade:
            self._read_body_of_upgrade(piece[upgrade.args[0] :])
        if self.reading is not _NOTHING:
            self._check_bounds()

    def _check_bounds(self) -> None:
        """Raise for a head, or for frames of a body, that are too large before their end."""
        if self.reading is _BODY:
            if self._frame_bytes > self._head_max_bytes:
                raise RequestRefused(HEAD_TOO_LARGE)
            return
        # All that was received since the head began belongs to it.
        too_many = len(self._fields) > self._fields_max
        if too_many or self._head_bytes > self._head_max_bytes:
            raise RequestRefused(HEAD_TOO_LARGE)
        if not self._head_bytes:
            self._begun_in_bytes = self._piece_bytes

    def stop(self) -> None:
        """Read nothing more: what was begun is refused."""
        self.reading = _NOTHING

    def on_message_begin(self) -> None:
        """Begin a head."""
        self.reading = _HEAD
        self._target = b""
        self._fields = []
        self._receiver.head_begun()

    def on_url(self, part: bytes) -> None:
        """Keep a part of the target."""
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a field of the head; trailers come here, too, and are dropped with their list."""
        self._fields.append((name.lower(), value.rstrip(_BLANKS)))

    def on_headers_complete(self) -> None:
        """Hand the head over."""
        if self._begun_in_bytes + self._head_bytes + self._piece_bytes > self._head_max_bytes:
            self._weigh()
        self._head_bytes = self._begun_in_bytes = self._frame_bytes = 0
        pairs, self._fields = self._fields, []
        fields = dict(pairs)
        version = self._parser.get_http_version()
        host = fields.get(b"host")
        if (
            len(fields) != len(pairs)
            or version != "1.1"
            or b"transfer-encoding" in fields
            or host is None
            or (host != self._host and not host_is_valid(host))
            or len(pairs) > self._fields_max
        ):
            self._check_head(version, pairs)
            fields = _joined(pairs)
        self._host = host
        if b"#" in self._target:
            raise HeadInvalid("a target has no fragment")
        method = self._parser.get_method()
        is_last = version != "1.1" or not self._parser.should_keep_alive()
        if (b"upgrade" in fields or method == b"CONNECT") and self._parser.should_upgrade():
            is_last = True
            framing = [pair for pair in pairs if pair[0] in _FRAMING]
            self._body_follows_upgrade = b"".join([b"%b: %b\r\n" % pair for pair in framing])
        # Clients of HTTP/1.0 do not know 100 (RFC 9110, section 10.1.1).
        expects = b"expect" in fields and fields[b"expect"].lower() == b"100-continue"
        expects_continue = expects and version == "1.1"
        self._receiver.head_received(method, self._target, fields, is_last, expects_continue)
        self.reading = _BODY

    def _check_head(self, version: str, pairs: list[tuple[bytes, bytes]]) -> None:
        """Look at a head that is not plain; the parser turns an error into its own and stops."""
        if version not in _VERSIONS:
            raise HeadInvalid("no such version of HTTP")
        if len(pairs) > self._fields_max:
            self._refusal = HEAD_TOO_LARGE
            raise HeadInvalid("the head has too many fields")
        check_head(version, pairs)

    def _weigh(self) -> None:
        """Weigh a head that may be too large; most are in a piece that is smaller than that."""
        fields = sum(len(name) + len(value) for name, value in self._fields)
        if len(self._target) + fields > self._head_max_bytes:
            self._refusal = HEAD_TOO_LARGE
            # The parser turns this into its own error and stops.
            raise HeadInvalid("the head is too large")

    def on_chunk_header(self) -> None:
        """Allow a chunk what every chunk needs."""
        self._frame_bytes -= _CHUNK_FRAME_BYTES

    def on_body(self, part: bytes) -> None:
        """Hand a part of the body over."""
        self._frame_bytes -= len(part)
        self._receiver.body_received(part)

    def on_message_complete(self) -> None:
        """End the request, unless the body of one that asks to upgrade is still to come."""
        if not self._body_follows_upgrade:
            self.reading = _NOTHING
            self._receiver.request_received()

    def _read_body_of_upgrade(self, rest: bytes) -> None:
        """Have the body read by another parser, which is given a head without the upgrade."""
        framing, self._body_follows_upgrade = self._body_follows_upgrade, b""
        if framing:
            self._parser = httptools.HttpRequestParser(_BodyListener(self))
            self.feed(b"POST / HTTP/1.1\r\n%b\r\n" % framing)
            if rest:
                self.feed(rest)


class _BodyListener:
    """The callbacks for a request whose head was parsed before."""

    def __init__(self, parser: RequestParser) -> None:
        self.on_body = parser.on_body
        self.on_chunk_header = parser.on_chunk_header
        self.on_message_complete = parser.on_message_complete


def _joined(pairs: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return fields by their names, those that come several times as one (RFC 9110, section 5.3)."""
    fields: dict[bytes, bytes] = {}
    for name, value in pairs:
        if name in fields and name not in _SINGLETONS:
            fields[name] += b"," + value
        else:
            fields[name] = value
    return fields
