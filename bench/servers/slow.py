"""What clients that take their time do to a server, and to all other clients."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.client.generator import percentile
from bench.environment.cpu import MeasuredGroup
from bench.environment.processes import ServerProcess
from bench.servers.candidates import Candidate
from bench.servers.cost import holds

_BYTE_EVERY_S = 1.0
_VISIT_EVERY_S = 0.05
_VISIT_TIMEOUT_S = 2.0
_LOOK_EVERY_S = 1.0
_ARRIVE_WITHIN_S = 1.0
_LINE = b"X-Filler: " + b"a" * 1_000 + b"\r\n"
_LINE_EVERY_S = 0.01
_HEAD = b"POST /v1/schedules/1/reservations HTTP/1.1\r\nHost: 127.0.0.1\r\n"
_BODY_HEAD = _HEAD + b"Content-Type: application/json\r\nContent-Length: 60000\r\n\r\n{"


@dataclass(frozen=True)
class SlowClient:
    """A kind of slow client: what it sends first, and what it goes on with."""

    name: str
    connections: int
    first: bytes
    more: bytes
    every_s: float


KINDS = (
    SlowClient("a byte of the head a second", 200, _HEAD + b"X-Slow: ", b"a", _BYTE_EVERY_S),
    SlowClient("a byte of the body a second", 200, _BODY_HEAD, b" ", _BYTE_EVERY_S),
    SlowClient("a head without end, 100 kB/s", 20, _HEAD, _LINE, _LINE_EVERY_S),
    SlowClient("idle", 2_000, b"", b"", _BYTE_EVERY_S),
)


@dataclass(frozen=True)
class Siege:
    """How many slow connections a server ended and when, its memory, and how others fared."""

    connections: int
    ended: int
    ended_after_s: float | None
    idle_mib: float
    peak_mib: float
    visits: int
    visits_failed: int
    visit_p99_ms: float


def measure(candidate: Candidate, folder: Path, kind: SlowClient, window_s: float) -> Siege:
    """Let slow clients of one kind at a server for `window_s` seconds while others visit it."""
    server = candidate.start(folder)
    try:
        return asyncio.run(_besiege(server, kind, window_s))
    finally:
        server.kill()


async def _besiege(server: ServerProcess, kind: SlowClient, window_s: float) -> Siege:
    idle_mib = server.group.resident_mib()
    until = time.monotonic() + window_s
    visiting = asyncio.create_task(_visit(server.port, until))
    weighing = asyncio.create_task(_weigh(server.group, until))
    slow = [_trickle(server.port, kind, at, until) for at in range(kind.connections)]
    ends = [end for end in await asyncio.gather(*slow) if end is not None]
    visits = await visiting
    done = sorted(seconds for seconds in visits if seconds is not None)
    return Siege(
        connections=kind.connections,
        ended=len(ends),
        ended_after_s=median(ends) if ends else None,
        idle_mib=idle_mib,
        peak_mib=await weighing,
        visits=len(visits),
        visits_failed=len(visits) - len(done),
        visit_p99_ms=percentile(done, 99) * 1000 if done else float("nan"),
    )


async def _trickle(port: int, kind: SlowClient, at: int, until: float) -> float | None:
    """Be slow on one connection; return after how many seconds the server ended it, if it did."""
    # They come and send one after the other, so that visitors do not wait for a burst of ours.
    await asyncio.sleep(_ARRIVE_WITHIN_S * at / kind.connections)
    started_at = time.monotonic()
    try:
        async with asyncio.timeout_at(until):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:
        return time.monotonic() - started_at
    except TimeoutError:
        return None
    writer.write(kind.first)
    ended = asyncio.create_task(_ended(reader))
    while not ended.done() and time.monotonic() < until:
        if kind.more:
            writer.write(kind.more)
        await asyncio.wait([ended], timeout=kind.every_s)
    seconds = time.monotonic() - started_at if ended.done() else None
    ended.cancel()
    writer.transport.abort()
    return seconds


async def _ended(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(OSError):
        while await reader.read(65_536):
            pass


async def _visit(port: int, until: float) -> list[float | None]:
    """Come with a new connection again and again; return the seconds of each visit, None if in vain."""
    request = holds(1)[0]
    return [await _once(port, request) async for _ in _every(_VISIT_EVERY_S, until)]


async def _once(port: int, request: bytes) -> float | None:
    started_at = time.perf_counter()
    try:
        async with asyncio.timeout(_VISIT_TIMEOUT_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(request)
                await reader.readuntil(b"}")
            finally:
                writer.transport.abort()
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return None
    return time.perf_counter() - started_at


async def _weigh(group: MeasuredGroup, until: float) -> float:
    """Return the largest memory that was seen."""
    return max([group.resident_mib() async for _ in _every(_LOOK_EVERY_S, until)])


async def _every(seconds: float, until: float) -> AsyncIterator[None]:
    while time.monotonic() < until:
        yield
        await asyncio.sleep(seconds)
