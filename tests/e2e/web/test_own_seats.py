"""The pages know whose seats they show: own ones, the clock to pay, and what is left of a limit."""

import re

import pytest
from playwright.async_api import Locator, expect

from tests.e2e.api.client import PASSWORD, Person, Sale, sign_up
from tests.e2e.api.client import expect as answered
from tests.e2e.api.conftest import Running, hold, on_sale

from .conftest import Visit
from .test_access import PHONE, troubles
from .visitor import Visitor

pytestmark = pytest.mark.asyncio(loop_scope="session")

OWN = re.compile("held for you, waiting to be paid$")
PAID = re.compile("yours, paid$")
# How many pixels of the map have the colour of own seats.
_OWN_PIXELS = """() => {
    const canvas = document.querySelector("canvas.seat-map");
    const own = getComputedStyle(document.documentElement).getPropertyValue("--seat-own").trim();
    const rgb = [1, 3, 5].map((at) => parseInt(own.slice(at, at + 2), 16));
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let found = 0;
    for (let at = 0; at < data.length; at += 4) {
        if (rgb.every((value, part) => data[at + part] === value)) found += 1;
    }
    return found;
}"""


@pytest.fixture
def sale(seller: Person) -> Sale:
    """A concert of 20 seats of which one person may have four."""
    return on_sale(seller, 20, ticket_limit=4)


def reservation(person: Person, sale: Sale, *seats: str) -> str:
    """Hold seats; return the reservation."""
    return str(hold(person, sale, *seats).json["reservation_id"])


def pay(person: Person, reservation_id: str) -> None:
    """Pay a hold."""
    order = {"reservation_id": reservation_id, "method": "wallet"}
    answered(person.api.keyed("/v1/payments", order), 201)


async def test_own_seats_are_told_apart_and_lead_to_their_reservation(
    visit: Visit, sale: Sale, buyer: Person, shop: Running
) -> None:
    pay(buyer, reservation(buyer, sale, "A-1-1"))
    held = reservation(buyer, sale, "A-1-2")
    visitor, stranger = await visit(person=buyer), await visit(person=sign_up(shop.api))
    for one in (visitor, stranger):
        await one.open_seats(sale)
    await expect(visitor.seat("A-1-1")).to_have_attribute("aria-label", PAID)
    await expect(visitor.seat("A-1-2")).to_have_attribute("aria-label", OWN)
    await expect(visitor.seat("A-1-2")).not_to_have_attribute("aria-disabled", "true")
    await expect(visitor.page.locator(".shapes")).to_contain_text("held for you")
    # The control: to other visitors another buyer holds them.
    await expect(stranger.seat("A-1-2")).to_have_attribute(
        "aria-label", re.compile("held by another buyer$")
    )
    assert await visitor.page.evaluate(_OWN_PIXELS) > 100
    assert await stranger.page.evaluate(_OWN_PIXELS) == 0
    await visitor.seat("A-1-2").click()
    await visitor.page.wait_for_url(re.compile(f"/reservations/{held}"))
    await expect(visitor.page.get_by_role("button", name=re.compile("^Pay "))).to_be_visible()


async def test_a_seat_becomes_ones_own_while_one_looks(
    visit: Visit, sale: Sale, buyer: Person
) -> None:
    """Held in another tab, and given back there."""
    visitor = await visit(person=buyer)
    await visitor.open_seats(sale)
    other = await visitor.context.new_page()
    held = reservation(buyer, sale, "A-1-5")
    await other.goto(f"/reservations/{held}")
    await expect(visitor.seat("A-1-5")).to_have_attribute("aria-label", OWN)
    await expect(bar(visitor)).to_contain_text("1 seat is yours")
    await other.get_by_role("button", name="Release the seats").click()
    await expect(visitor.seat("A-1-5")).to_have_attribute("aria-label", re.compile("free$"))
    await expect(bar(visitor)).to_be_hidden()


def bar(visitor: Visitor) -> Locator:
    """The bar with the clock."""
    return visitor.page.locator(".hold-bar")


async def test_a_bar_leads_to_the_payment_from_every_page(
    visit: Visit, sale: Sale, buyer: Person
) -> None:
    held = reservation(buyer, sale, "A-1-1", "A-1-2")
    visitor = await visit(person=buyer)
    # This machine's clock is a year wrong.
    await visitor.page.clock.install(time="2025-01-01T00:00:00Z")
    for path in ("/", f"/concerts/{sale.concert_id}", f"/schedules/{sale.schedule_id}", "/me"):
        await visitor.open(path)
        await expect(bar(visitor)).to_contain_text("2 seats are yours for")
        await expect(bar(visitor).get_by_role("timer")).to_have_text(re.compile(r"^4:\d\d$|^5:00$"))
    await visitor.page.reload()
    await bar(visitor).get_by_role("link", name="Pay now").click()
    await visitor.page.wait_for_url(re.compile(f"/reservations/{held}"))
    await visitor.page.get_by_role("button", name=re.compile("^Pay ")).click()
    await expect(visitor.page.locator("svg.qr")).to_have_count(2)
    await expect(bar(visitor)).to_be_hidden()
    await visitor.open()
    await expect(bar(visitor)).to_be_hidden()


async def test_the_bar_follows_who_is_logged_in(visit: Visit, sale: Sale, buyer: Person) -> None:
    reservation(buyer, sale, "A-1-1")
    reservation(buyer, sale, "A-1-2")
    visitor = await visit(person=buyer)
    await visitor.open("/me")
    await expect(bar(visitor)).to_contain_text("2 seats are yours for")
    await expect(bar(visitor).get_by_role("link", name="2 reservations")).to_be_visible()
    await visitor.button("Log out").click()
    await expect(visitor.link("Log in")).to_be_visible()
    await expect(bar(visitor)).to_be_hidden()
    await visitor.link("Log in").click()
    await visitor.log_in(buyer.email, PASSWORD)
    await expect(bar(visitor)).to_contain_text("2 seats are yours for")


async def test_the_bar_is_not_in_the_console(visit: Visit, sale: Sale, seller: Person) -> None:
    held = reservation(seller, sale, "A-1-1")
    visitor = await visit(person=seller)
    await visitor.open()
    await expect(bar(visitor)).to_be_visible()
    await visitor.link("Console").click()
    await expect(visitor.title("Organizer's console")).to_be_visible()
    await expect(bar(visitor)).to_be_hidden()
    seller.api.delete(f"/v1/reservations/{held}")


async def test_the_picker_offers_no_more_than_the_limit(
    visit: Visit, sale: Sale, buyer: Person
) -> None:
    reservation(buyer, sale, "A-1-1")
    visitor = await visit(person=buyer)
    await visitor.open_seats(sale, "A-2-1", "A-2-2", "A-2-3")
    await expect(visitor.page.get_by_label("How many").locator("option")).to_have_count(3)
    await visitor.seat("A-2-4").click()
    await expect(visitor.toast("You can choose 3 seats at the most.")).to_be_visible()
    await expect(visitor.page.locator(".selected-seats .swatch")).to_have_count(3)


async def test_one_seat_is_one_in_words_too(visit: Visit, sale: Sale, buyer: Person) -> None:
    reservation(buyer, sale, "A-1-1", "A-1-2", "A-1-3")
    visitor = await visit(person=buyer)
    await visitor.open_seats(sale)
    await expect(visitor.page.locator(".selection")).to_contain_text("Choose a seat on the map")
    await visitor.seat("A-2-1").click()
    await visitor.seat("A-2-2").click()
    await expect(visitor.toast("You can choose 1 seat at the most.")).to_be_visible()


async def test_a_limit_of_one_is_one_in_words_too(
    visit: Visit, seller: Person, buyer: Person
) -> None:
    sale = on_sale(seller, 20, ticket_limit=1)
    visitor = await visit(person=buyer, expected=["409"])
    await visitor.open_seats(sale, "A-2-1")
    reservation(buyer, sale, "A-1-1")
    await visitor.button("Hold 1 seat").click()
    dialog = visitor.page.get_by_role("dialog")
    await expect(dialog).to_contain_text("The limit is 1 ticket per person for")


# What has more than one line although a name or a button should not.
_BROKEN = """selector => [...document.querySelectorAll(selector)].filter((one) => {
    const range = document.createRange();
    range.selectNodeContents(one);
    return new Set([...range.getClientRects()].map((box) => Math.round(box.top))).size > 1;
}).map((one) => one.textContent)"""


@pytest.mark.parametrize("width", [360, 860, 1024, 1280])
async def test_no_seat_and_no_button_is_broken_in_two(
    visit: Visit, sale: Sale, buyer: Person, width: int
) -> None:
    reservation(buyer, sale, "A-1-1", "A-1-2")
    visitor = await visit(person=buyer, viewport={"width": width, "height": 800})
    await visitor.open("/me")
    seats = ".row-link .whole"
    await expect(visitor.page.locator(seats)).to_have_count(2)
    assert await visitor.page.evaluate(_BROKEN, seats) == []
    assert await visitor.overflow_px() <= 0
    await visitor.open(f"/concerts/{sale.concert_id}")
    await expect(visitor.page.locator(".schedule .button")).to_have_text("Choose seats")
    assert await visitor.page.evaluate(_BROKEN, ".schedule .button") == []


async def test_who_has_all_is_told_so_and_led_there(
    visit: Visit, sale: Sale, buyer: Person
) -> None:
    pay(buyer, reservation(buyer, sale, "A-1-1", "A-1-2"))
    reservation(buyer, sale, "A-1-3", "A-1-4")
    visitor = await visit(person=buyer)
    await visitor.open_seats(sale)
    await expect(visitor.page.locator(".selection")).to_contain_text(
        "You have 4 tickets, the limit"
    )
    await expect(visitor.button("Hold the best seats")).to_be_hidden()
    await visitor.page.locator(".selection").get_by_role("link", name="Show my seats").click()
    await expect(visitor.page.locator(".two-columns .rows").first.locator("li")).to_have_count(2)
    await visitor.link("Show all").click()
    await expect(visitor.link("Show all")).to_be_hidden()


async def test_a_limit_that_the_page_did_not_know_says_its_number(
    visit: Visit, sale: Sale, buyer: Person
) -> None:
    visitor = await visit(person=buyer, expected=["409"])
    await visitor.open_seats(sale, "A-2-1", "A-2-2")
    # Meanwhile, on another device.
    pay(buyer, reservation(buyer, sale, "A-1-1", "A-1-2", "A-1-3"))
    await visitor.button("Hold 2 seats").click()
    dialog = visitor.page.get_by_role("dialog")
    await expect(dialog).to_contain_text("The limit is 4 tickets per person")
    await expect(dialog).to_contain_text("You have 3")
    # One is left, and so one stays chosen.
    await expect(visitor.page.locator(".selected-seats .swatch")).to_have_count(1)
    await dialog.get_by_role("link", name="Show my seats").click()
    await visitor.page.wait_for_url(re.compile(rf"/me\?schedule={sale.schedule_id}"))
    await expect(visitor.page.get_by_role("dialog")).to_have_count(0)
    await expect(visitor.page.locator(".rows").first).to_contain_text("paid")


@pytest.mark.parametrize("locale", ["en-US", "ko-KR"])
async def test_the_bar_covers_nothing_on_a_phone(
    visit: Visit, sale: Sale, buyer: Person, locale: str
) -> None:
    held = reservation(buyer, sale, "A-1-1")
    visitor = await visit(person=buyer, viewport=PHONE, locale=locale)
    for path in ("/", f"/schedules/{sale.schedule_id}", f"/reservations/{held}"):
        await visitor.open(path)
        await expect(bar(visitor)).to_be_visible()
        assert await visitor.overflow_px() <= 0, path
        below = await visitor.page.locator("main").bounding_box()
        above = await bar(visitor).bounding_box()
        assert above
        assert below
        assert above["height"] < 72
        assert below["y"] >= above["y"] + above["height"]
        assert await troubles(visitor.page) == [], path
