"""Clients that behave badly, in a process of their own: `python -m faults.rude WISH RESULT`.

Each kind is bounded in connections, bytes and time. What the server said to them is counted, and how
many of them it let go.
"""

import asyncio
import contextlib
import resource
import socket
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import uvloop

_CONNECT_WITHIN_S = 5.0
_DRIP_EVERY_S = 0.5
_SPREAD_S = 2.0
# Whoever was cut off comes back after a moment; how fast connections can be made, the storm asks.
_BACK_AFTER_S = 0.5
_PIECE = b"x" * 65_536
_HEAD = b"POST /v1/users HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\n"


class Wish(msgspec.Struct, kw_only=True):
    """Who is rude to whom for how long; `path` is a long answer, `hold` a whole request for seats."""

    kind: str
    port: int
    clients: int
    seconds: float
    path: str = ""
    hold: bytes = b""


class Told(msgspec.Struct, kw_only=True):
    """How often each kind of client got through its turn, was told a status, or was cut off.

    Times are monotonic seconds, which all processes of a machine share.
    """

    begin_s: float
    end_s: float
    turns: int
    answers: dict[str, int]
    sent_bytes: int


class _Rude:
    def __init__(self, wish: Wish) -> None:
        self.wish = wish
        begin_s = time.monotonic()
        self.until_s = begin_s + wish.seconds
        self.told = Told(begin_s=begin_s, end_s=begin_s, turns=0, answers={}, sent_bytes=0)
        self.answers: Counter[str] = Counter()

    @property
    def is_over(self) -> bool:
        return time.monotonic() > self.until_s

    async def play(self) -> Told:
        """Let every client have turn after turn until the time is over."""
        turn = _KINDS[self.wish.kind]
        await asyncio.gather(*(self._again_and_again(turn, at) for at in range(self.wish.clients)))
        self.told.answers = dict(self.answers)
        self.told.end_s = time.monotonic()
        return self.told

    async def _again_and_again(self, turn: "Turn", number: int) -> None:
        # Not all in the same moment: their haste is not what this is about.
        await asyncio.sleep(_SPREAD_S * number / self.wish.clients)
        while not self.is_over:
            self.told.turns += 1
            try:
                async with asyncio.timeout(_CONNECT_WITHIN_S):
                    reader, writer = await asyncio.open_connection("127.0.0.1", self.wish.port)
            except (OSError, TimeoutError):
                self.answers["unreached"] += 1
                await asyncio.sleep(0.2)
                continue
            try:
                await turn(self, reader, writer)
            except OSError:
                self.answers["cut"] += 1
                await asyncio.sleep(_BACK_AFTER_S)
            finally:
                writer.transport.abort()

    def send(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        """Send, without waiting for anybody to take it."""
        self.told.sent_bytes += len(data)
        writer.write(data)

    async def hear(self, reader: asyncio.StreamReader, within_s: float) -> bool:
        """Count what the server says within that time; say whether it said anything."""
        left_s = max(0.0, min(within_s, self.until_s - time.monotonic()))
        try:
            async with asyncio.timeout(left_s):
                line = await reader.read(4096)
        except TimeoutError:
            return False
        self.answers[line[9:12].decode("latin-1") if line else "closed"] += 1
        return True

    async def drip(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Send a byte now and then until the server has had enough."""
        while not self.is_over:
            self.send(writer, b"x")
            if await self.hear(reader, _DRIP_EVERY_S):
                return


Turn = Callable[[_Rude, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def _slow_head(
    rude: _Rude, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    rude.send(writer, b"GET /v1/concerts HTTP/1.1\r\nHost: shop\r\nX: ")
    await rude.drip(reader, writer)


async def _slow_body(
    rude: _Rude, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    rude.send(writer, _HEAD + b"Content-Length: 60000\r\n\r\n{")
    await rude.drip(reader, writer)


async def _storm(rude: _Rude, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    rude.send(writer, b"GET /healthz HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n")
    await rude.hear(reader, 5.0)
    await asyncio.sleep(0.5)


async def _hang_up(rude: _Rude, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    # In the head, in the body, and between the request and its answer.
    cut_at = rude.told.turns % (len(rude.wish.hold) + 1) or len(rude.wish.hold)
    rude.send(writer, rude.wish.hold[:cut_at])
    await writer.drain()
    linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()
    await asyncio.sleep(0.2)


async def _giant(rude: _Rude, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    is_chunked = rude.told.turns % 2
    length = b"Transfer-Encoding: chunked" if is_chunked else b"Content-Length: 1000000000"
    rude.send(writer, _HEAD + length + b"\r\n\r\n")
    for _ in range(100):
        rude.send(writer, b"10000\r\n" + _PIECE + b"\r\n" if is_chunked else _PIECE)
        await writer.drain()
        if await rude.hear(reader, 0.02):
            break
    await asyncio.sleep(0.3)


async def _deep(rude: _Rude, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    body = (b"[" if rude.told.turns % 2 else b'{"a":') * 12_000
    rude.send(writer, _HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
    await rude.hear(reader, 5.0)
    await asyncio.sleep(0.3)


async def _never_read(
    rude: _Rude, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    request = f"GET {rude.wish.path} HTTP/1.1\r\nHost: shop\r\n\r\n".encode()
    while not rude.is_over:
        rude.send(writer, request)
        await writer.drain()
        await asyncio.sleep(_DRIP_EVERY_S)


_KINDS: dict[str, Turn] = {
    "slow_heads": _slow_head,
    "slow_bodies": _slow_body,
    "storm": _storm,
    "hang_ups": _hang_up,
    "giant_bodies": _giant,
    "deep_json": _deep,
    "never_read": _never_read,
}


def main() -> None:
    """Be rude as wished."""
    wish_file, result_file = sys.argv[1:]
    with contextlib.suppress(ValueError):
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    wish = msgspec.msgpack.decode(Path(wish_file).read_bytes(), type=Wish)

    async def play() -> Told:
        return await _Rude(wish).play()

    Path(result_file).write_bytes(msgspec.msgpack.encode(uvloop.run(play())))


if __name__ == "__main__":
    main()
