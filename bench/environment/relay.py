"""A relay beside a measurement, to include the cost of event delivery."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from bench.environment.cpu import MeasuredGroup
from bench.environment.processes import ServerProcessFailed, clean_environment
from boxoffice.platform.postgres import sql_files
from boxoffice.settings import Settings

_SQL = sql_files.load("bench.environment")
_TIMEOUT_S = 30.0
_POLL_S = 0.05
_STOP_TIMEOUT_S = 10.0


@contextmanager
def relaying(settings: Settings, env: Mapping[str, str], log: Path) -> Iterator[MeasuredGroup]:
    """Run a relay until the block is left; enter the block when it has its lease."""
    argv = [sys.executable, "-m", "boxoffice", "relay"]
    with log.open("wb") as out:
        process = subprocess.Popen(
            argv, env=clean_environment() | dict(env), stdout=out, stderr=subprocess.STDOUT
        )
    try:
        asyncio.run(_until(settings, "has_relay"))
        yield MeasuredGroup("relay", process.pid)
        process.terminate()
        process.wait(_STOP_TIMEOUT_S)
    finally:
        process.kill()
        process.wait()


def wait_until_delivered(settings: Settings) -> None:
    """Return when the outbox is empty; raise `ServerProcessFailed` after 30 s."""
    asyncio.run(_until(settings, "is_delivered"))


async def _until(settings: Settings, condition: str) -> None:
    connection = await asyncpg.connect(settings.database.database_url)
    deadline = time.monotonic() + _TIMEOUT_S
    try:
        while not await connection.fetchval(_SQL[condition]):
            if time.monotonic() > deadline:
                raise ServerProcessFailed(f"the relay: {condition} did not become true")
            await asyncio.sleep(_POLL_S)
    finally:
        await connection.close()
