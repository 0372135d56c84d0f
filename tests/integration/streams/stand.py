"""A small server of event streams on a real socket, and a reader that sees every byte."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import msgspec

from boxoffice.http.api.operation import Call, operation
from boxoffice.http.api.router import Router
from boxoffice.http.server.context import connection_limits
from boxoffice.http.server.server import Server
from boxoffice.http.streams import Channel, Stream, Streams, Subscriber, event, limits_of
from boxoffice.observability.access_log import AccessLog, InFlight
from boxoffice.settings import Settings
from tests.support.connection import dependencies

PLAIN = ""
# A head with a field that comes twice is looked at once more.
SPECIAL = "X-Twice: 1\r\nX-Twice: 2\r\n"


class Number(msgspec.Struct):
    """The data of the stand's events."""

    n: int


def number(n: int) -> bytes:
    """Encode one of them."""
    return event("number", msgspec.json.encode(Number(n)), f"n{n}")


@dataclass
class Event:
    """One event as a reader gets it."""

    name: str
    event_id: str
    data: Any


@dataclass
class Reader:
    """A connection that asks for a stream; `retry_ms` and `comments` are what came between events."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    retry_ms: int = 0
    comments: int = 0

    @classmethod
    async def connect(
        cls, port: int, path: str, *, last_event_id: str = "", more: str = "", version: str = "1.1"
    ) -> Self:
        """Ask for a stream and read the head of the answer."""
        one = cls(*await asyncio.open_connection("127.0.0.1", port, limit=2**22))
        lead = f"Last-Event-ID: {last_event_id}\r\n" if last_event_id else ""
        one.writer.write(f"GET {path} HTTP/{version}\r\nHost: shop\r\n{lead}{more}\r\n".encode())
        await one.read_head()
        return one

    async def read_head(self) -> None:
        """Read the head of an answer."""
        async with asyncio.timeout(15):
            raw = await self.reader.readuntil(b"\r\n\r\n")
        first, *lines = raw.decode().strip().split("\r\n")
        self.status = int(first.split()[1])
        pairs = (line.partition(": ") for line in lines)
        self.headers = {name.lower(): value for name, _, value in pairs}

    async def body(self) -> Any:
        """Read the JSON of an answer that is no stream."""
        length = int(self.headers["content-length"])
        async with asyncio.timeout(15):
            return msgspec.json.decode(await self.reader.readexactly(length))

    async def next(self, within_s: float = 15) -> Event | None:
        """Return the next event; None at the end of the stream."""
        async with asyncio.timeout(within_s):
            while True:
                found = await self._block()
                if found is None or found.name:
                    return found

    async def _block(self) -> Event | None:
        try:
            raw = await self.reader.readuntil(b"\n\n")
        except (asyncio.IncompleteReadError, ConnectionResetError):
            return None
        found = Event("", "", None)
        for line in raw.decode().rstrip("\n").split("\n"):
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if not name:
                self.comments += 1
            elif name == "event":
                found.name = value
            elif name == "id":
                found.event_id = value
            elif name == "data":
                found.data = msgspec.json.decode(value)
            elif name == "retry":
                self.retry_ms = int(value)
        return found

    async def close(self) -> None:
        """Hang up."""
        self.writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


class Stand:
    """A server whose stream `/numbers` tells what the test sends to `channel`."""

    def __init__(self, settings: Settings) -> None:
        self.streams = Streams(limits_of(settings.streams))
        self.emptied = 0
        self.closed = 0
        self.channel = Channel(self.streams, "numbers", self._empty)
        self.latest = 0
        self.subscribers: list[Subscriber] = []
        self.asked: list[str] = []
        self.readers: list[Reader] = []
        stand = self

        class Numbers:
            dependencies = dependencies()

            @operation("Follow the numbers", events={"number": Number})
            async def on_get(self, call: Call[None, None]) -> Stream:
                """Follow."""
                stand.asked.append(call.last_event_id)
                return Stream(
                    stand.channel,
                    lambda: number(stand.latest),
                    opened=stand.subscribers.append,
                    closed=stand._close,
                )

        routes: list[tuple[str, object]] = [("/numbers", Numbers())]
        self.access_log = AccessLog(InFlight(), log_requests=False)
        self.router = Router(routes, dependencies())
        self.port = 0
        self.server: Server
        self.stopping: asyncio.Task[None]

    def _empty(self) -> None:
        self.emptied += 1

    def _close(self) -> None:
        self.closed += 1

    def send(self, n: int) -> None:
        """Send a number to all readers."""
        self.latest = n
        self.channel.send(number(n))

    async def follow(self, **asked: str) -> Reader:
        """Open a stream."""
        self.readers.append(await Reader.connect(self.port, "/numbers", **asked))
        return self.readers[-1]

    def stop(self) -> None:
        """Begin what SIGTERM begins after the drain's delay."""
        self.stopping = asyncio.create_task(self.server.stop())


@asynccontextmanager
async def standing(settings: Settings) -> AsyncIterator[Stand]:
    """Run a stand until the block is left."""
    stand = Stand(settings)
    serving_stand = serving(stand.router, settings, stand.streams, stand.access_log)
    async with serving_stand as (server, port):
        stand.server, stand.port = server, port
        yield stand
        for reader in stand.readers:
            await reader.close()


@asynccontextmanager
async def serving(
    router: Router, settings: Settings, streams: Streams, access_log: AccessLog
) -> AsyncIterator[tuple[Server, int]]:
    """Serve on a free port in this event loop until the block is left."""
    server = Server(router, access_log, connection_limits(settings.server), streams)
    with socket.create_server(("127.0.0.1", 0), backlog=512) as sock:
        port = sock.getsockname()[1]
        await server.start(sock, settings.server.backlog_max)
        try:
            yield server, port
        finally:
            await server.stop()
