"""One database for many tests: making one takes longer than most tests that use it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import asyncpg


@contextmanager
def copied_database(server_url: str, template: str) -> Iterator[str]:
    """Copy the migrated template and yield the copy's address; it is dropped at the end."""
    name = f"shared_{uuid4().hex}"
    asyncio.run(_run(server_url, f"CREATE DATABASE {name} TEMPLATE {template}"))
    yield server_url.rpartition("/")[0] + "/" + name
    asyncio.run(_run(server_url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))


async def _run(server_url: str, statement: str) -> None:
    admin = await asyncpg.connect(server_url)
    try:
        await admin.execute(statement)
    finally:
        await admin.close()
