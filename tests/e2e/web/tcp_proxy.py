"""A TCP proxy between a browser and the server that can be stopped and started again."""

import asyncio
import contextlib
from typing import Self

_CHUNK_BYTES = 65_536


class TcpProxy:
    """Forwards connections to a local port; while it is stopped, its own port refuses them."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._own = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        """The address of the server through this proxy."""
        return f"http://127.0.0.1:{self._own}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Forward connections, at the same address as before."""
        self._server = await asyncio.start_server(self._forward, "127.0.0.1", self._own)
        self._own = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """End every connection and accept no new one."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._to)
            self._writers.add(back)
            await asyncio.gather(_pump(reader, back), _pump(there, writer))
            self._writers.discard(back)
        except OSError:
            writer.transport.abort()
        finally:
            self._writers.discard(writer)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    writer.close()
