"""A hall with empty wallets, and cashiers in this process at a provider in memory."""

from collections.abc import AsyncIterator

import pytest

from boxoffice.platform.postgres.database import Database
from tests.support.hall import Hall, open_hall
from tests.support.shared_database import other, shared_database_url

from .support import Shop, open_shop

__all__ = ["other", "shared_database_url"]


@pytest.fixture
async def hall(db: Database) -> Hall:
    """A hall for one test; nothing of the tests before is due."""
    await db.fetch("DELETE FROM cashier_work")
    await db.fetch("DELETE FROM provider_notices")
    return await open_hall(db)


@pytest.fixture
async def shop(hall: Hall) -> AsyncIterator[Shop]:
    """A shop with one pod and one cashier."""
    async with open_shop(hall) as one:
        yield one
