"""Two halls."""

import pytest

from boxoffice.platform.postgres.database import Database
from tests.support.hall import Hall, open_hall


@pytest.fixture
async def other(db: Database) -> Hall:
    """An older hall, which no test changes."""
    return await open_hall(db, seats=3, people=2, balance_minor=5_000)


@pytest.fixture
async def mine(db: Database, other: Hall) -> Hall:
    """A hall with four seats, published and on sale."""
    assert other
    return await open_hall(db, seats=4, people=2, balance_minor=5_000)
