"""A database for the whole package; every test opens a hall of its own, whose waiting list is on."""

import pytest

from boxoffice.platform.postgres.database import Database
from boxoffice.settings import Settings
from tests.conftest import Servers
from tests.support.hall import Hall
from tests.support.shared_database import shared_database_url
from tests.support.waiting_line import WaitingLine, open_line

__all__ = ["shared_database_url"]


@pytest.fixture
def settings(shared_database_url: str, servers: Servers) -> Settings:
    """Settings that point at the shared database and at the shared Valkey."""
    return Settings.of(
        database_url=shared_database_url,
        valkey_url=servers.valkey_url,
        log_level="error",
        # Some tests hold a lock until others wait for it, which a busy machine delays.
        lock_timeout_ms=5_000,
    )


@pytest.fixture
async def line(db: Database) -> WaitingLine:
    """A hall of twelve seats with a list that is on, and six people with money."""
    return await open_line(db)


@pytest.fixture
def hall(line: WaitingLine) -> Hall:
    """The hall of the line."""
    return line.hall
