"""A real browser on a real shop: Debian's Chromium, driven by Playwright."""

import json
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from tests.conftest import Servers
from tests.e2e.api.client import Person
from tests.e2e.api.conftest import Running, check_books, make_organizer, rich, running
from tests.e2e.web.visitor import Visitor
from tests.support.database import copied_database

CHROMIUM = shutil.which("chromium")

# One event loop for all: the browser is started once.
Visit = Callable[..., Awaitable[Visitor]]

_HAS_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, Any]:
    """Remember for the teardown that the test has failed."""
    report = yield
    item.stash[_HAS_FAILED] = item.stash.get(_HAS_FAILED, False) or report.failed
    return report


@pytest.fixture(scope="session")
def shop(
    servers: Servers, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """The shop that the tests of the pages share; its books must balance at the end."""
    log = tmp_path_factory.mktemp("web") / "serve.log"
    with (
        copied_database(servers.database_url, template) as database_url,
        running(database_url, servers.valkey_url, log) as started,
    ):
        yield started
        started.stop()
        check_books(database_url)


@pytest.fixture(scope="session")
def seller(shop: Running) -> Person:
    """An organizer who puts concerts on sale."""
    return make_organizer(shop)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """The browser; without one the tests of the pages do not run, and say why."""
    if CHROMIUM is None:
        pytest.skip("no chromium: the tests of the pages are not run (apt-get install chromium)")
    async with async_playwright() as playwright:
        # As root, as in a container, Chromium's own sandbox cannot be had.
        started = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield started
        await started.close()


@pytest_asyncio.fixture(loop_scope="session")
async def visit(
    browser: Browser, shop: Running, request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[Visit]:
    """Opens the shop for one more visitor; at the end each is asked whether all was well.

    A failed test prints what each visitor's page did and shows, and the server's warnings.

    Options are those of a browser context, such as `locale` and `viewport`; `base_url` names another
    shop, `person` is who is logged in, `expected` are the refusals that the visitor is to hear, and
    `providers` the origins that the checkout may load from.
    """
    visitors: list[Visitor] = []

    async def begin(base_url: str = shop.api.url, **options: Any) -> Visitor:
        expected = options.pop("expected", ())
        providers = options.pop("providers", ())
        person: Person | None = options.pop("person", None)
        if person is not None:
            options["storage_state"] = logged_in(base_url, person.email, person.api.token)
        context = await browser.new_context(
            base_url=base_url,
            locale=options.pop("locale", "en-US"),
            viewport=options.pop("viewport", {"width": 1280, "height": 900}),
            **options,
        )
        visitor = Visitor(context, await context.new_page(), base_url, expected, providers)
        visitors.append(visitor)
        return visitor

    logged = shop.log.read_bytes().count(b"\n")
    yield begin
    if request.node.stash.get(_HAS_FAILED, False):
        for at, visitor in enumerate(visitors):
            print(await visitor.describe(tmp_path / f"{at}.png"))
        print(*(line for line in shop.lines()[logged:] if line["level"] != "info"), sep="\n")
    for visitor in visitors:
        await visitor.context.close()
    for visitor in visitors:
        visitor.check()


def logged_in(base_url: str, email: str, token: str) -> Any:
    """What a browser keeps of a user who has logged in."""
    session = {
        "name": "boxoffice.session",
        "value": json.dumps({"token": token, "email": email}),
    }
    return {"cookies": [], "origins": [{"origin": base_url, "localStorage": [session]}]}


@pytest.fixture
def buyer(shop: Running) -> Person:
    """A user with money, for this test alone."""
    return rich(shop.api)
