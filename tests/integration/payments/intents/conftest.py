"""A hall without money in the wallets, and the checkout of one pod."""

from collections.abc import AsyncIterator

import pytest

from boxoffice.platform.postgres.database import Database
from tests.support.checkout import Checkout
from tests.support.hall import Hall, open_hall
from tests.support.shared_database import other, shared_database_url, third

__all__ = ["other", "shared_database_url", "third"]


@pytest.fixture
async def hall(db: Database) -> Hall:
    """A hall for one test; its wallets are empty."""
    return await open_hall(db)


@pytest.fixture
async def checkout(hall: Hall) -> AsyncIterator[Checkout]:
    """The checkout of one pod."""
    checkout = Checkout(hall)
    yield checkout
    await checkout.close()
