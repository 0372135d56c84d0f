"""A stream per test, a filled outbox, and a connection to Valkey that can be cut."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import pytest

from boxoffice.outbox.stream import fence_key
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.valkey import Valkey
from boxoffice.settings import Settings

SCHEDULE = UUID("00000000-0000-7000-8000-0000000000aa")

Write = Callable[..., Awaitable[list[int]]]
Read = Callable[[], Awaitable[list[dict[str, str]]]]

_INSERT = """
    INSERT INTO outbox (scope_id, topic, subject_ids, user_ids, seats_to, seat_ids, created_at)
    SELECT $1, 'reservation.cancelled', ids, ids, ARRAY(SELECT 2 * i FROM generate_series(1, $3) i),
           ARRAY(SELECT 'A-1-' || i FROM generate_series(1, 2 * $3) i), clock_timestamp()
      FROM generate_series(1, $2) i,
           LATERAL (SELECT array_agg(gen_random_uuid()) FROM generate_series(1, $3) WHERE i > 0) x (ids)
    RETURNING batch_id
"""


@pytest.fixture
async def settings(settings: Settings, valkey_of_stream: str) -> Settings:
    """Settings whose stream is this test's own."""
    return settings.replace(
        relay_stream=valkey_of_stream, relay_interval_ms=5, relay_lease_ms=2_000
    )


@pytest.fixture
def valkey_of_stream() -> str:
    """A name that no other test uses."""
    return f"test:events:{uuid4().hex}"


@pytest.fixture
def write(db: Database) -> Write:
    """Insert outbox rows with events and return the event ids."""

    async def insert(rows: int, events: int = 1) -> list[int]:
        made = await db.fetch(_INSERT, SCHEDULE, rows, events)
        return [(row["batch_id"] << 16) + at for row in made for at in range(1, events + 1)]

    return insert


@pytest.fixture
async def read(valkey: Valkey, settings: Settings) -> AsyncIterator[Read]:
    """Return all entries of the stream, oldest first; the stream is deleted afterwards."""

    async def entries() -> list[dict[str, str]]:
        found = await valkey.command("XRANGE", settings.outbox.relay_stream, "-", "+")
        return [_texts(fields) for _, fields in found]

    yield entries
    await valkey.command("DEL", settings.outbox.relay_stream)
    await valkey.command("DEL", fence_key(settings.outbox.relay_stream))


def _texts(fields: object) -> dict[str, str]:
    if isinstance(fields, dict):
        return {name.decode(): value.decode() for name, value in fields.items()}
    raise TypeError(fields)


class Line:
    """A TCP proxy to Valkey that can be cut and restored at the same address."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._pumps: set[asyncio.Task[None]] = set()
        self.port = 0

    async def mend(self) -> None:
        """Let connections through."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Refuse new connections and drop the open ones."""
        if self._server is not None:
            self._server.close()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(*self._target)
        for source, sink in ((reader, there_writer), (there_reader, writer)):
            pump = asyncio.create_task(_pump(source, sink))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while part := await source.read(65_536):
            sink.write(part)
            await sink.drain()
    except OSError:
        return
    finally:
        sink.close()
        with contextlib.suppress(OSError):
            await sink.wait_closed()


@pytest.fixture
async def line(settings: Settings) -> AsyncIterator[Line]:
    """An open proxy to Valkey."""
    address = urlsplit(settings.valkey.valkey_url)
    line = Line(address.hostname or "127.0.0.1", address.port or 6379)
    await line.mend()
    yield line
    await line.cut()


@pytest.fixture
def settings_over_line(settings: Settings, line: Line) -> Settings:
    """Settings that reach Valkey through the proxy."""
    address = urlsplit(settings.valkey.valkey_url)
    login = address.netloc.rpartition("@")[0]
    netloc = f"{login}@127.0.0.1:{line.port}" if login else f"127.0.0.1:{line.port}"
    return settings.replace(valkey_url=address._replace(netloc=netloc).geturl(), breaker_open_ms=5)
