"""One connection of the server without a network: what is sent to it, and what becomes of that."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from boxoffice.http.server.connection import protocol
from boxoffice.http.server.fast_path import Lane
from boxoffice.settings import Settings

# Turns of the event loop after which nothing more is to be expected.
_QUIET_TURNS = 12

Asgi = Callable[[Any, Any, Any], Awaitable[None]]


class Wire(asyncio.Transport):
    """The other end: it keeps what the server writes, and sends nothing while it does not read."""

    def __init__(self, client: tuple[str, int]) -> None:
        super().__init__({"peername": client, "sockname": ("127.0.0.1", 8000)})
        self.written = bytearray()
        self.is_paused = False
        self._is_closing = False

    def write(self, data: Any) -> None:
        if not self._is_closing:
            self.written += data

    def close(self) -> None:
        self._is_closing = True

    abort = close

    def is_closing(self) -> bool:
        return self._is_closing

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    def get_write_buffer_size(self) -> int:
        return 0


@dataclass(frozen=True)
class Seen:
    """A request as an application has it, its body to the end."""

    method: str
    target: bytes
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = field(default=(), compare=False)


@dataclass
class Talk:
    """What became of what was sent: the requests, the answers, and how much was never read."""

    seen: list[Seen] = field(default_factory=list)
    written: bytes = b""
    is_closed: bool = False
    unread_bytes: int = 0
    waiting_max: int = 0

    @property
    def statuses(self) -> list[int]:
        """The statuses of the answers, in their order."""
        lines = self.written.split(b"HTTP/1.1 ")[1:]
        return [int(line[:3]) for line in lines]


async def talk(
    pieces: Sequence[bytes],
    *,
    lane: Lane | None = None,
    app: Asgi | None = None,
    let_go: asyncio.Event | None = None,
    client: tuple[str, int] = ("192.0.2.7", 4_711),
    **changed: Any,
) -> Talk:
    """Send `pieces` on one connection, each as soon as the server reads; answer each request 200.

    Where `let_go` is given, nothing is answered before the server has stopped reading or has it all;
    the event is set then.
    """
    told = Talk()
    settings = Settings.of(database_url="postgresql://", valkey_url="redis://", **changed)
    config = uvicorn.Config(
        app or _recording(told, let_go),
        http=protocol(settings, lane),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
    )
    config.load()
    http: Any = config.http_protocol_class
    connection = http(config=config, server_state=ServerState(), app_state={})
    wire = Wire(client)
    connection.connection_made(wire)
    waiting = deque(pieces)
    while waiting and not wire.is_closing():
        if wire.is_paused:
            if not await _settle(wire, told, let_go):
                break
            continue
        connection.data_received(waiting.popleft())
        told.waiting_max = max(told.waiting_max, len(connection.pipeline))
        await asyncio.sleep(0)
    await _settle(wire, told, let_go)
    told.written, told.is_closed = bytes(wire.written), wire.is_closing()
    told.unread_bytes = sum(map(len, waiting))
    told.waiting_max = max(told.waiting_max, len(connection.pipeline))
    connection.connection_lost(None)
    await asyncio.sleep(0)
    return told


async def _settle(wire: Wire, told: Talk, let_go: asyncio.Event | None) -> bool:
    """Wait until nothing happens any more; say whether the server reads."""
    if let_go is not None:
        let_go.set()
    quiet, before = 0, (-1, -1)
    while quiet < _QUIET_TURNS:
        await asyncio.sleep(0)
        now = len(wire.written), len(told.seen)
        quiet, before = (quiet + 1, before) if now == before else (0, now)
    return not wire.is_paused


def _recording(told: Talk, let_go: asyncio.Event | None) -> Asgi:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        parts = []
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            parts.append(message["body"])
            if not message["more_body"]:
                break
        query = scope["query_string"]
        target = scope["raw_path"] + (b"?" + query if query else b"")
        told.seen.append(
            Seen(scope["method"], target, b"".join(parts), tuple(map(tuple, scope["headers"])))
        )
        if let_go is not None:
            await let_go.wait()
        headers = [(b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body"})

    return app
