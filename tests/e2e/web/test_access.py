"""Accessible pages: by keyboard alone, on a narrow screen, in the dark, in both languages."""

import re
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from tests.e2e.api.client import Person, Sale
from tests.e2e.api.client import expect as answered
from tests.e2e.api.conftest import on_sale

from .conftest import Visit

pytestmark = pytest.mark.asyncio(loop_scope="session")

PHONE = {"width": 360, "height": 740}
_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
_WEIGHTY = {"serious", "critical"}


@pytest.fixture(scope="module")
def sale(seller: Person) -> Sale:
    """A concert of 40 seats: section A, rows of ten."""
    return on_sale(seller, 40)


async def troubles(page: Page) -> list[str]:
    """What axe finds that is serious or worse, by rule and element."""
    found: Any = await Axe().run(page, options={"runOnly": {"type": "tag", "values": _TAGS}})
    return [
        f"{violation['id']}: {node['html'][:120]}"
        for violation in found.response["violations"]
        if violation["impact"] in _WEIGHTY
        for node in violation["nodes"]
    ]


@pytest.mark.parametrize(
    ("locale", "scheme", "viewport"),
    [
        ("en-US", "light", {"width": 1280, "height": 900}),
        ("ko-KR", "light", PHONE),
        ("en-US", "dark", PHONE),
        ("ko-KR", "dark", {"width": 1280, "height": 900}),
    ],
    ids=["english-light-wide", "korean-light-phone", "english-dark-phone", "korean-dark-wide"],
)
async def test_every_page_is_accessible_and_fits(
    visit: Visit,
    sale: Sale,
    buyer: Person,
    locale: str,
    scheme: str,
    viewport: dict[str, int],
) -> None:
    held, paid = hold_any(buyer, sale), hold_any(buyer, sale)
    order = {"reservation_id": paid, "method": "wallet"}
    answered(buyer.api.keyed("/v1/payments", order), 201)
    visitor = await visit(
        person=buyer, locale=locale, color_scheme=scheme, viewport=viewport, expected=["404", "409"]
    )
    paths = [
        "/",
        f"/concerts/{sale.concert_id}",
        f"/schedules/{sale.schedule_id}",
        f"/schedules/{sale.schedule_id}/queue",
        f"/reservations/{held}",
        f"/reservations/{paid}",
        "/me",
        "/login",
        "/signup",
        "/concerts/01890000-0000-7000-8000-000000000000",
    ]
    for path in paths:
        await visitor.open(path)
        for summary in await visitor.page.locator("summary").all():
            await summary.click()
        assert await visitor.overflow_px() <= 0, path
        assert await troubles(visitor.page) == [], path


def hold_any(person: Person, sale: Sale) -> str:
    """Hold the best seat that is left; return the reservation."""
    held = answered(person.api.keyed(sale.holds, {"quantity": 1}), 201)
    return str(held.json["reservation_id"])


async def test_axe_does_find_what_is_wrong(visit: Visit) -> None:
    visitor = await visit()
    await visitor.open()
    await visitor.page.evaluate(
        "document.querySelector('main').append(document.createElement('button'))"
    )
    assert any(line.startswith("button-name") for line in await troubles(visitor.page))


async def focus(page: Page, name: str, key: str = "Tab") -> None:
    """Go on by `key` until what is called `name` has the focus."""
    told = """() => {
        const at = document.activeElement;
        return at.getAttribute('aria-label') ?? at.innerText ?? '';
    }"""
    for _ in range(80):
        if re.search(name, await page.evaluate(told)):
            return
        await page.keyboard.press(key)
    pytest.fail(f"the keyboard does not get to {name}")


async def test_by_keyboard_alone(visit: Visit, sale: Sale, buyer: Person) -> None:
    visitor = await visit(person=buyer)
    page = visitor.page
    await visitor.open(f"/concerts/{sale.concert_id}")
    await focus(page, "^Choose seats")
    await page.keyboard.press("Enter")
    await expect(page.locator("canvas.seat-map")).to_be_visible()
    await focus(page, "^Seat map")
    # The first free seat, one to the right, one row back.
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "Enter"):
        await page.keyboard.press(key)
    await expect(page.locator(".selected-seats li")).to_have_count(1)
    await expect(page.locator(".selected-seats li")).to_contain_text(re.compile(r"row 2, seat \d+"))
    await focus(page, "^Hold 1 seat")
    await page.keyboard.press("Enter")
    await expect(page.locator(".big-clock")).to_be_visible()
    await focus(page, "^Pay ")
    await page.keyboard.press("Space")
    await expect(page.locator("svg.qr")).to_have_count(1)


async def test_by_finger_on_a_phone(visit: Visit, sale: Sale, buyer: Person) -> None:
    visitor = await visit(person=buyer, viewport=PHONE, has_touch=True, is_mobile=True)
    page = visitor.page
    await visitor.open(f"/schedules/{sale.schedule_id}")
    box = await page.locator("canvas.seat-map").bounding_box()
    assert box is not None
    for row in range(12):
        # The first tap only looks closer.
        await page.touchscreen.tap(
            box["x"] + box["width"] / 2, box["y"] + box["height"] / 2 + row * 12
        )
        if await page.locator(".selected-seats .swatch").count():
            break
    await page.locator(".selection .button.primary").tap()
    await expect(page.locator(".big-clock")).to_be_visible()
    assert await visitor.overflow_px() <= 0
    for button in await page.locator("main .button").all():
        size = await button.bounding_box()
        assert size is not None
        assert size["height"] >= 44
