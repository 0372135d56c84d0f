"""One connection of the server without a network: what is sent to it, and what becomes of that."""

import asyncio
import json as json_text
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import quote, urlencode

from boxoffice.accounts.tokens import Caller
from boxoffice.errors import TokenInvalid
from boxoffice.http.api.operation import Call, Operation, Reply, RouteDependencies
from boxoffice.http.api.router import RouteMatch, Router, split_target
from boxoffice.http.server.connection import Connection
from boxoffice.http.server.context import ServerContext, connection_limits
from boxoffice.observability.access_log import AccessLog, InFlight
from boxoffice.settings import Settings

# Turns of the event loop after which nothing more is to be expected.
_QUIET_TURNS = 12

_LARGE = 1 << 30
_RECORDED = Operation("Anything", 200, cached=True)


def nobody(_token: str) -> Caller:
    """Know no token."""
    raise TokenInvalid


def dependencies(
    body_max_bytes: int = 1 << 20, request_timeout_s: float = 5.0
) -> RouteDependencies:
    """Return what operations without tokens need."""
    return RouteDependencies(nobody, body_max_bytes, request_timeout_s)


def quiet_log() -> AccessLog:
    """Return a log that nothing is written to."""
    return AccessLog(InFlight(), log_requests=False)


class Wire(asyncio.Transport):
    """The other end: it keeps what the server writes, and sends nothing while it does not read."""

    def __init__(self, client: tuple[str, int]) -> None:
        super().__init__({"peername": client, "sockname": ("127.0.0.1", 8000)})
        self.closed = asyncio.Event()
        self.written = bytearray()
        self.is_paused = False
        self._is_closing = False

    def write(self, data: Any) -> None:
        if not self._is_closing:
            self.written += data

    def close(self) -> None:
        self._is_closing = True
        self.closed.set()

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


class Recorder(Router):
    """Keeps every request that leads nowhere else, and answers it with 200."""

    def __init__(
        self,
        told: Talk,
        let_go: asyncio.Event | None,
        routes: Sequence[tuple[str, object]] = (),
    ) -> None:
        super().__init__(routes, dependencies())
        self._told = told
        self._let_go = let_go

    def find(self, method: str, target: bytes) -> RouteMatch:
        found = super().find(method, target)
        if found.template != "unknown":
            return found
        path, query = split_target(target)
        handler = self._recording(method, path + (b"?" + query if query else b""))
        return RouteMatch(_RECORDED, "recorded", handler, dependencies(), {})

    def _recording(
        self, method: str, target: bytes
    ) -> Callable[[Call[Any, Any]], Coroutine[Any, Any, Reply]]:
        async def record(call: Call[Any, Any]) -> Reply:
            request: Any = call.req
            body = await request.read_body(_LARGE)
            fields = tuple(request.fields.items())
            self._told.seen.append(Seen(method, target, body, fields))
            if self._let_go is not None:
                await self._let_go.wait()
            return Reply()

        return record


async def talk(
    pieces: Sequence[bytes],
    *,
    routes: Sequence[tuple[str, object]] = (),
    router: Router | None = None,
    let_go: asyncio.Event | None = None,
    client: tuple[str, int] = ("192.0.2.7", 4_711),
    **changed: Any,
) -> Talk:
    """Send `pieces` on one connection, each as soon as the server reads; answer each request 200.

    Where `let_go` is given, nothing is answered before the server has stopped reading or has it all;
    the event is set then. `routes` answer what is for them, or a `router` everything.
    """
    told = Talk()
    settings = Settings.of(database_url="postgresql://", valkey_url="redis://", **changed)
    recorder = router or Recorder(told, let_go, routes)
    connection = Connection(
        ServerContext(recorder, quiet_log(), connection_limits(settings.server))
    )
    wire = Wire(client)
    connection.connection_made(wire)
    waiting = deque(pieces)
    while waiting and not wire.is_closing():
        if wire.is_paused:
            if not await _settle(wire, told, let_go):
                break
            continue
        # From a callback, as an event loop does it.
        asyncio.get_running_loop().call_soon(connection.data_received, waiting.popleft())
        await asyncio.sleep(0)
        told.waiting_max = max(told.waiting_max, len(connection._requests) - 1)
    await _settle(wire, told, let_go)
    told.written, told.is_closed = bytes(wire.written), wire.is_closing()
    told.unread_bytes = sum(map(len, waiting))
    told.waiting_max = max(told.waiting_max, len(connection._requests) - 1)
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


@dataclass(frozen=True)
class Result:
    """An answer of routes in this process; the names of `headers` are in lower case."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.content.decode()

    @cached_property
    def json(self) -> Any:
        """The body as JSON."""
        return json_text.loads(self.content)


class Client:
    """Asks routes in this process over connections without a network, one for each request."""

    def __init__(self, routes: Sequence[tuple[str, object]], own: RouteDependencies) -> None:
        self._state = ServerContext(
            Router(routes, own), quiet_log(), connection_limits(Settings().server)
        )

    async def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        body: bytes | str | None = None,
        json: Any = None,
    ) -> Result:
        """Send a request; return its answer."""
        named = {"Host": "shop", "Connection": "close", **(headers or {})}
        if json is not None:
            body = json_text.dumps(json)
            named.setdefault("Content-Type", "application/json")
        raw = body.encode() if isinstance(body, str) else body or b""
        if body is not None:
            named["Content-Length"] = str(len(raw))
        query = f"?{urlencode(params)}" if params else ""
        target = quote(path, safe="/?&=%:+~") + query
        lines = [f"{method} {target} HTTP/1.1", *(f"{k}: {v}" for k, v in named.items())]
        return await self._answer("\r\n".join([*lines, "", ""]).encode("latin-1") + raw)

    async def get(self, path: str, **given: Any) -> Result:
        """Send a GET."""
        return await self.request("GET", path, **given)

    async def post(self, path: str, **given: Any) -> Result:
        """Send a POST."""
        return await self.request("POST", path, **given)

    async def _answer(self, raw: bytes) -> Result:
        wire, connection = Wire(("192.0.2.7", 4_711)), Connection(self._state)
        connection.connection_made(wire)
        asyncio.get_running_loop().call_soon(connection.data_received, raw)
        async with asyncio.timeout(30):
            await wire.closed.wait()
        connection.connection_lost(None)
        head, _, content = bytes(wire.written).partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.partition(": ") for line in lines)
        return Result(
            int(first.split()[1]), {name.lower(): value for name, _, value in pairs}, content
        )
