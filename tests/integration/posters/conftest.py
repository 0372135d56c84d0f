"""Posters on a real database, and a small application around their routes."""

from collections.abc import Callable

import pytest

from boxoffice.accounts.rules import OPERATOR
from boxoffice.accounts.tokens import Caller
from boxoffice.errors import TokenInvalid
from boxoffice.http.api.operation import RouteDependencies
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.storage.object_store import ObjectStore
from boxoffice.posters.files import PictureFiles
from boxoffice.posters.routes import file_routes, routes
from boxoffice.posters.service import Posters
from boxoffice.posters.store import PosterStore
from boxoffice.settings import Settings
from tests.support.connection import Client
from tests.support.hall import Hall, open_hall
from tests.support.members import member

Make = Callable[..., Client]


@pytest.fixture
async def mine(db: Database) -> Hall:
    """A hall; its concert and organizer have its id."""
    return await open_hall(db)


@pytest.fixture
async def other(db: Database) -> Hall:
    """A hall of another organizer."""
    return await open_hall(db)


@pytest.fixture
def make_http(db: Database, settings: Settings, mine: Hall, other: Hall) -> Make:
    """Makes clients; the tokens are `mine`, `other` and `operator`."""
    callers = {
        "mine": member(mine.schedule_id),
        "other": member(other.schedule_id),
        "operator": Caller(mine.people[0], OPERATOR, organization_ids=None),
    }

    def authenticate(token: str) -> Caller:
        if token not in callers:
            raise TokenInvalid
        return callers[token]

    def make(objects: ObjectStore | None = None) -> Client:
        files = PictureFiles(settings.posters, PosterStore(db), objects)
        service = Posters(PosterStore(db), files)
        dependencies = RouteDependencies(authenticate, settings.server.body_max_bytes, 10)
        max_bytes = settings.posters.poster_max_bytes
        return Client(
            [*routes(service, dependencies, max_bytes), *file_routes(files, dependencies)],
            dependencies,
        )

    return make


@pytest.fixture
async def http(make_http: Make) -> Client:
    """A client of a process that keeps its files in PostgreSQL."""
    return make_http()
