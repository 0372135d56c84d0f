"""What an organizer types and opens while the page is drawn again after a save stays."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest
from playwright.async_api import Locator, Page, Request, Route, expect

from tests.e2e.api.client import Person, Sale
from tests.e2e.api.client import expect as answered
from tests.e2e.api.conftest import Running, make_organizer, on_sale
from tests.e2e.web.conftest import Visit
from tests.e2e.web.console.conftest import Enter
from tests.e2e.web.console.test_team import join
from tests.e2e.web.visitor import Visitor

pytestmark = pytest.mark.asyncio(loop_scope="session")

FEE_AFTER = 2_000

Act = Callable[[Visitor], Awaitable[None]]


class Case(NamedTuple):
    """A page, an action after which it is loaded again, and a field elsewhere on it."""

    path: str
    act: Act
    field: str
    typed: str
    # The details that are opened first.
    opened: str | None = None


@pytest.fixture(scope="module")
def owner(shop: Running) -> Person:
    """An owner whose organization these tests alone change."""
    return make_organizer(shop)


@pytest.fixture(scope="module")
def colleague(shop: Running) -> Person:
    """An owner of another organization."""
    return make_organizer(shop)


@pytest.fixture(scope="module")
def sale(owner: Person) -> Sale:
    """A concert on sale."""
    return on_sale(owner, 20)


@asynccontextmanager
async def slow_reads(page: Page) -> AsyncIterator[asyncio.Event]:
    """Hold the answers to the page's reads back until the event is set."""
    go_on = asyncio.Event()

    async def wait(route: Route) -> None:
        if route.request.method == "GET":
            await go_on.wait()
        await route.continue_()

    await page.route("**/v1/**", wait)
    yield go_on
    go_on.set()
    await page.unroute_all(behavior="wait")


async def is_redrawn(page: Page) -> None:
    """Wait until the marked page has been replaced."""
    await expect(page.locator("[data-was-shown]")).to_have_count(0)


async def mark(page: Page) -> None:
    """Mark what is shown now."""
    await page.evaluate("document.querySelector('main').firstElementChild.dataset.wasShown = ''")


async def save_fee(visitor: Visitor, fee: int = 1_500) -> None:
    await visitor.page.get_by_label("Booking fee per ticket (KRW)").fill(str(fee))
    await visitor.button("Save").first.click()
    await expect(visitor.toast("Saved.")).to_be_visible()


async def save_limit(visitor: Visitor) -> None:
    await visitor.page.get_by_label("Tickets per person").fill("7")
    await visitor.button("Save").click()
    await expect(visitor.toast("Saved.")).to_be_visible()


async def save_name(visitor: Visitor) -> None:
    await visitor.page.get_by_label("Name of the organization").fill("Renamed")
    await visitor.button("Save").click()
    await expect(visitor.toast("Saved.")).to_be_visible()


async def start_waiting_list(visitor: Visitor) -> None:
    await visitor.page.get_by_label("Waiting list").get_by_role("button").click()
    await expect(visitor.page.locator(".toast.good")).to_be_visible()


async def remember(page: Page, name: str, value: object) -> None:
    """Store a value that all tabs share, as another tab would."""
    stored = [f"boxoffice.{name}", json.dumps(value)]
    await page.evaluate("([name, value]) => localStorage.setItem(name, value)", stored)


async def change_language(visitor: Visitor) -> None:
    await visitor.page.locator("button.language").click()


# The change of the language is the last: it stays for the pages after it.
CASES = (
    Case("/schedules/{schedule}/offers", save_fee, "Name", "Frie", "Make codes"),
    Case("/schedules/{schedule}/edit", save_limit, "Reason, for the buyers", "Rain", "Postpone"),
    Case("/team", save_name, "E-mail address", "minho@exam"),
    Case("/schedules/{schedule}/queue", start_waiting_list, "Admissions per second", "12"),
    Case("/concerts/{concert}/edit", change_language, "Title in English", "Spring Ni"),
)


async def type_meanwhile(visitor: Visitor, case: Case) -> None:
    """Type before and while the page is drawn again, and see that nothing of it is gone."""
    page = visitor.page
    if case.opened is None:
        scope = page.locator("main")
    else:
        summary = page.locator("summary", has_text=case.opened)
        scope = page.locator("details").filter(has=summary)
    field = scope.get_by_label(case.field, exact=True).first
    async with slow_reads(page) as go_on:
        await mark(page)
        await case.act(visitor)
        if case.opened is not None:
            await summary.click()
        await field.fill(case.typed)
        shown = await field.element_handle()
        go_on.set()
        # The organizer goes on typing while the page is drawn.
        await page.keyboard.type("1234", delay=30)
        await is_redrawn(page)
    focused = page.locator("main :focus")
    await expect(focused).to_have_value(f"{case.typed}1234")
    assert await shown.get_attribute("data-field") == await focused.get_attribute("data-field")
    assert await focused.evaluate("one => one.selectionStart") in (None, len(case.typed) + 4)
    await expect(page.locator("main .form-error:not(:empty)")).to_have_count(0)


async def test_what_is_typed_and_opened_after_a_save_stays(
    visit: Visit, owner: Person, sale: Sale
) -> None:
    """One visit to all pages: a browser that knows them loads them faster."""
    visitor = await visit(person=owner)
    for case in CASES:
        path = case.path.format(schedule=sale.schedule_id, concert=sale.concert_id)
        await visitor.open(f"/organizer{path}")
        await type_meanwhile(visitor, case)


async def test_what_is_typed_is_not_kept_for_other_data(
    enter: Enter, shop: Running, owner: Person, colleague: Person
) -> None:
    """Another tab chooses another organization, then logs in as another user during a load."""
    visitor = await enter(colleague, "/organizer/team")
    page = visitor.page
    address = page.locator("[data-field=email]")
    await join(shop, owner.user_id, colleague, "owner")
    await address.fill("minho@exam")
    await remember(page, "organization", owner.user_id)
    await mark(page)
    await change_language(visitor)
    await is_redrawn(page)
    await expect(address).to_have_value("")

    await address.fill("minho@exam")
    await mark(page)
    async with slow_reads(page) as go_on:
        await change_language(visitor)
        await remember(page, "session", {"token": owner.api.token, "email": owner.email})
        go_on.set()
        await is_redrawn(page)
    await expect(address).to_have_value("")


def _is_list_of_codes(request: Request) -> bool:
    return request.method == "GET" and request.url.endswith("/offers/codes")


async def begin_codes(visitor: Visitor) -> Locator:
    """Open the form for codes and name them; return the form."""
    await visitor.page.get_by_text("Make codes").click()
    form = visitor.page.locator("form").filter(has=visitor.button("Make"))
    await form.get_by_label("Name").fill("Friends")
    return form


async def make_codes_during_a_load(visitor: Visitor) -> None:
    """Codes are in one answer only, which a save just before does not take away."""
    page = visitor.page
    is_answered = asyncio.Event()

    async def wait(route: Route) -> None:
        if route.request.method == "POST":
            await is_answered.wait()
        await route.continue_()

    await begin_codes(visitor)
    async with slow_reads(page) as go_on:
        await mark(page)
        await save_fee(visitor)
        await page.route("**/offers/codes", wait)
        await visitor.button("Make").click()
        async with page.expect_event("requestfinished", _is_list_of_codes):
            go_on.set()
        is_answered.set()
        await is_redrawn(page)
    await expect(page.get_by_text("These codes are shown this once.")).to_be_visible()
    await expect(page.get_by_role("cell", name="Friends")).to_be_visible()


async def save_while_reads_fail(visitor: Visitor) -> None:
    """A page that cannot be read again stays."""
    page = visitor.page

    async def refuse(route: Route) -> None:
        if route.request.method != "GET":
            await route.continue_()
            return
        problem = {"code": "unavailable", "title": "Unavailable", "status": 503}
        await route.fulfill(status=503, headers={"Retry-After": "0.05"}, json=problem)

    form = await begin_codes(visitor)
    await page.route("**/v1/**", refuse)
    await save_fee(visitor, FEE_AFTER)
    await expect(page.locator(".toast.bad")).to_be_visible()
    await expect(form.get_by_label("Name")).to_have_value("Friends")
    await page.unroute_all(behavior="wait")


async def type_what_another_has_changed(visitor: Visitor, owner: Person, path: str) -> None:
    """What is typed stays, and its user is told that it replaces what another one has saved."""
    page = visitor.page
    form = page.locator("form").filter(has=page.locator("[data-field=booking_fee]"))
    fee = form.locator("[data-field=booking_fee]")
    await fee.fill("3000")
    version = answered(owner.api.get(path), 200).json["version"]
    terms: dict[str, object] = {
        "public_from": None,
        "booking_fee": 2_500,
        "price_types": [],
        "channels": [],
    }
    headers = {"If-Match": f'"{version}"'}
    answered(owner.api.call("PUT", path, json_body=terms, headers=headers), 200)
    await mark(page)
    await change_language(visitor)
    await is_redrawn(page)
    await expect(fee).to_have_value("3000")
    await expect(form.locator(".form-error")).not_to_be_empty()


async def test_answers_that_come_late_or_not_take_nothing_away(
    enter: Enter, owner: Person, sale: Sale
) -> None:
    path = f"/schedules/{sale.schedule_id}/offers"
    visitor = await enter(owner, f"/organizer{path}", expected=["503"])
    await make_codes_during_a_load(visitor)
    await visitor.open(f"/organizer{path}")
    await save_while_reads_fail(visitor)
    shown = answered(owner.api.get(f"/v1/admin{path}"), 200).json
    assert shown["booking_fee"] == FEE_AFTER
    await type_what_another_has_changed(visitor, owner, f"/v1/admin{path}")
