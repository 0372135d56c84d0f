"""Two halls with the same people, in a database that the package shares."""

from dataclasses import replace

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
    """A hall of twenty seats of 1,000 in grade R."""
    return await open_hall(db, seats=20, balance_minor=200_000, ticket_limit=1_000)


@pytest.fixture
async def beside(db: Database, hall: Hall) -> Hall:
    """Another organizer's hall, in which the same people buy."""
    return replace(await open_hall(db, seats=20, ticket_limit=1_000), people=hall.people)


@pytest.fixture
def desk(hall: Hall, settings: Settings, valkey: Valkey) -> OfferDesk:
    """What the organizer of `hall` does about offers."""
    return desk_of(hall, settings, valkey)
