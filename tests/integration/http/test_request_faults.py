"""What goes wrong with one request is that request's own affair."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop

from boxoffice.accounts.tokens import Caller
from boxoffice.errors import TokenInvalid
from boxoffice.http.api.operation import Call, Reply, RouteDependencies, operation
from boxoffice.http.api.router import Router
from boxoffice.http.server.connection import Connection
from boxoffice.http.server.context import ServerContext, connection_limits
from boxoffice.observability import logs
from boxoffice.observability.access_log import AccessLog, InFlight
from boxoffice.settings import Settings

ASK = b"GET /%b HTTP/1.1\r\nHost: shop\r\n\r\n"
MAKE = (
    b"POST /slow HTTP/1.1\r\nHost: shop\r\n"
    b"Content-Type: application/json\r\nContent-Length: 9\r\n\r\n"
)

_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


def _nobody(_token: str) -> Caller:
    raise TokenInvalid


class Slow:
    """Answers when it is let go, with whatever it is told to."""

    dependencies = RouteDependencies(_nobody, body_max_bytes=1 << 20, request_timeout_s=5)

    def __init__(self) -> None:
        self.let_go = asyncio.Event()
        self.answer: Callable[[], Any] = lambda: {"ok": True}

    @operation("Wait")
    async def on_get(self, call: Call[Any, Any]) -> Reply:
        await self.let_go.wait()
        return Reply(self.answer())

    @operation("Make", 201, body=dict)
    async def on_post(self, call: Call[Any, Any]) -> Reply:
        return Reply(call.body)


class Elsewhere:
    """Answers at once."""

    dependencies = Slow.dependencies

    @operation("Look", 204)
    async def on_get(self, _call: Call[Any, Any]) -> Reply:
        return Reply()


class Shop:
    """Two resources behind a real socket, on the event loop of the real server."""

    def __init__(self, port: int, slow: Slow, in_flight: InFlight) -> None:
        self._port = port
        self.slow = slow
        self.in_flight = in_flight

    async def send(self, raw: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection and send this; the server has it when this returns."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(raw)
        await asyncio.sleep(0.05)
        return reader, writer


@asynccontextmanager
async def shop(**changed: Any) -> AsyncIterator[Shop]:
    """Serve them."""
    settings = Settings.of(database_url="postgresql://", valkey_url="redis://", **changed)
    slow, in_flight = Slow(), InFlight()
    router = Router([("/slow", slow), ("/elsewhere", Elsewhere())], Slow.dependencies)
    access_log = AccessLog(in_flight, log_requests=settings.observability.log_requests)
    state = ServerContext(router, access_log, connection_limits(settings.server))
    server = await state.loop.create_server(lambda: Connection(state), "127.0.0.1", 0)
    async with server:
        yield Shop(server.sockets[0].getsockname()[1], slow, in_flight)


async def answer(reader: asyncio.StreamReader) -> int:
    """Return the status of the next answer; raise `TimeoutError` where none comes."""
    async with asyncio.timeout(15):
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if length is not None:
            await reader.readexactly(int(length[1]))
    return int(head.split()[1])


def on_the_loop(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """Run on the event loop of the real server: its transports raise where the standard ones do not."""

    def run() -> None:
        async def bounded() -> None:
            async with asyncio.timeout(20):
                await test()

        uvloop.run(bounded())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@on_the_loop
async def test_a_broken_connection_affects_no_other_one() -> None:
    async with shop() as served:
        broken = ASK % b"slow" + ASK % b"elsewhere" + b"no request\r\n\r\n"
        _, breaker = await served.send(broken)
        reader, writer = await served.send(ASK % b"slow")
        served.slow.let_go.set()
        assert await answer(reader) == 200
        breaker.close()
        writer.close()


async def _rest(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(15):
        return await reader.read()


@on_the_loop
async def test_what_comes_after_a_request_is_not_answered_in_its_place() -> None:
    behind = [b"no request\r\n\r\n", b"GET /slow HTTP/9.9\r\n\r\n", b"GET /slow HT"]
    for ways in (ASK % b"slow", ASK % b"slow" + ASK % b"elsewhere"):
        for broken in behind:
            async with shop(header_timeout_ms=100) as served:
                reader, writer = await served.send(ways + broken)
                await asyncio.sleep(0.2)
                served.slow.let_go.set()
                assert await answer(reader) == 200
                rest = await _rest(reader)
                assert rest.count(b"HTTP/1.1 204") == rest.count(b"HTTP/1.1")
                assert rest.count(b"HTTP/1.1 204") == ways.count(b"elsewhere")
                writer.close()


@on_the_loop
async def test_a_later_body_that_is_broken_is_not_answered_in_its_place() -> None:
    chunked = MAKE.replace(b"Content-Length: 9", b"Transfer-Encoding: chunked")
    async with shop(body_timeout_ms=100) as served:
        for later in (MAKE, chunked + b"no length\r\n"):
            reader, writer = await served.send(ASK % b"slow" + later)
            assert await _rest(reader) == b""
            writer.close()
        other, writing = await served.send(ASK % b"slow")
        served.slow.let_go.set()
        assert await answer(other) == 200
        writing.close()


@on_the_loop
async def test_what_cannot_be_encoded_is_a_bug_and_not_a_silence() -> None:
    async with shop() as served:
        served.slow.answer = object
        reader, writer = await served.send(ASK % b"slow")
        served.slow.let_go.set()
        assert await answer(reader) == 500
        # Now the handler ends with its first step.
        writer.write(ASK % b"slow")
        assert await answer(reader) == 500
        assert served.in_flight.count == 0
        writer.close()


def _too_late() -> None:
    raise TimeoutError


def _cancelled() -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize("ending", [_too_late, _cancelled])
@pytest.mark.parametrize("at_once", [True, False])
def test_what_ran_out_of_time_is_unavailable(ending: Callable[[], None], at_once: bool) -> None:
    async def ask() -> None:
        async with shop() as served:
            served.slow.answer = ending
            if at_once:
                served.slow.let_go.set()
            reader, writer = await served.send(ASK % b"slow")
            served.slow.let_go.set()
            assert await answer(reader) == 503
            writer.close()

    on_the_loop(ask)()


class _FullDisk:
    def write(self, _line: bytes) -> None:
        raise OSError("no space left")


def test_a_log_that_cannot_be_written_costs_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "raw_lines", _FullDisk())

    async def ask() -> None:
        async with shop() as served:
            served.slow.let_go.set()
            reader, writer = await served.send(b"")
            for _ in range(1_200):
                writer.write(ASK % b"slow")
                assert await answer(reader) == 200
            writer.close()

    on_the_loop(ask)()


@on_the_loop
async def test_who_leaves_in_the_middle_of_a_body_is_not_in_flight() -> None:
    async with shop() as served:
        _, writer = await served.send(MAKE + b"{")
        writer.close()
        await asyncio.sleep(0.05)
        assert served.in_flight.count == 0
        reader, writer = await served.send(MAKE + b'{"a":"b"}')
        assert await answer(reader) == 201
        assert served.in_flight.count == 0
        writer.close()


@on_the_loop
async def test_a_large_body_is_not_waited_for_without_reading_on() -> None:
    body = b'{"a":"%b"}' % (b"x" * 200_000)
    async with shop(body_max_bytes=1 << 20) as served:
        head = MAKE.replace(b"Content-Length: 9", b"Content-Length: %d" % len(body))
        reader, writer = await served.send(head + body)
        assert await answer(reader) in (201, 204)
        writer.close()


@on_the_loop
async def test_a_later_head_on_a_connection_has_the_same_limit() -> None:
    async with shop(header_max_bytes=4_096) as served:
        served.slow.let_go.set()
        reader, writer = await served.send(ASK % b"slow")
        assert await answer(reader) == 200
        writer.write(b"GET /slow HTTP/1.1\r\nHost: shop\r\nX-Long: " + b"x" * 20_000)
        await asyncio.sleep(0.05)
        writer.write(b"\r\n\r\n")
        assert await answer(reader) == 431
        writer.close()
