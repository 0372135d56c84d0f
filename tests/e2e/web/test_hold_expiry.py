"""The end of an unpaid hold is announced once, in whatever order the page learns of it."""

import asyncio
import re
import time
from datetime import datetime, timedelta

import pytest
from playwright.async_api import Page, Request, Route, expect

from tests.e2e.api.client import Person, Sale, sign_up
from tests.e2e.api.client import expect as answered
from tests.e2e.api.conftest import Running, hold, on_sale

from .conftest import Visit, logged_in
from .visitor import PATIENCE_MS, Visitor

pytestmark = pytest.mark.asyncio(loop_scope="session")

OVER = "Your time to pay has run out."
TTL_S = 5
LIST = "/v1/me/reservations?status=HELD"
# As after a login in another tab.
_RELOAD_LIST = """() => dispatchEvent(new StorageEvent("storage", { key: "boxoffice.session" }))"""
_SET_VISIBILITY = """(state) => {
    Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.fixture
def sale(seller: Person) -> Sale:
    """A concert whose holds end soon."""
    return on_sale(seller, 20, hold_ttl_s=TTL_S)


async def shift_clock(page: Page, seconds: float) -> None:
    """Answer the page's requests for the time with another time."""

    async def answer(route: Route) -> None:
        reply = await route.fetch()
        now = datetime.fromisoformat((await reply.json())["now"])
        await route.fulfill(json={"now": (now + timedelta(seconds=seconds)).isoformat()})

    await page.route("**/v1/clock", answer)


async def hold_seen(visitor: Visitor, buyer: Person, sale: Sale) -> str:
    """Hold a seat elsewhere while the page is open, and have the page load it; return its id.

    So the hold does not run out while a busy machine opens the page.
    """
    held = str(hold(buyer, sale, "A-1-1").json["reservation_id"])
    await visitor.page.evaluate(_RELOAD_LIST)
    await visitor.page.wait_for_function(
        "(id) => localStorage.getItem('boxoffice.mine')?.includes(id)", arg=held
    )
    return held


async def expired(buyer: Person, reservation_id: str) -> None:
    """Wait until the server counts a hold as expired."""
    until_s = time.monotonic() + PATIENCE_MS / 1000
    while time.monotonic() < until_s:
        answer = answered(buyer.api.get(f"/v1/reservations/{reservation_id}"), 200)
        if answer.json["status"] == "EXPIRED":
            return
        await asyncio.sleep(0.1)
    pytest.fail("the hold does not expire")


def reads(page: Page, reservation_id: str) -> list[Request]:
    """Collect the page's requests for one reservation, from now on."""
    found: list[Request] = []
    path = re.compile(rf"/v1/reservations/{reservation_id}$")
    page.on("request", lambda one: found.append(one) if path.search(one.url) else None)
    return found


@pytest.mark.parametrize("ahead_s", [-1.5, 0, 1.5], ids=["behind", "exact", "ahead"])
async def test_an_expired_hold_is_announced_once_by_any_clock(
    visit: Visit, sale: Sale, buyer: Person, ahead_s: float
) -> None:
    visitor = await visit(person=buyer)
    await shift_clock(visitor.page, ahead_s)
    await visitor.open()
    held = await hold_seen(visitor, buyer, sale)
    asked = reads(visitor.page, held)
    await expect(visitor.toast(OVER)).to_have_count(1)
    await expect(visitor.page.locator(".hold-bar")).to_be_hidden()
    # A clock ahead of the server's costs one more request.
    assert 1 <= len(asked) <= 3


async def test_a_hold_that_leaves_the_list_is_announced(
    visit: Visit, sale: Sale, buyer: Person
) -> None:
    visitor = await visit(person=buyer)
    # By its own clock a minute is left.
    await shift_clock(visitor.page, -60)
    await visitor.open()
    held = await hold_seen(visitor, buyer, sale)
    await expect(visitor.page.locator(".hold-bar")).to_be_visible()
    await expired(buyer, held)
    await visitor.page.evaluate(_RELOAD_LIST)
    await expect(visitor.toast(OVER)).to_have_count(1)
    await expect(visitor.page.locator(".hold-bar")).to_be_hidden()


async def test_a_hold_that_expires_with_no_page_open_is_announced_by_the_next(
    visit: Visit, sale: Sale, buyer: Person
) -> None:
    visitor = await visit(person=buyer)
    await visitor.open()
    held = await hold_seen(visitor, buyer, sale)
    await visitor.page.goto("about:blank")
    await expired(buyer, held)
    await visitor.open()
    await expect(visitor.toast(OVER)).to_have_count(1)
    # The next page announces nothing.
    await visitor.page.wait_for_function("() => !localStorage.getItem('boxoffice.mine')")
    await visitor.open("/me")
    await expect(visitor.page.locator(".rows").first).to_contain_text("expired")
    await expect(visitor.toast(OVER)).to_have_count(0)


async def test_a_lost_answer_about_the_end_is_asked_for_again(
    visit: Visit, sale: Sale, buyer: Person
) -> None:
    visitor = await visit(person=buyer, expected=["ERR_"])
    await visitor.open()
    held = await hold_seen(visitor, buyer, sale)
    await visitor.page.route(f"**/v1/reservations/{held}", lambda route: route.abort(), times=1)
    await expect(visitor.toast(OVER)).to_have_count(1)


async def test_a_hold_paid_on_another_device_is_not_announced(
    visit: Visit, sale: Sale, buyer: Person
) -> None:
    visitor = await visit(person=buyer)
    await visitor.open()
    held = await hold_seen(visitor, buyer, sale)
    path = re.compile(rf"/v1/reservations/{held}$")
    async with visitor.page.expect_response(path) as read:
        order = {"reservation_id": held, "method": "wallet"}
        answered(buyer.api.keyed("/v1/payments", order), 201)
    answer = await read.value
    assert (await answer.json())["status"] == "CONFIRMED"
    await visitor.page.wait_for_function("() => !localStorage.getItem('boxoffice.mine')")
    await expect(visitor.page.locator(".hold-bar")).to_be_hidden()
    await expect(visitor.toast(OVER)).to_have_count(0)


async def test_the_announcement_survives_a_change_of_page(
    visit: Visit, seller: Person, sale: Sale
) -> None:
    visitor = await visit(person=seller)
    await visitor.open("/organizer")
    await hold_seen(visitor, seller, sale)
    await expect(visitor.page.locator(".hold-bar")).to_be_hidden()
    await expect(visitor.toast(OVER)).to_have_count(1)
    await visitor.link("boxoffice").click()
    await expect(visitor.title("Concerts")).to_be_visible()
    await expect(visitor.toast(OVER)).to_have_count(1)


async def test_the_announcement_of_a_hidden_tab_waits_until_it_is_visible(
    visit: Visit, sale: Sale, buyer: Person
) -> None:
    visitor = await visit(person=buyer)
    await visitor.page.clock.install()
    await visitor.open()
    await visitor.page.evaluate(_SET_VISIBILITY, "hidden")
    await hold_seen(visitor, buyer, sale)
    await expect(visitor.toast(OVER)).to_have_count(1)
    await visitor.page.clock.fast_forward(60_000)
    await expect(visitor.toast(OVER)).to_have_count(1)
    await visitor.page.evaluate(_SET_VISIBILITY, "visible")
    await expect(visitor.toast(OVER)).to_be_visible()
    await visitor.page.clock.fast_forward(7_000)
    await expect(visitor.toast(OVER)).to_have_count(0)


async def test_the_page_of_a_hold_shows_its_end_with_few_requests(
    visit: Visit, sale: Sale, buyer: Person
) -> None:
    visitor = await visit(person=buyer)
    # By this page's clock the hold is over from the beginning.
    await shift_clock(visitor.page, TTL_S + 1)
    held = str(hold(buyer, sale, "A-1-1").json["reservation_id"])
    asked = reads(visitor.page, held)
    await visitor.open(f"/reservations/{held}")
    await expect(visitor.page.get_by_text("The hold expired before payment")).to_be_visible()
    assert len(asked) <= 3
    await expect(visitor.toast(OVER)).to_have_count(0)


async def test_a_late_list_of_the_previous_user_is_dropped(
    visit: Visit, sale: Sale, buyer: Person, shop: Running
) -> None:
    hold(buyer, sale, "A-1-1")
    visitor = await visit(person=buyer)
    before, let_go = asyncio.Event(), asyncio.Event()

    async def late(route: Route) -> None:
        answer = await route.fetch()
        before.set()
        await let_go.wait()
        await route.fulfill(response=answer)

    await visitor.page.route(f"**{LIST}**", late, times=1)
    await visitor.open()
    await before.wait()
    next_one = sign_up(shop.api)
    session = logged_in(shop.api.url, next_one.email, next_one.api.token)
    (entry,) = session["origins"][0]["localStorage"]
    await visitor.page.evaluate("({ name, value }) => localStorage.setItem(name, value)", entry)
    await visitor.page.evaluate(_RELOAD_LIST)
    token = f"Bearer {next_one.api.token}"
    async with visitor.page.expect_response(
        lambda answer: LIST in answer.url and answer.request.headers.get("authorization") == token
    ) as read:
        let_go.set()
    assert (await (await read.value).json())["items"] == []
    await expect(visitor.page.locator(".hold-bar")).to_be_hidden()
    assert await visitor.page.evaluate("localStorage.getItem('boxoffice.mine')") is None
