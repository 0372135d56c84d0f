"""Seats after the opening, guests and the box office, in a real browser beside a buyer's map."""

import os
import re
from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from tests.e2e.api.client import Person
from tests.e2e.api.client import expect as answered
from tests.e2e.api.conftest import on_sale
from tests.e2e.web.conftest import Visit
from tests.e2e.web.visitor import Visitor

from .conftest import Enter

pytestmark = pytest.mark.asyncio(loop_scope="session")

PHONE = {"width": 360, "height": 740}
WIDE = {"width": 1280, "height": 900}
_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


async def accept(visitor: Visitor, name: str) -> None:
    """Press the button of the dialog."""
    dialog = visitor.page.get_by_role("dialog")
    await dialog.get_by_role("button", name=name).click()
    await expect(dialog).to_have_count(0)


async def select(page: Page, ids: str) -> None:
    """Select seats by their ids."""
    await page.get_by_text("Select by seat ids").click()
    await page.get_by_label("Seat ids").fill(ids)
    await page.get_by_role("button", name="Add these seats").click()


async def check(page: Page) -> None:
    """Nothing that a screen reader would stumble over."""
    found = await Axe().run(page, options={"runOnly": {"type": "tag", "values": _TAGS}})
    assert not found.response["violations"], found.generate_report()


async def keep(page: Page, name: str) -> None:
    """Take a picture where `BOXOFFICE_TEST_SCREENSHOTS` names a folder."""
    if folder := os.environ.get("BOXOFFICE_TEST_SCREENSHOTS"):
        await page.screenshot(path=Path(folder) / f"inventory-{name}.png", full_page=True)


async def test_a_buyer_sees_blocked_and_cheaper_seats_at_once(
    visit: Visit, enter: Enter, organizer: Person
) -> None:
    sale = on_sale(organizer, 12)
    buyer = await visit(viewport=WIDE)
    await buyer.open(f"/schedules/{sale.schedule_id}")
    await expect(buyer.page.locator(".live-note[data-state=live]")).to_be_visible()
    visitor = await enter(
        organizer, f"/organizer/schedules/{sale.schedule_id}/seats", viewport=WIDE
    )
    page = visitor.page
    await select(page, "A-1-1 A-1-2")
    await page.get_by_label("Reason").select_option("camera")
    await page.get_by_label("Note").fill("Crane")
    await visitor.button("Block").click()
    await accept(visitor, "Block")
    await expect(page.get_by_role("heading", name="2 blocked seats")).to_be_visible()
    vip = buyer.page.locator(".grade-chip", has_text="VIP")
    await expect(vip).to_contain_text("4 left", timeout=1_000)
    await check(page)
    await keep(page, "seats-en")

    await page.get_by_role("button", name="Add to the selection").click()
    await expect(page.get_by_text("12 seats selected").first).to_be_visible()
    await page.get_by_label(re.compile("New price")).fill("777")
    await page.get_by_role("button", name="Change").click()
    await accept(visitor, "Change")
    await expect(vip).to_contain_text("777", timeout=3_000)


async def test_a_guest_is_invited_and_uninvited(enter: Enter, organizer: Person) -> None:
    sale = on_sale(organizer, 12)
    visitor = await enter(
        organizer, f"/organizer/schedules/{sale.schedule_id}/guests", viewport=WIDE
    )
    page = visitor.page
    await check(page)
    await keep(page, "guests-en")
    await select(page, "A-1-3")
    await page.get_by_label("Name of the guest").fill("Ms <b>Guest</b>")
    await page.get_by_label("Guest list").fill("Press")
    await visitor.button("Issue the tickets").click()
    await expect(visitor.heading("Ms <b>Guest</b>")).to_be_visible()
    await expect(page.locator(".ticket-code svg")).to_have_count(1)
    await keep(page, "issue-en")
    await visitor.button("Make void").click()
    await accept(visitor, "Make void")
    await expect(page.get_by_text("have been void")).to_be_visible()
    await page.get_by_role("link", name="Next guest").click()
    await expect(page.get_by_text("Void", exact=True)).to_be_visible()


async def test_seats_are_sold_at_the_counter(enter: Enter, organizer: Person) -> None:
    sale = on_sale(organizer, 12)
    path = f"/organizer/schedules/{sale.schedule_id}/box-office"
    visitor = await enter(organizer, path, viewport={"width": 820, "height": 1180})
    page = visitor.page
    await select(page, "A-1-1,A-1-2")
    await check(page)
    await keep(page, "box-office-tablet-en")
    await visitor.button("Cash").click()
    await page.get_by_role("dialog").get_by_role("button", name=re.compile("received")).click()
    await expect(page.locator(".ticket-code svg")).to_have_count(2)
    counts = answered(organizer.api.get(f"/v1/admin/schedules/{sale.schedule_id}/stats"), 200)
    assert counts.json["seats"]["sold"] == 2
    assert counts.json["sales"] == 1


@pytest.mark.parametrize("part", ["seats", "guests", "box-office"])
async def test_the_pages_fit_a_phone_in_korean(enter: Enter, organizer: Person, part: str) -> None:
    sale = on_sale(organizer, 12)
    path = f"/organizer/schedules/{sale.schedule_id}/{part}"
    visitor = await enter(organizer, path, viewport=PHONE, locale="ko-KR")
    await expect(visitor.page.locator(".seat-map")).to_be_visible()
    await check(visitor.page)
    width = await visitor.page.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["width"]
    await keep(visitor.page, f"{part}-ko")
