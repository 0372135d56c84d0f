"""What becomes of requests in flight when a server is told to stop."""

import asyncio
import contextlib
import time
from dataclasses import dataclass
from pathlib import Path

from bench.environment.processes import ServerProcess
from bench.servers.app import CLOSED
from bench.servers.candidates import Candidate

REQUESTS = 32
_LIMIT_S = 12.0
_UNDER_WAY_S = 0.5
_PROBE_S = 0.1
_LOOK_S = 0.01
_PROBE_TIMEOUT_S = 0.5
_GET = b"GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@dataclass(frozen=True)
class Drain:
    """How a server stopped: seconds from SIGTERM to its end, None where it had to be killed."""

    answered: int
    ended_after_s: float | None
    app_closed: bool
    readiness: list[str]


def measure(candidate: Candidate, folder: Path, *, stream: bool, stop_limit: bool) -> Drain:
    """Stop a server that has requests of two seconds in flight, and perhaps an open stream.

    One that has not ended after `_LIMIT_S` is killed.
    """
    server = candidate.start(folder, stop_limit=stop_limit)
    try:
        return asyncio.run(_drain(server, stream=stream))
    finally:
        server.kill()


async def _drain(server: ServerProcess, *, stream: bool) -> Drain:
    slow = [asyncio.create_task(_get(server.port, b"/slow")) for _ in range(REQUESTS)]
    streaming = [asyncio.create_task(_get(server.port, b"/stream"))] if stream else []
    await asyncio.sleep(_UNDER_WAY_S)
    readiness: dict[str, None] = {}
    server.terminate()
    probing = asyncio.create_task(_probe(server.port, readiness))
    ended_after_s = await _end(server)
    probing.cancel()
    server.kill()
    answers = await asyncio.gather(*slow)
    await asyncio.gather(*streaming)
    answered = sum(answer.startswith(b"HTTP/1.1 200") for answer in answers)
    return Drain(answered, ended_after_s, CLOSED in server.log_tail(), list(readiness))


async def _end(server: ServerProcess) -> float | None:
    started_at = time.monotonic()
    while time.monotonic() - started_at < _LIMIT_S:
        if not server.is_running:
            return time.monotonic() - started_at
        await asyncio.sleep(_LOOK_S)
    return None


async def _probe(port: int, found: dict[str, None]) -> None:
    """Ask on new connections whether the server is ready; keep each answer, or its absence, once."""
    while True:
        await asyncio.sleep(_PROBE_S)
        try:
            async with asyncio.timeout(_PROBE_TIMEOUT_S):
                answer = await _get(port, b"/readyz")
            found[answer[9:12].decode() or "refused"] = None
        except TimeoutError:
            found["no answer"] = None


async def _get(port: int, path: bytes) -> bytes:
    """Return what arrives until a JSON answer is whole or the server hangs up."""
    got = b""
    with contextlib.suppress(OSError):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(_GET % path)
            with contextlib.suppress(OSError):
                while not got.endswith(b"{}") and (data := await reader.read(4096)):
                    got += data
        finally:
            writer.close()
    return got
