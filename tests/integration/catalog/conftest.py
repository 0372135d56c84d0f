"""A catalog on a real database, organizers, and a small application around its routes."""

from collections.abc import Callable
from uuid import uuid4

import pytest

from boxoffice.accounts.tokens import Caller
from boxoffice.catalog.routes import routes
from boxoffice.catalog.service import Catalog
from boxoffice.catalog.store import CatalogStore
from boxoffice.errors import TokenInvalid
from boxoffice.http.api.operation import RouteDependencies
from boxoffice.http.streams import Streams, limits_of
from boxoffice.platform.postgres.database import Database
from boxoffice.seats import routes as seat_routes
from boxoffice.seats.cache.entries import ScheduleEntries, SeatChangeApplier
from boxoffice.seats.store import SeatStore
from boxoffice.settings import Settings
from tests.support.connection import Client
from tests.support.members import member

from .support import Clock, Shop, add_user


@pytest.fixture
async def make_shop(db: Database, settings: Settings) -> Callable[[], Shop]:
    """Make the catalog of another process on the same database."""
    organizer = member(await add_user(db, "organizer"))
    other = member(await add_user(db, "organizer"))

    def make() -> Shop:
        clock = Clock()
        store = CatalogStore(db)
        entries = ScheduleEntries(settings.seats, SeatStore(db), clock)
        catalog = Catalog(settings, store, SeatChangeApplier(entries), clock)
        return Shop(db, settings, store, entries, catalog, clock, organizer, other)

    return make


@pytest.fixture
def shop(make_shop: Callable[[], Shop]) -> Shop:
    """The catalog of one process."""
    return make_shop()


@pytest.fixture
async def http(shop: Shop) -> Client:
    """A client of the catalog's routes; the tokens are organizer, other and buyer."""
    callers = {
        "organizer": shop.organizer,
        "other": shop.other,
        "buyer": Caller(uuid4(), "buyer"),
    }

    def authenticate(token: str) -> Caller:
        if token not in callers:
            raise TokenInvalid
        return callers[token]

    dependencies = RouteDependencies(authenticate, shop.settings.server.body_max_bytes, 10)
    streams = Streams(limits_of(shop.settings.streams))
    served = [
        *routes(shop.catalog, dependencies, shop.settings),
        *seat_routes.routes(shop.seats, dependencies, shop.settings.seats, streams),
    ]
    return Client(served, dependencies)
