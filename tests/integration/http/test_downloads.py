"""Files over real sockets: whole or cut, at the client's pace, and ended with the client."""

import asyncio
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import IO, Any

from boxoffice.errors import Overloaded
from boxoffice.http.api.operation import Call, operation
from boxoffice.http.api.router import Router
from boxoffice.http.downloads import Download
from boxoffice.http.server.context import connection_limits
from boxoffice.http.server.server import Server
from boxoffice.settings import Settings
from tests.support.connection import dependencies, quiet_log

LARGE = 3_000_000


class Files:
    """A resource with one file."""

    def __init__(self) -> None:
        self.dependencies = dependencies(request_timeout_s=0.2)
        self.content = b"content"
        self.delay_s = 0.0
        self.timeout_s = 30.0
        self.error: Exception | None = None
        self.lost_bytes = 0
        self.is_making = asyncio.Event()
        self.is_cancelled = asyncio.Event()
        self.file: IO[bytes] | None = None

    @operation("A file", file_types=("text/csv",))
    async def on_get(self, _call: Call[Any, Any]) -> Download:
        """Return the file."""
        return Download(self._make, "text/csv", "a.csv", self.timeout_s)

    async def _make(self) -> IO[bytes]:
        self.is_making.set()
        try:
            await asyncio.sleep(self.delay_s)
        except asyncio.CancelledError:
            self.is_cancelled.set()
            raise
        if self.error is not None:
            raise self.error
        self.file = tempfile.TemporaryFile()  # noqa: SIM115 - the server closes it
        self.file.write(self.content)
        if self.lost_bytes:
            end = self.file.tell()
            self.file.truncate(end - self.lost_bytes)
        return self.file


@asynccontextmanager
async def serving(files: Files, **changed: object) -> AsyncIterator[int]:
    """Serve a file at a port."""
    settings = Settings.of(**changed)
    router = Router([("/file", files)], files.dependencies)
    server = Server(router, quiet_log(), connection_limits(settings.server))
    sock = socket.create_server(("127.0.0.1", 0))
    sock.setblocking(False)
    port = int(sock.getsockname()[1])
    await server.start(sock, 64)
    try:
        yield port
    finally:
        await server.stop()


def _request(method: str = "GET", more: str = "") -> bytes:
    return f"{method} /file HTTP/1.1\r\nhost: x\r\n{more}\r\n".encode()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status, *lines = head.strip().split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in lines)
    body = await reader.readexactly(int(fields.get("content-length", 0)))
    return int(status.split()[1]), fields, body


async def test_a_file_outlasts_the_deadline_of_requests_and_the_connection_goes_on() -> None:
    files = Files()
    files.delay_s, files.content = 0.9, b"x" * LARGE
    async with serving(files) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(_request() + _request("HEAD"))
        status, fields, body = await _answer(reader)
        assert (status, len(body)) == (200, LARGE)
        assert fields["content-disposition"] == 'attachment; filename="a.csv"'
        assert (fields["content-type"], fields["cache-control"]) == ("text/csv", "no-store")
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        assert b"content-length" not in head
        assert files.file is not None
        assert files.file.closed
        writer.write(_request(more="connection: close\r\n"))
        files.delay_s, files.content = 0.0, b""
        status, _, body = await _answer(reader)
        assert (status, body, await reader.read()) == (200, b"", b"")
        writer.close()


async def test_a_failure_before_the_first_byte_is_answered() -> None:
    files = Files()
    async with serving(files) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for error, status in ((Overloaded(), 503), (ZeroDivisionError("a bug"), 500)):
            files.error = error
            writer.write(_request())
            assert (await _answer(reader))[0] == status
        files.error, files.delay_s, files.timeout_s = None, 5.0, 0.05
        writer.write(_request())
        assert (await _answer(reader))[0] == 503
        writer.close()


async def test_a_file_that_ends_early_is_cut() -> None:
    files = Files()
    files.content, files.lost_bytes = b"x" * LARGE, 100_000
    async with serving(files) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(_request())
        try:
            await reader.readuntil(b"\r\n\r\n")
            rest = await reader.read(-1)
        except ConnectionResetError:
            rest = b""
        assert len(rest) < LARGE
        writer.close()


async def test_a_client_that_hangs_up_ends_the_making() -> None:
    files = Files()
    files.delay_s = 60.0
    async with serving(files) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(_request())
        await files.is_making.wait()
        writer.transport.abort()
        await asyncio.wait_for(files.is_cancelled.wait(), 20)


async def test_a_client_that_does_not_read_is_cut_and_its_file_closed() -> None:
    files = Files()
    files.content = b"x" * (8 * LARGE)
    async with serving(files, write_timeout_ms=300) as port:
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.setblocking(False)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            await asyncio.get_running_loop().sock_sendall(client, _request())
            await files.is_making.wait()
            for _ in range(2_000):
                await asyncio.sleep(0.01)
                if files.file is not None and files.file.closed:
                    break
            assert files.file is not None
            assert files.file.closed
