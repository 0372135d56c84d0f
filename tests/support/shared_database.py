"""One database for all tests of a package, and connections of other pods to it.

A package's conftest imports the fixtures that it wants.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from boxoffice.platform.postgres.database import Record, connection_options
from boxoffice.settings import Settings
from tests.conftest import Servers
from tests.support.database import copied_database


@pytest.fixture(scope="package")
def shared_database_url(servers: Servers, template: str) -> Iterator[str]:
    """The database that the tests of a package share."""
    with copied_database(servers.database_url, template) as url:
        yield url


@asynccontextmanager
async def _connection(settings: Settings) -> "AsyncIterator[asyncpg.Connection[Record]]":
    connection = await asyncpg.connect(
        settings.database.database_url, **connection_options(settings)
    )
    yield connection
    await connection.close()


@pytest.fixture
async def other(settings: Settings) -> AsyncIterator["asyncpg.Connection[Record]"]:
    """Another pod's connection, on which a transaction can be left open."""
    async with _connection(settings) as connection:
        yield connection


@pytest.fixture
async def third(settings: Settings) -> AsyncIterator["asyncpg.Connection[Record]"]:
    """One more pod's connection."""
    async with _connection(settings) as connection:
        yield connection
