"""A client that repeats an overloaded request before its `Retry-After` waits on its connection."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from boxoffice.accounts.tokens import Caller
from boxoffice.errors import NotFound, Overloaded, TokenInvalid
from boxoffice.http.api import problems
from boxoffice.http.api.operation import Call, PathId, Reply, RouteDependencies, operation
from boxoffice.http.api.router import Router
from boxoffice.http.server.connection import Connection
from boxoffice.http.server.context import ServerContext, connection_limits
from boxoffice.observability.access_log import AccessLog, InFlight
from boxoffice.settings import Settings

from .test_request_faults import on_the_loop

TOLD_S = 1
ASK = (
    b"POST /%b HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer %b\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
)
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


def _nobody(_token: str) -> Caller:
    raise TokenInvalid


class Full:
    """Refuses requests without a free place, and records the times of requests."""

    dependencies = RouteDependencies(_nobody, body_max_bytes=1 << 20, request_timeout_s=5)

    def __init__(self) -> None:
        self.rooms = 0
        self.asked_at_s: list[float] = []

    @operation("Make", 201, body=dict)
    async def on_post(self, call: Call[Any, Any]) -> Reply:
        self.asked_at_s.append(time.monotonic())
        if not self.rooms:
            raise Overloaded(retry_after_s=TOLD_S)
        self.rooms -= 1
        return Reply(call.body)

    @operation("Look")
    async def on_get(self, _call: Call[Any, Any]) -> Reply:
        self.asked_at_s.append(time.monotonic())
        return Reply()


class Numbered:
    """One of those for each number in the path."""

    dependencies = Full.dependencies

    def __init__(self, full: Full) -> None:
        self._full = full

    @operation("Make", 201, body=dict, path={"number": PathId(int, NotFound, "A number.")})
    async def on_post(self, call: Call[Any, Any]) -> Reply:
        self._full.asked_at_s.append(time.monotonic())
        raise Overloaded(retry_after_s=TOLD_S)


class Shop:
    """Two resources without room behind a real socket."""

    def __init__(self, server: asyncio.Server, state: ServerContext, full: Full) -> None:
        self._port = server.sockets[0].getsockname()[1]
        self.state = state
        self.full = full

    async def client(self, token: bytes = b"mine") -> "Client":
        """Connect."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        return Client(reader, writer, token)


class Client:
    """A connection of a user."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: bytes
    ) -> None:
        self.reader = reader
        self.writer = writer
        self._token = token

    def ask(self, what: bytes = b"full", *, token: bytes = b"", body: bytes = b"{}") -> None:
        """Send a request."""
        self.writer.write(ASK % (what, token or self._token, len(body), body))

    async def told(self) -> tuple[int, bytes]:
        """Return the status and the head of the next answer."""
        async with asyncio.timeout(20):
            head = await self.reader.readuntil(b"\r\n\r\n")
            await self.reader.readexactly(int(_LENGTH.search(head)[1]))  # type: ignore[index]
        return int(head.split()[1]), head.lower()

    async def refused(self) -> None:
        """Ask, and be told when to come back."""
        self.ask()
        status, head = await self.told()
        assert (status, b"retry-after: 1" in head) == (503, True)


@asynccontextmanager
async def shop() -> AsyncIterator[Shop]:
    settings = Settings.of(database_url="postgresql://", valkey_url="redis://")
    full = Full()
    routes = [("/full", full), ("/beside", full), ("/numbers/{number}", Numbered(full))]
    router = Router(routes, Full.dependencies)
    state = ServerContext(
        router, AccessLog(InFlight(), log_requests=False), connection_limits(settings.server)
    )
    server = await state.loop.create_server(lambda: Connection(state), "127.0.0.1", 0)
    async with server:
        yield Shop(server, state, full)


async def is_asked(shop: Shop, times: int) -> bool:
    """Say whether the shop is asked so often within a third of the time that was told.

    Where this process does not run for a while, what is asked next still counts, but not what
    is asked at the time that was told.
    """
    begun_s, asked_at_s = time.monotonic(), shop.full.asked_at_s
    turns = 0
    while turns < 20 or time.monotonic() < begun_s + TOLD_S / 3:
        if len(asked_at_s) >= times:
            return asked_at_s[times - 1] < begun_s + TOLD_S * 0.9
        await asyncio.sleep(0.01)
        turns += 1
    return False


def test_the_header_says_what_the_refusal_says() -> None:
    assert problems.render(Overloaded(retry_after_s=7), "id").headers["Retry-After"] == "7"
    assert problems.render(Overloaded(), "id").headers["Retry-After"] == "1"


@on_the_loop
async def test_a_request_before_its_time_is_answered_in_time() -> None:
    async with shop() as served:
        early = await served.client()
        await early.refused()
        early.ask()
        assert not await is_asked(served, 2)
        served.full.rooms = 1
        assert (await early.told())[0] == 201
        first_s, second_s = served.full.asked_at_s
        assert second_s - first_s >= TOLD_S * 0.9
        early.writer.close()


@on_the_loop
async def test_a_request_in_time_is_answered_at_once() -> None:
    async with shop() as served:
        patient = await served.client()
        await patient.refused()
        await asyncio.sleep(TOLD_S)
        patient.ask()
        assert await is_asked(served, 2)
        assert (await patient.told())[0] == 503
        patient.writer.close()


@on_the_loop
async def test_no_other_request_waits() -> None:
    async with shop() as served:
        behind_a_proxy = await served.client()
        await behind_a_proxy.refused()
        # Another user on the same connection, and the same user elsewhere or with another request.
        behind_a_proxy.ask(token=b"theirs")
        assert await is_asked(served, 2)
        assert (await behind_a_proxy.told())[0] == 503
        other = await served.client()
        other.ask()
        assert await is_asked(served, 3)
        assert (await other.told())[0] == 503
        other.ask(b"beside")
        assert await is_asked(served, 4)
        for one in (behind_a_proxy, other):
            one.writer.close()


@on_the_loop
async def test_another_request_of_the_same_user_does_not_wait() -> None:
    async with shop() as served:
        client = await served.client()
        client.ask(b"numbers/1")
        assert (await client.told())[0] == 503
        client.ask(b"numbers/2")
        assert await is_asked(served, 2)
        assert (await client.told())[0] == 503
        client.ask()
        assert (await client.told())[0] == 503
        client.writer.write(
            b"GET /full HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer mine\r\n\r\n"
        )
        assert await is_asked(served, 4)
        client.writer.close()


@on_the_loop
async def test_those_without_a_name_are_not_taken_for_one_another() -> None:
    nameless = ASK.replace(b"Authorization: Bearer %b\r\n", b"") % (b"full", 2, b"{}")
    async with shop() as served:
        behind_a_proxy = await served.client()
        for times in (1, 2):
            behind_a_proxy.writer.write(nameless)
            assert await is_asked(served, times)
            assert (await behind_a_proxy.told())[0] == 503
        behind_a_proxy.writer.close()


@on_the_loop
async def test_a_request_whose_client_hangs_up_is_not_started() -> None:
    async with shop() as served:
        gone = await served.client()
        await gone.refused()
        served.full.rooms = 1
        gone.ask()
        await gone.writer.drain()
        assert not await is_asked(served, 2)
        gone.writer.close()
        await asyncio.sleep(TOLD_S)
        assert len(served.full.asked_at_s) == 1
        assert not served.state.connections


@on_the_loop
async def test_a_drain_starts_waiting_requests() -> None:
    async with shop() as served:
        early = await served.client()
        await early.refused()
        served.full.rooms = 1
        early.ask()
        assert not await is_asked(served, 2)
        for connection in list(served.state.connections):
            connection.shutdown()
        status, head = await early.told()
        assert (status, b"connection: close" in head) == (201, True)
        assert await early.reader.read() == b""
        early.writer.close()


@on_the_loop
async def test_at_the_end_a_body_that_comes_late_is_not_kept() -> None:
    async with shop() as served:
        early = await served.client()
        await early.refused()
        served.full.rooms = 1
        whole = ASK % (b"full", b"mine", 2, b"{}")
        early.writer.write(whole[:-1])
        await asyncio.sleep(0.1)
        for connection in list(served.state.connections):
            connection.shutdown()
        early.writer.write(whole[-1:])
        assert await is_asked(served, 2)
        assert (await early.told())[0] == 201
        early.writer.close()


@on_the_loop
async def test_what_is_large_is_not_kept() -> None:
    async with shop() as served:
        early = await served.client()
        await early.refused()
        early.ask(body=b'{"much":"%b"}' % (b"x" * 5_000))
        assert await is_asked(served, 2)
        assert (await early.told())[0] == 503
        early.writer.close()


@on_the_loop
async def test_what_comes_behind_is_answered_behind() -> None:
    async with shop() as served:
        early = await served.client()
        await early.refused()
        served.full.rooms = 1
        early.ask()
        early.writer.write(b"GET /elsewhere HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n")
        assert (await early.told())[0] == 201
        async with asyncio.timeout(20):
            assert (await early.reader.read()).startswith(b"HTTP/1.1 404")
        early.writer.close()
