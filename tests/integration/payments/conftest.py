"""A database for the whole room, in which every test opens a hall with money in the wallets."""

from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from boxoffice.platform.postgres.database import Database, Record, connection_options
from boxoffice.settings import Settings
from tests.conftest import Servers
from tests.support.database import copied_database
from tests.support.hall import Hall, open_hall


@pytest.fixture(scope="package")
def room_database_url(servers: Servers, template: str) -> Iterator[str]:
    """The database that the tests of this room share."""
    with copied_database(servers.database_url, template) as url:
        yield url


@pytest.fixture
def settings(room_database_url: str, servers: Servers) -> Settings:
    """Settings that point at the shared database and at the shared Valkey."""
    return Settings.of(
        database_url=room_database_url,
        valkey_url=servers.valkey_url,
        log_level="error",
        wallet_top_up_free=True,
    )


@pytest.fixture
async def hall(db: Database) -> Hall:
    """A hall for one test; everybody has the price of five seats."""
    return await open_hall(db, balance_minor=5_000)


@pytest.fixture
async def other(settings: Settings) -> AsyncIterator["asyncpg.Connection[Record]"]:
    """Another pod's connection, on which a transaction can be left open."""
    connection = await asyncpg.connect(
        settings.database.database_url, **connection_options(settings)
    )
    yield connection
    await connection.close()
