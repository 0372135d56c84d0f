"""Organizers at their console."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from playwright.async_api import expect

from tests.e2e.api.client import Person
from tests.e2e.api.conftest import Running, make_organizer, rich
from tests.e2e.web.conftest import Visit
from tests.e2e.web.visitor import Visitor

Enter = Callable[..., Awaitable[Visitor]]


@pytest.fixture(scope="session")
def organizer(shop: Running) -> Person:
    """An organizer of the shop of the pages."""
    return make_organizer(shop)


@pytest.fixture(scope="session")
def operator(shop: Running) -> Person:
    """The operator of the shop of the pages."""
    return make_organizer(shop, "operator")


@pytest.fixture(scope="session")
def stranger(shop: Running) -> Person:
    """Another organizer."""
    return make_organizer(shop)


@pytest.fixture(scope="session")
def guest(shop: Running) -> Person:
    """A buyer with money."""
    return rich(shop.api)


@pytest.fixture
def enter(visit: Visit, shop: Running) -> Enter:
    """Opens a page of the shop as a user who is logged in."""

    async def begin(person: Person, path: str, **options: Any) -> Visitor:
        session = json.dumps({"token": person.api.token, "email": person.email})
        kept = [{"name": "boxoffice.session", "value": session}]
        state = {"cookies": [], "origins": [{"origin": shop.api.url, "localStorage": kept}]}
        visitor = await visit(storage_state=state, **options)
        await visitor.page.goto(path)
        await expect(visitor.page.locator("main h1")).to_be_visible()
        return visitor

    return begin
