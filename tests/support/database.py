"""Where the servers of the tests keep their data, and databases copied from a migrated one."""

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg
import psutil

_MEMORY = Path("/dev/shm")  # noqa: S108 - what is made there has a random name


def data_parent(needed_bytes: int) -> Path | None:
    """Where to make a data directory: in memory where there is room, else the usual place (None).

    A database is some 700 files, and nearly every test has one: on a disk, making and dropping it takes
    ten times as long as in memory, and longer than most tests.
    """
    if not _MEMORY.is_dir():
        return None
    free_bytes = min(shutil.disk_usage(_MEMORY).free, psutil.virtual_memory().available)
    return _MEMORY if free_bytes > needed_bytes else None


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
