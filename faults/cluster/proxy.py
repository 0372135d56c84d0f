"""A TCP proxy between the product and a server: cuts, holds back, delays, and traps.

A trap waits for a statement and fires when it is sent or when its response arrives, which for
PostgreSQL means that the transaction has ended. So a process can be killed at one exact moment
without a hook in the product.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit

_CHUNK_BYTES = 65_536


class Moment(Enum):
    """When a trap fires; except for `SEEN`, the data goes no further and the connection is cut."""

    SEEN = "seen"  # passed on unchanged
    ASKED = "asked"  # the server never receives it
    HALF_ASKED = "half asked"  # the server receives a part of it
    DELIVERED = "delivered"  # the server has it, and may execute it
    ANSWERED = "answered"  # the server has executed it, and the client gets no response


def _nothing() -> None:
    """Only cut the connection."""


@dataclass
class Trap:
    """Fires once, on the first statement or command that contains `text`."""

    text: bytes
    moment: Moment
    action: Callable[[], None] = _nothing
    sprung: asyncio.Event = field(default_factory=asyncio.Event)

    def spring(self) -> None:
        """Fire."""
        self.sprung.set()
        self.action()


class Wire(Protocol):
    """How a proxy parses a protocol."""

    def asked(self, data: bytes) -> list[bytes]:
        """Return the statements that begin in these bytes of the client."""

    def is_answered(self, data: bytes) -> bool:
        """Say whether a response ends in these bytes of the server."""


class PlainWire:
    """Every chunk is a command or a response; enough for Valkey, whose commands are short."""

    def asked(self, data: bytes) -> list[bytes]:
        """Return the chunk."""
        return [data]

    def is_answered(self, data: bytes) -> bool:
        """Return true."""
        return bool(data)


class PostgresWire:
    """Parses PostgreSQL's protocol 3.0 without TLS.

    See "Message Formats" in PostgreSQL's documentation: type byte, length (which includes itself),
    body; the startup message has no type byte. A statement is named by Parse and referenced by
    Bind.
    """

    def __init__(self) -> None:
        self._statements: dict[bytes, bytes] = {}
        self._from_client = _Messages(has_greeting=True)
        self._from_server = _Messages(has_greeting=False)

    def asked(self, data: bytes) -> list[bytes]:
        """Return the texts of the statements that are bound or sent in these bytes."""
        texts = []
        for letter, body in self._from_client.feed(data):
            if letter == b"P":
                name, text, _ = body.split(b"\0", 2)
                self._statements[name] = text
            elif letter == b"B":
                _, name, _ = body.split(b"\0", 2)
                texts.append(self._statements.get(name, b""))
            elif letter == b"Q":
                texts.append(body)
        return texts

    def is_answered(self, data: bytes) -> bool:
        """Say whether the server sent ReadyForQuery: the transaction has ended."""
        return any(letter == b"Z" for letter, _ in list(self._from_server.feed(data)))


class _Messages:
    def __init__(self, *, has_greeting: bool) -> None:
        self._rest = bytearray()
        self._has_greeting = has_greeting

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        """Return the complete messages."""
        rest = self._rest
        rest += data
        whole: list[tuple[bytes, bytes]] = []
        while True:
            start = 0 if self._has_greeting else 1
            if len(rest) < start + 4:
                return whole
            end = start + int.from_bytes(rest[start : start + 4])
            if len(rest) < end:
                return whole
            if not self._has_greeting:
                whole.append((bytes(rest[:1]), bytes(rest[start + 4 : end])))
            self._has_greeting = False
            del rest[:end]


class _Connection:
    """A client's connection and the corresponding one to the server."""

    def __init__(
        self, client: asyncio.StreamWriter, server: asyncio.StreamWriter, wire: Wire
    ) -> None:
        self.client = client
        self.server = server
        self.wire = wire
        self.awaited: Trap | None = None

    def cut(self) -> None:
        """Close both sides."""
        self.client.transport.abort()
        self.server.transport.abort()


class Proxy:
    """Stands in front of one server and forwards everything by default."""

    def __init__(self, url: str, wire: Callable[[], Wire]) -> None:
        self._target = urlsplit(url)
        self._wire = wire
        self._connections: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._traps: list[Trap] = []
        self._passing = asyncio.Event()
        self._passing.set()
        self._server: asyncio.Server | None = None
        self.url = ""
        self.delay_s = 0.0
        self.refuses = False

    @classmethod
    def of_postgres(cls, database_url: str) -> "Proxy":
        """Return a proxy for PostgreSQL; its `url` disables TLS, which it cannot parse."""
        return cls(
            urlunsplit(urlsplit(database_url)._replace(query="sslmode=disable")), PostgresWire
        )

    @classmethod
    def of_valkey(cls, valkey_url: str) -> "Proxy":
        """Return a proxy for Valkey."""
        return cls(valkey_url, PlainWire)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Proxy"]:
        """Run it inside the block."""
        await self.open()
        try:
            yield self
        finally:
            await self.close()

    async def open(self) -> None:
        """Listen on a free port; `url` is then the address."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        credentials = self._target.netloc.rpartition("@")[0]
        self.url = urlunsplit(self._target._replace(netloc=f"{credentials}@127.0.0.1:{port}"))

    async def close(self) -> None:
        """Close all connections and stop listening."""
        if self._server is not None:
            self._server.close()
        self.cut()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def cut(self) -> None:
        """Cut all connections."""
        for line in list(self._connections):
            line.cut()

    def hold_back(self) -> None:
        """Forward nothing in either direction until `let_go`; connections stay open."""
        self._passing.clear()

    def let_go(self) -> None:
        """Forward what was held back, and everything after it."""
        self._passing.set()

    def set_trap(self, trap: Trap) -> Trap:
        """Arm a trap and return it."""
        self._traps.append(trap)
        return trap

    def drop_traps(self) -> None:
        """Disarm the traps that have not fired."""
        self._traps.clear()

    def cut_the_next_answer(self, text: bytes = b"") -> Trap:
        """Drop the next response to a statement that contains `text`, and cut the connection."""
        return self.set_trap(Trap(text, Moment.ANSWERED))

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            writer.transport.abort()
            return
        try:
            answers, server = await asyncio.open_connection(
                self._target.hostname, self._target.port
            )
        except OSError:
            writer.transport.abort()
            return
        line = _Connection(writer, server, self._wire())
        self._connections.add(line)
        for carrying in (self._carry_questions(line, reader), self._carry_answers(line, answers)):
            task = asyncio.create_task(carrying)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _carry_questions(self, line: _Connection, reader: asyncio.StreamReader) -> None:
        async with self._ending(line):
            while data := await reader.read(_CHUNK_BYTES):
                await self._wait()
                trap = self._trap_for(line.wire.asked(data))
                if trap is not None and trap.moment is Moment.SEEN:
                    trap.spring()
                    trap = None
                if trap is None or trap.moment is Moment.ANSWERED:
                    line.awaited = trap or line.awaited
                    line.server.write(data)
                    await line.server.drain()
                    continue
                if trap.moment is not Moment.ASKED:
                    is_half = trap.moment is Moment.HALF_ASKED
                    line.server.write(data[: len(data) // 2] if is_half else data)
                    await line.server.drain()
                trap.spring()
                return

    async def _carry_answers(self, line: _Connection, reader: asyncio.StreamReader) -> None:
        async with self._ending(line):
            while data := await reader.read(_CHUNK_BYTES):
                await self._wait()
                is_answered = line.wire.is_answered(data)
                if line.awaited is None:
                    line.client.write(data)
                    await line.client.drain()
                elif is_answered:
                    line.awaited.spring()
                    return

    async def _wait(self) -> None:
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        await self._passing.wait()

    @asynccontextmanager
    async def _ending(self, line: _Connection) -> AsyncIterator[None]:
        """Close both directions when one has ended."""
        try:
            with contextlib.suppress(ConnectionError):
                yield
        finally:
            self._connections.discard(line)
            # Data written before may still be in flight; a half-open connection ends with it.
            for writer in (line.client, line.server):
                writer.close()

    def _trap_for(self, texts: list[bytes]) -> Trap | None:
        for trap in self._traps:
            if any(trap.text in text for text in texts):
                self._traps.remove(trap)
                return trap
        return None
