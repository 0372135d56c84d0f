"""A line to PostgreSQL that can be cut in the moment between a commit and its answer."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

_CHUNK_BYTES = 65_536


class Proxy:
    """Passes everything on; once armed, it swallows the first answer to a statement and hangs up."""

    def __init__(self) -> None:
        self.url = ""
        self.cuts = 0
        self._armed = False

    def cut_the_next_answer(self) -> None:
        """Arm the proxy for one cut."""
        self._armed = True

    @asynccontextmanager
    async def listen(self, database_url: str) -> AsyncIterator[None]:
        """Stand in front of the server that `database_url` names."""
        parts = urlsplit(database_url)
        lines: set[asyncio.Task[None]] = set()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            upstream = await asyncio.open_connection(parts.hostname, parts.port)
            lines.add(asyncio.create_task(self._carry(reader, upstream[1], is_answer=False)))
            lines.add(asyncio.create_task(self._carry(upstream[0], writer, is_answer=True)))

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        credentials = parts.netloc.rpartition("@")[0]
        place = parts._replace(netloc=f"{credentials}@127.0.0.1:{port}", query="sslmode=disable")
        self.url = urlunsplit(place)
        try:
            yield
        finally:
            server.close()
            for line in lines:
                line.cancel()
            await asyncio.gather(*lines, return_exceptions=True)

    async def _carry(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, is_answer: bool
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(_CHUNK_BYTES):
                # The tag of a SELECT leaves the server after its commit, with the end of the answer.
                if is_answer and self._armed and b"SELECT " in data:
                    self._armed = False
                    self.cuts += 1
                    break
                sink.write(data)
                await sink.drain()
        sink.close()
