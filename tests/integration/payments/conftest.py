"""A database for the whole package, in which every test opens a hall with money in the wallets."""

import pytest

from boxoffice.platform.postgres.database import Database
from boxoffice.settings import Settings
from tests.conftest import Servers
from tests.support.hall import Hall, open_hall
from tests.support.shared_database import other, shared_database_url

__all__ = ["other", "shared_database_url"]


@pytest.fixture
def settings(shared_database_url: str, servers: Servers) -> Settings:
    """Settings that point at the shared database and at the shared Valkey."""
    return Settings.of(
        database_url=shared_database_url,
        valkey_url=servers.valkey_url,
        log_level="error",
        wallet_top_up_free=True,
        # A test may hold a lock longer than it meant to where the machine is busy.
        lock_timeout_ms=5_000,
    )


@pytest.fixture
async def hall(db: Database) -> Hall:
    """A hall for one test; each person has the price of five seats."""
    return await open_hall(db, balance_minor=5_000)
