"""Where the servers of the tests keep their data, and databases copied from a migrated one."""

import asyncio
import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg
import psutil

_MEMORY = Path("/dev/shm")  # noqa: S108 - what is made there has a random name
# Not that of earlier releases, whose tests lock nothing.
_PREFIX = "boxoffice-tests-"
_NEW_S = 60.0


def data_folder(needed_bytes: int, *, usual: Path | None = None, memory: Path = _MEMORY) -> Path:
    """Make a folder for data: in memory where there is room, else in the `usual` place.

    A database is some 700 files, and nearly every test has one: on a disk, making and dropping it takes
    ten times as long as in memory, and longer than most tests. The caller removes it; what a killed
    process has left in memory is removed by the next one.
    """
    _remove_abandoned(memory)
    parent = memory if _free_bytes(memory) > needed_bytes else usual
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    # Held until this process ends, also by a kill.
    fcntl.flock(os.open(folder, os.O_RDONLY), fcntl.LOCK_EX)
    return folder


@contextmanager
def server_data(needed_bytes: int) -> Iterator[Path]:
    """Make a folder as `data_folder` does, and remove it at the end."""
    folder = data_folder(needed_bytes)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _free_bytes(memory: Path) -> int:
    if not memory.is_dir():
        return 0
    return min(shutil.disk_usage(memory).free, psutil.virtual_memory().available)


def _remove_abandoned(memory: Path) -> None:
    """Remove folders on which no process has a lock."""
    for folder in memory.glob(f"{_PREFIX}*"):
        # Another user's cannot be opened; a new one may not have its lock yet.
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > _NEW_S:
                _remove_unlocked(folder)


def _remove_unlocked(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(opened)


@contextmanager
def copied_database(server_url: str, template: str) -> Iterator[str]:
    """Copy the migrated template and yield the copy's address; it is dropped at the end."""
    name = f"t_{uuid4().hex}"
    # Copied as files; otherwise every page of it is written to the log, too.
    made = f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY"
    asyncio.run(_run(server_url, made))
    try:
        yield server_url.rpartition("/")[0] + "/" + name
    finally:
        asyncio.run(_run(server_url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))


async def _run(server_url: str, statement: str) -> None:
    admin = await asyncpg.connect(server_url)
    try:
        await admin.execute(statement)
    finally:
        await admin.close()
