"""Foreign sessions that hold locks or take connections, and disks that are full."""

import asyncio
import errno
import os
import shutil
import struct
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from boxoffice.platform.postgres import sql_files
from boxoffice_embedded import EmbeddedServers
from faults.cluster.cluster import ProcessFailed
from faults.scenario import NotRun

SQL = sql_files.load("faults.interference", "external_clients.sql")

_CONNECTIONS_MAX = 300
_GRABBERS = 12
_GRABBED_FOR_S = 0.5
_GRABBED_AGAIN_AFTER_S = 0.005
_ASKED_WITHIN_S = 1.0
_PROTOCOL_3_0 = 3 << 16
_AUTHENTICATION = b"R"
_MOUNT_WITHIN_S = 20.0
_BLOCK_BYTES = 65_536


@asynccontextmanager
async def external_connection(
    database_url: str,
) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    """Yield a connection outside of the product's pools."""
    connection = await asyncpg.connect(database_url)
    try:
        yield connection
    finally:
        await connection.close()


async def accepts_connections(database_url: str) -> bool:
    """Say whether PostgreSQL accepts connections: it asks for a password.

    A whole session would cost the process of the buyers some 20 ms of CPU for the password, and on
    a busy machine that time would count as the server's. Message formats:
    https://www.postgresql.org/docs/18/protocol-message-formats.html
    """
    url = urlsplit(database_url)
    words = b"user\0%b\0database\0%b\0\0" % ((url.username or "").encode(), url.path[1:].encode())
    startup = struct.pack("!ii", 8 + len(words), _PROTOCOL_3_0) + words
    try:
        async with asyncio.timeout(_ASKED_WITHIN_S):
            reader, writer = await asyncio.open_connection(url.hostname, url.port)
            try:
                writer.write(startup)
                return await reader.read(1) == _AUTHENTICATION
            finally:
                writer.transport.abort()
    except (OSError, TimeoutError):
        return False


class ConnectionHog:
    """Takes every connection that the server gives, and keeps it."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self._taken: list[asyncpg.Connection[asyncpg.Record]] = []

    @property
    def count(self) -> int:
        """The number of connections taken."""
        return len(self._taken)

    async def take_all(self, within_s: float) -> int:
        """Take all connections, the product's too; return how many sessions the product has left."""
        await self._take_free()
        until_s = asyncio.get_running_loop().time() + within_s
        while await self._left() and asyncio.get_running_loop().time() < until_s:
            await self._taken[0].fetch(SQL["end_sessions_of_product"])
            # They end a moment later, and the product reconnects at once.
            await asyncio.gather(*(self._take_free(_GRABBED_FOR_S) for _ in range(_GRABBERS)))
        return await self._left()

    async def let_go(self) -> None:
        """Close all connections."""
        taken, self._taken = self._taken, []
        await asyncio.gather(*(one.close() for one in taken), return_exceptions=True)

    async def _take_free(self, for_s: float = 0.0) -> None:
        """Take free connections until there are none, and those freed within `for_s`."""
        until_s = time.monotonic() + for_s
        while len(self._taken) < _CONNECTIONS_MAX:
            try:
                self._taken.append(await asyncpg.connect(self._database_url))
            except asyncpg.TooManyConnectionsError:
                if time.monotonic() >= until_s:
                    return
                await asyncio.sleep(_GRABBED_AGAIN_AFTER_S)

    async def _left(self) -> int:
        return len(await self._taken[0].fetch(SQL["sessions_of_product"]))


async def wait_for(holds: Callable[[], Awaitable[object]], within_s: float, complaint: str) -> None:
    """Return as soon as `holds` is true; raise `ProcessFailed` after `within_s`."""
    deadline_s = time.monotonic() + within_s
    while not await holds():
        if time.monotonic() > deadline_s:
            raise ProcessFailed(f"{complaint} after {within_s:.0f} s")
        await asyncio.sleep(0.02)


def allow_traversal(folder: Path) -> Path:
    """Let the servers' user traverse a folder that root owns."""
    folder.chmod(0o711)
    return folder


@contextmanager
def small_disk(place: Path, size_mb: int) -> Iterator[Path]:
    """Mount a tmpfs of that size at `place`; raise `NotRun` if that is refused."""
    place.mkdir(mode=0o711)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m,mode=0711", "boxoffice-faults"]
    try:
        done = subprocess.run(
            [*command, str(place)],
            capture_output=True,
            text=True,
            timeout=_MOUNT_WITHIN_S,
            check=False,
        )
    except FileNotFoundError:
        raise NotRun("there is no mount command to make a small disk with") from None
    if done.returncode != 0:
        raise NotRun(f"a small disk (tmpfs) cannot be mounted here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        unmount = ["umount", "--lazy", str(place)]
        subprocess.run(unmount, timeout=_MOUNT_WITHIN_S, check=True)


def fill_disk(place: Path) -> Path:
    """Write a file until the disk is full, and return it."""
    filler = place / "filler"
    block = bytes(_BLOCK_BYTES)
    with filler.open("wb", buffering=0) as file:
        while block:
            try:
                file.write(block)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                block = block[: len(block) // 2]
    return filler


def move_wal(data_dir: Path, place: Path) -> None:
    """Move the write-ahead log of a stopped embedded server to `place`."""
    with EmbeddedServers(data_dir, say=lambda text: None) as servers:
        database = servers.postgres.data_dir
    source, target = database / "pg_wal", place / "wal"
    shutil.copytree(source, target)
    for path in (target, *target.rglob("*")):
        original = source / path.relative_to(target)
        path.chmod(original.stat().st_mode)
        if os.geteuid() == 0:
            os.chown(path, original.stat().st_uid, original.stat().st_gid)
    shutil.rmtree(source)
    source.symlink_to(target)
