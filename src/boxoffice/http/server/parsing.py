"""Parses the requests of one connection, and bounds everything except bodies.

The parser (llhttp by way of httptools) is strict about line ends, lengths and chunks. `check_head`
checks the other rules of RFC 9112: `Host`, and transfer codings other than chunked. A request that asks
to upgrade is the last one of its connection, because another protocol may follow it. Its body is still
read, because Java's client asks for HTTP/2 with its first request.
"""

import re
from enum import Enum
from functools import lru_cache
from typing import NamedTuple, Protocol

import httptools
from httptools import HttpParserError, HttpParserUpgrade

# Bytes per parser call. Smaller pieces cost time, larger pieces cost memory.
PIECE_MAX_BYTES = 16_384
# The parser requires CRLF, so every head ends with this; the next piece begins after it.
HEAD_END = b"\r\n\r\n"
_BLANK_LINES = re.compile(rb"(?:\r\n)*")
# uri-host [ ":" port ] (RFC 9110, section 7.2; RFC 3986, section 3.2.2); a reg-name may be empty.
_HOST = re.compile(
    rb"(?:\[[0-9A-Za-z:.%_~-]+\]|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(?::[0-9]*)?"
)
_CHUNKED = b"chunked"
# Allowance for a chunk beside its content: its length in hexadecimal, and two line ends.
_CHUNK_FRAME_BYTES = 20
_BLANKS = b" \t"
_VERSIONS = ("1.0", "1.1")
# The fields that determine where a body ends.
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})
# If such a field is repeated, the last value counts; values of other repeated fields are joined.
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
    """A connection-level refusal, after which the connection closes.

    `reason` is the metric's label, `more` has additional header lines.
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


class HeadInvalid(ValueError):
    """A head that is refused with 400."""


class RequestRefused(Exception):
    """The bytes are not a valid request, or exceed a bound."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


class Receiver(Protocol):
    """Takes the parts of requests; the names of a head's fields are in lower case."""

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
        # Data after the last request is ignored and does not refuse that request.
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._target = b""
        self._fields: list[tuple[bytes, bytes]] = []
        # Bytes: of a head in earlier pieces, of the piece in which it began, and of this piece.
        self._head_bytes = 0
        self._begun_in_bytes = 0
        self._piece_bytes = 0
        # Bytes after the head that are not content: chunk frames and trailers.
        self._frame_bytes = 0
        # The valid `Host` of the previous request.
        self._host: bytes | None = None
        # The framing of the body that follows a head with an upgrade: for the parser the request ends
        # with that head.
        self._body_follows_upgrade = b""
        self._refusal = NOT_HTTP

    def feed(self, piece: bytes) -> None:
        """Parse a piece; raise `RequestRefused` if the connection has to close."""
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
        """Raise if an incomplete head, or the chunk frames of a body, are too large."""
        if self.reading is _BODY:
            if self._frame_bytes > self._head_max_bytes:
                raise RequestRefused(HEAD_TOO_LARGE)
            return
        # All bytes since the head began belong to it.
        too_many = len(self._fields) > self._fields_max
        if too_many or self._head_bytes > self._head_max_bytes:
            raise RequestRefused(HEAD_TOO_LARGE)
        if not self._head_bytes:
            self._begun_in_bytes = self._piece_bytes

    def stop(self) -> None:
        """Stop reading; an incomplete request is refused."""
        self.reading = _NOTHING

    def on_message_begin(self) -> None:
        """Begin a head."""
        self.reading = _HEAD
        self._target = b""
        self._fields = []

    def on_url(self, part: bytes) -> None:
        """Keep a part of the target."""
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a field; trailers arrive here too and are dropped with their list."""
        self._fields.append((name.lower(), value.rstrip(_BLANKS)))

    def on_headers_complete(self) -> None:
        """Check the head and pass it to the receiver."""
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
            or (host != self._host and not _host_is_valid(host))
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
        """Check an unusual head; the parser turns an error into its own and stops."""
        if version not in _VERSIONS:
            raise HeadInvalid("no such version of HTTP")
        if len(pairs) > self._fields_max:
            self._refusal = HEAD_TOO_LARGE
            raise HeadInvalid("the head has too many fields")
        check_head(version, pairs)

    def _weigh(self) -> None:
        """Measure a head that may be too large; most are in a piece that is smaller than the bound."""
        fields = sum(len(name) + len(value) for name, value in self._fields)
        if len(self._target) + fields > self._head_max_bytes:
            self._refusal = HEAD_TOO_LARGE
            # The parser turns this into its own error and stops.
            raise HeadInvalid("the head is too large")

    def on_chunk_header(self) -> None:
        """Subtract the allowance for one chunk."""
        self._frame_bytes -= _CHUNK_FRAME_BYTES

    def on_body(self, part: bytes) -> None:
        """Pass a part of the body to the receiver."""
        self._frame_bytes -= len(part)
        self._receiver.body_received(part)

    def on_message_complete(self) -> None:
        """Complete the request, unless the body of an upgrade request follows."""
        if not self._body_follows_upgrade:
            self.reading = _NOTHING
            self._receiver.request_received()

    def _read_body_of_upgrade(self, rest: bytes) -> None:
        """Read the body with a second parser, which gets a head without the upgrade."""
        framing, self._body_follows_upgrade = self._body_follows_upgrade, b""
        if framing:
            self._parser = httptools.HttpRequestParser(_BodyListener(self))
            self.feed(b"POST / HTTP/1.1\r\n%b\r\n" % framing)
            if rest:
                self.feed(rest)


class _BodyListener:
    """Parser callbacks for a request whose head is already parsed."""

    def __init__(self, parser: RequestParser) -> None:
        self.on_body = parser.on_body
        self.on_chunk_header = parser.on_chunk_header
        self.on_message_complete = parser.on_message_complete


def piece_end(data: bytes, begin: int) -> int:
    """Return where to stop parsing: at the end of a head, or after a piece of 16 KiB.

    So a piece contains at most two heads, even small ones.
    """
    limit = min(len(data), begin + PIECE_MAX_BYTES)
    at = data.find(HEAD_END, begin, limit)
    if at < 0:
        return limit
    blank = _BLANK_LINES.match(data, at, limit)
    return blank.end() if blank else limit


def check_head(version: str, pairs: list[tuple[bytes, bytes]]) -> None:
    """Raise `HeadInvalid` for a head that a server must refuse (RFC 9112, sections 3.2 and 6.1)."""
    hosts = [value for name, value in pairs if name == b"host"]
    if len(hosts) > 1 or (not hosts and version != "1.0"):
        raise HeadInvalid("a request has one Host")
    if hosts and not _host_is_valid(hosts[0]):
        raise HeadInvalid("no such Host can be")
    for name, value in pairs:
        if name == b"transfer-encoding" and (version == "1.0" or value.lower() != _CHUNKED):
            raise HeadInvalid("the only transfer coding is chunked")


@lru_cache(maxsize=256)
def _host_is_valid(value: bytes) -> bool:
    """Return whether this is a valid value of `Host`; it may be empty."""
    return _HOST.fullmatch(value) is not None


def _joined(pairs: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return fields by name, with repeated fields joined (RFC 9110, section 5.3)."""
    fields: dict[bytes, bytes] = {}
    for name, value in pairs:
        if name in fields and name not in _SINGLETONS:
            fields[name] += b"," + value
        else:
            fields[name] = value
    return fields
