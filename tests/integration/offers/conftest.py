"""A database for the whole package; every test opens a hall of its own, with money in the wallets."""

import pytest

from boxoffice.platform.postgres.database import Database
from boxoffice.platform.valkey import Valkey
from boxoffice.settings import Settings
from tests.conftest import Servers
from tests.support.hall import Hall, open_hall
from tests.support.offers import OfferDesk
from tests.support.offers import desk as desk_of
from tests.support.shared_database import shared_database_url

__all__ = ["shared_database_url"]


@pytest.fixture
def settings(shared_database_url: str, servers: Servers) -> Settings:
    """Settings that point at the shared database and at the shared Valkey."""
    return Settings.of(
        database_url=shared_database_url, valkey_url=servers.valkey_url, log_level="error"
    )


@pytest.fixture
async def hall(db: Database) -> Hall:
    """A hall for one test: twelve seats of 1,000 in grade R, and money for all of them."""
    return await open_hall(db, balance_minor=20_000)


@pytest.fixture
def desk(hall: Hall, settings: Settings, valkey: Valkey) -> OfferDesk:
    """What its organizer does about offers."""
    return desk_of(hall, settings, valkey)
