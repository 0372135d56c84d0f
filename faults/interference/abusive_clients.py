"""Abusive HTTP clients, in a process of their own: `python -m` this module, `PLAN RESULT`.

Each kind is bounded in connections, bytes and time. Responses and closed connections are counted.
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
from random import Random

import msgspec
import uvloop

_CONNECT_WITHIN_S = 5.0
_DRIP_EVERY_S = 0.5
_SPREAD_S = 2.0
# Pause after a cut; the storm alone measures how fast connections can be made.
_BACK_AFTER_S = 0.5
_PIECE = b"x" * 65_536
_GIANT_BYTES = 1_000_000_000
# A line of 1 Gbit/s. Without this bound the clients copy at memory speed, and buyers wait for CPU
# that clients on other machines would not take.
_LINE_BYTES_PER_S = 125_000_000
# About the duration of a response.
_AT_ONCE_S = 0.003
_HEAD = b"POST /v1/users HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\n"


class AbusePlan(msgspec.Struct, kw_only=True):
    """Which clients, how many, for how long; `path` is a long response, `hold` a complete request.

    A client without a response or a close after `patience_s` counts as forgotten.
    """

    kind: str
    port: int
    clients: int
    seconds: float
    patience_s: float
    seed: int
    path: str = ""
    hold: bytes = b""


class AbuseResult(msgspec.Struct, kw_only=True):
    """Outcomes by turn; every turn has one.

    Times are monotonic seconds, which all processes of a machine share.
    """

    begin_s: float
    end_s: float
    turns: int
    answers: dict[str, int]
    sent_bytes: int


# Outcomes other than a status.
UNREACHED = "unreached"
CLOSED = "closed"
CUT = "cut"
FORGOTTEN = "forgotten"  # No response in time.
OVER = "over"  # The run ended before.


class _AbusiveClients:
    """Clients of one kind, and the outcomes of their turns."""

    def __init__(self, plan: AbusePlan) -> None:
        self.plan = plan
        begin_s = time.monotonic()
        self.until_s = begin_s + plan.seconds
        self.result = AbuseResult(begin_s=begin_s, end_s=begin_s, turns=0, answers={}, sent_bytes=0)
        self.answers: Counter[str] = Counter()
        self.random = Random(plan.seed)

    @property
    def is_over(self) -> bool:
        return time.monotonic() > self.until_s

    async def play(self) -> AbuseResult:
        """Repeat the turns of every client until the run ends."""
        turn = _KINDS[self.plan.kind]
        await asyncio.gather(*(self._again_and_again(turn, at) for at in range(self.plan.clients)))
        self.result.answers = dict(self.answers)
        self.result.end_s = time.monotonic()
        return self.result

    async def _again_and_again(self, turn: "Turn", number: int) -> None:
        # Spread the starts; a burst is not the subject.
        await asyncio.sleep(_SPREAD_S * number / self.plan.clients)
        while not self.is_over:
            self.result.turns += 1
            self.answers[await self._have(turn)] += 1

    async def _have(self, turn: "Turn") -> str:
        """Run one turn of one client; return its outcome."""
        try:
            async with asyncio.timeout(_CONNECT_WITHIN_S):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.plan.port)
        except (OSError, TimeoutError):
            await asyncio.sleep(0.2)
            return UNREACHED
        try:
            return await turn(self, reader, writer)
        except OSError:
            await asyncio.sleep(_BACK_AFTER_S)
            return CUT
        finally:
            writer.transport.abort()

    def send(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        """Send without waiting."""
        self.result.sent_bytes += len(data)
        writer.write(data)

    async def receive(self, reader: asyncio.StreamReader, within_s: float) -> str:
        """Return the response within that time, `FORGOTTEN` for none."""
        left_s = max(0.0, self.until_s - time.monotonic())
        try:
            async with asyncio.timeout(min(within_s, left_s)):
                line = await reader.read(4096)
        except TimeoutError:
            return FORGOTTEN if within_s < left_s else OVER
        return line[9:12].decode("latin-1") if line else CLOSED

    async def drip(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        """Send a byte now and then until the server responds, or should have."""
        until_s = time.monotonic() + self.plan.patience_s
        while time.monotonic() < until_s:
            self.send(writer, b"x")
            response = await self.receive(reader, _DRIP_EVERY_S)
            if response != FORGOTTEN:
                return response
        return FORGOTTEN


Turn = Callable[[_AbusiveClients, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[str]]


async def _slow_head(
    clients: _AbusiveClients, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> str:
    clients.send(writer, b"GET /v1/concerts HTTP/1.1\r\nHost: shop\r\nX: ")
    return await clients.drip(reader, writer)


async def _slow_body(
    clients: _AbusiveClients, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> str:
    clients.send(writer, _HEAD + b"Content-Length: 60000\r\n\r\n{")
    return await clients.drip(reader, writer)


async def _storm(
    clients: _AbusiveClients, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> str:
    clients.send(writer, b"GET /healthz HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n")
    response = await clients.receive(reader, clients.plan.patience_s)
    await asyncio.sleep(0.5)
    return response


async def _hang_up(
    clients: _AbusiveClients, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> str:
    hold = clients.plan.hold
    body_at, turn = hold.index(b"\r\n\r\n") + 4, clients.result.turns
    where, first, last = (
        ("in_the_head", 1, body_at - 1),
        ("in_the_body", body_at, len(hold) - 1),
        ("after_it_all", len(hold), len(hold)),
    )[turn % 3]
    clients.send(writer, hold[: clients.random.randint(first, last)])
    await writer.drain()
    if where == "after_it_all":
        answered = await clients.receive(reader, clients.random.uniform(0, _AT_ONCE_S))
        where = "before_the_answer" if answered in (FORGOTTEN, OVER) else f"after_{answered}"
    linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()
    await asyncio.sleep(0.2)
    return where


async def _giant(
    clients: _AbusiveClients, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> str:
    is_chunked = clients.result.turns % 2
    length = b"Transfer-Encoding: chunked" if is_chunked else b"Content-Length: %d" % _GIANT_BYTES
    piece = b"10000\r\n" + _PIECE + b"\r\n" if is_chunked else _PIECE
    clients.send(writer, _HEAD + length + b"\r\n\r\n")
    pushing = asyncio.create_task(_push(clients, writer, piece))
    try:
        response = await clients.receive(reader, clients.plan.patience_s)
    except OSError:
        response = CUT
    finally:
        pushing.cancel()
    await asyncio.gather(pushing, return_exceptions=True)
    await asyncio.sleep(0.3)
    return f"{response}_{'chunked' if is_chunked else 'declared'}"


async def _push(clients: _AbusiveClients, writer: asyncio.StreamWriter, piece: bytes) -> None:
    """Send a gigabyte, at this client's share of the line."""
    pause_s = clients.plan.clients * len(piece) / _LINE_BYTES_PER_S
    for _ in range(_GIANT_BYTES // len(_PIECE)):
        clients.send(writer, piece)
        await writer.drain()
        await asyncio.sleep(pause_s)


async def _deep(
    clients: _AbusiveClients, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> str:
    body = (b"[" if clients.result.turns % 2 else b'{"a":') * 12_000
    clients.send(writer, _HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
    response = await clients.receive(reader, clients.plan.patience_s)
    await asyncio.sleep(0.3)
    return response


async def _never_read(
    clients: _AbusiveClients, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> str:
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    request = f"GET {clients.plan.path} HTTP/1.1\r\nHost: shop\r\n\r\n".encode()
    until_s = time.monotonic() + clients.plan.patience_s
    while time.monotonic() < until_s:
        if clients.is_over:
            return OVER
        clients.send(writer, request)
        await writer.drain()
        await asyncio.sleep(_DRIP_EVERY_S)
    return FORGOTTEN


_KINDS: dict[str, Turn] = {
    "slow_heads": _slow_head,
    "slow_bodies": _slow_body,
    "storm": _storm,
    "hang_ups": _hang_up,
    "giant_bodies": _giant,
    "deep_json": _deep,
    "never_read": _never_read,
}


async def play(plan: AbusePlan) -> AbuseResult:
    """Run the clients of a plan."""
    return await _AbusiveClients(plan).play()


def main() -> None:
    """Run a plan from a file."""
    wish_file, result_file = sys.argv[1:]
    with contextlib.suppress(ValueError):
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    plan = msgspec.msgpack.decode(Path(wish_file).read_bytes(), type=AbusePlan)

    Path(result_file).write_bytes(msgspec.msgpack.encode(uvloop.run(play(plan))))


if __name__ == "__main__":
    main()
