"""What one connection can send to make a worker keep memory, by kind."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle

# Ten times the allowed growth, so that data kept at its own size shows.
SENT_BYTES = 160 * 1024 * 1024
_PIECE_BYTES = 65_536
_CONNECT_WITHIN_S = 5.0
_LINGER_S = 0.3

_HOST = b"Host: shop\r\n"
_POST = b"POST /v1/users HTTP/1.1\r\n" + _HOST + b"Content-Type: application/json\r\n"
_CHUNKED = _POST + b"Transfer-Encoding: chunked\r\n\r\n"
_GET = b"GET %b HTTP/1.1\r\n" + _HOST
_FIELDS = b"".join(b"field-%d: %b\r\n" % (at, b"v" * 200) for at in range(120))

Send = Callable[[bytes], Iterator[bytes]]


@dataclass(frozen=True)
class SendPattern:
    """One kind: `send` yields the bytes, given a seat map's path; `reads` the responses or not."""

    name: str
    send: Send
    reads: bool = True


@dataclass(frozen=True)
class Sent:
    """How much the server took, and whether it ended the connection."""

    sent_bytes: int
    was_ended: bool


def _forever(part: bytes, begin: bytes = b"") -> Send:
    """Return a sender of `begin` and then `part` repeatedly."""

    def send(_path: bytes) -> Iterator[bytes]:
        yield begin
        yield from cycle([part * max(1, _PIECE_BYTES // len(part))])

    return send


def _seat_maps(path: bytes) -> Iterator[bytes]:
    yield from cycle([(_GET % path + b"\r\n") * 100])


def _streamed(path: bytes) -> Iterator[bytes]:
    """Yield a request for an event stream, followed by pipelined requests."""
    yield _GET % (path + b"/events") + b"\r\n"
    yield from cycle([(_GET % b"/x" + b"\r\n") * 1_000])


def _bodies(_path: bytes) -> Iterator[bytes]:
    """Yield requests with bodies of the largest size, each refused late."""
    members = b",".join(b'"m%d":[%d]' % (at, at) for at in range(4_000))
    body = b"{%b}" % members[:65_000].rpartition(b",")[0]
    yield from cycle([_POST + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)])


def _deep(_path: bytes) -> Iterator[bytes]:
    body = b"[" * 65_000
    yield from cycle([_POST + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)])


_TINY = b"GET /x HTTP/1.1\r\nHost:\r\n\r\n"

KINDS: tuple[SendPattern, ...] = (
    SendPattern("pipelined_tiny", _forever(_TINY)),
    SendPattern("pipelined_tiny_unread", _forever(_TINY), reads=False),
    SendPattern("pipelined_large_heads", _forever(_GET % b"/x" + _FIELDS + b"\r\n")),
    SendPattern("pipelined_large_bodies", _bodies),
    SendPattern("pipelined_deep_bodies", _deep),
    SendPattern("pipelined_seat_maps_unread", _seat_maps, reads=False),
    SendPattern("after_a_stream", _streamed),
    SendPattern(
        "after_an_upgrade",
        _forever(_TINY, _GET % b"/x" + b"Connection: upgrade\r\nUpgrade: h2c\r\n\r\n"),
    ),
    SendPattern("many_fields", _forever(b"a:b\r\n", _GET % b"/x")),
    SendPattern("one_field", _forever(b"b" * 1_000, _GET % b"/x" + b"a: ")),
    SendPattern("one_target", _forever(b"a" * 1_000, b"GET /")),
    SendPattern("blank_lines", _forever(b"\r\n")),
    SendPattern("trailers", _forever(b"a:b\r\n", _CHUNKED + b"1\r\n{\r\n0\r\n")),
    SendPattern("one_trailer", _forever(b"b" * 1_000, _CHUNKED + b"1\r\n{\r\n0\r\na: ")),
    SendPattern("one_chunk_extension", _forever(b"b" * 1_000, _CHUNKED + b"1;a=")),
    SendPattern("chunk_extensions", _forever(b"1;a=bbbbbbbbbbbbbbbbbbbbbbbbbb\r\n{\r\n", _CHUNKED)),
    SendPattern("small_chunks", _forever(b"1\r\n \r\n", _CHUNKED)),
    SendPattern("one_chunk", _forever(b" " * 1_000, _CHUNKED + b"fffffff\r\n")),
    SendPattern(
        "declared_body", _forever(b" " * 1_000, _POST + b"Content-Length: 999999999\r\n\r\n")
    ),
    SendPattern(
        "unwanted_body",
        _forever(b" " * 1_000, _GET % b"/x" + b"Content-Length: 999999999\r\n\r\n"),
        reads=False,
    ),
)


async def play(pattern: SendPattern, port: int, path: str, seconds: float) -> Sent:
    """Send as fast as it is taken, until `seconds` are over or the server ends the connection."""
    async with asyncio.timeout(_CONNECT_WITHIN_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    reading = asyncio.create_task(_take(reader)) if pattern.reads else None
    sent_bytes, until_s = 0, time.monotonic() + seconds
    was_ended = False
    try:
        for piece in pattern.send(path.encode()):
            if sent_bytes > SENT_BYTES or time.monotonic() > until_s:
                break
            writer.write(piece)
            async with asyncio.timeout(max(0.1, until_s - time.monotonic())):
                await writer.drain()
            sent_bytes += len(piece)
        await asyncio.sleep(_LINGER_S)
    except TimeoutError:
        pass  # The server takes no more, as it should.
    except OSError:
        was_ended = True
    finally:
        if reading is not None:
            was_ended = was_ended or reading.done()
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        writer.transport.abort()
    return Sent(sent_bytes, was_ended)


async def _take(reader: asyncio.StreamReader) -> None:
    """Read until the server ends the connection."""
    with contextlib.suppress(OSError):
        while await reader.read(_PIECE_BYTES):
            pass
