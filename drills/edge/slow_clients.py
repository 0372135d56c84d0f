"""Clients that hold connections open: heads and bodies that come slowly, answers that are not read."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

_PIECE_EVERY_S = 0.5


@dataclass
class SlowConnections:
    """Connections of one kind: how many were opened, and how many seconds the longest was open."""

    opened: int = 0
    longest_s: float = 0.0


@dataclass(frozen=True)
class SlowClients:
    """Clients at a port of this machine; with `trusted` they speak TLS."""

    port: int
    trusted: ssl.SSLContext | None
    schedule_id: str

    @asynccontextmanager
    async def attacking(self, count: int) -> AsyncIterator[dict[str, SlowConnections]]:
        """Open `count` connections of each kind, and again when closed, until the block is left."""
        head = f"POST /v1/schedules/{self.schedule_id}/reservations HTTP/1.1\r\nHost: shop\r\n"
        whole = f"GET /v1/schedules/{self.schedule_id}/seats HTTP/1.1\r\nHost: shop\r\n\r\n"
        plans = {
            "slow heads": (head.encode(), b"X-A: b\r\n"),
            "slow bodies": (f"{head}Content-Length: 4000\r\n\r\n{{".encode(), b" "),
            "unread answers": (whole.encode() * 40, b""),
        }
        seen = {name: SlowConnections() for name in plans}
        tasks = [
            asyncio.create_task(self._hold_open(seen[name], first, piece))
            for name, (first, piece) in plans.items()
            for _ in range(count)
        ]
        try:
            yield seen
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _hold_open(self, seen: SlowConnections, first: bytes, piece: bytes) -> None:
        while True:
            with contextlib.suppress(OSError):
                await self._one(seen, first, piece)
            await asyncio.sleep(_PIECE_EVERY_S)

    async def _one(self, seen: SlowConnections, first: bytes, piece: bytes) -> None:
        # A reader that stops at once: the rest waits in the sockets and at the other side.
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=self.trusted, limit=1_024
        )
        started = time.monotonic()
        seen.opened += 1
        try:
            writer.write(first)
            while not (piece and reader.at_eof()) and not writer.is_closing():
                await asyncio.sleep(_PIECE_EVERY_S)
                writer.write(piece)
                # `wait_for` may lose a cancellation (Python 3.11).
                async with asyncio.timeout(_PIECE_EVERY_S):
                    await writer.drain()
        except TimeoutError:
            await asyncio.sleep(3_600)
        finally:
            seen.longest_s = max(seen.longest_s, time.monotonic() - started)
            writer.transport.abort()
