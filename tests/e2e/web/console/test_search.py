"""The search of orders by keyboard, and the order number from a buyer's page to the order."""

import os
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.e2e.api.client import Person, sign_up
from tests.e2e.api.client import expect as answered
from tests.e2e.api.conftest import Running, hold, on_sale
from tests.e2e.web.console.conftest import Enter

pytestmark = pytest.mark.asyncio(loop_scope="session")

_SHOTS = os.environ.get("SEARCH_SCREENSHOTS", "")
DESKTOP = {"locale": "en-US", "viewport": {"width": 1280, "height": 800}}
PHONE = {"locale": "ko-KR", "viewport": {"width": 360, "height": 740}}


async def shot(page: Page, name: str) -> None:
    """Keep a screenshot where a folder for them is named."""
    if _SHOTS:
        await page.screenshot(path=Path(_SHOTS) / f"{name}.png", full_page=True)


async def _look_as_buyer(enter: Enter, buyer: Person, reservation_id: str, number: str) -> None:
    mine = await enter(buyer, f"/reservations/{reservation_id}", **PHONE)
    await expect(mine.page.locator(".reservation-head")).to_contain_text(number)
    await expect(mine.page.locator(".ticket").first).to_contain_text(number)
    await shot(mine.page, "reservation-phone")
    await mine.page.goto("/me")
    await expect(mine.page.get_by_text(number).first).to_be_visible()
    await shot(mine.page, "me-phone")


async def test_an_order_is_found_by_its_number_and_by_a_name_with_a_typo(
    enter: Enter, shop: Running, organizer: Person
) -> None:
    buyer, sale = sign_up(shop.api, "Theodora Quillfeather"), on_sale(organizer, 8)
    answered(buyer.api.keyed("/v1/me/wallet/top-ups", {"amount": 1_000_000}), 201)
    order = {"reservation_id": hold(buyer, sale, "A-1-3", "A-1-4").json["reservation_id"]}
    paid = answered(buyer.api.keyed("/v1/payments", {**order, "method": "wallet"}), 201).json
    number = paid["order_number"]

    await _look_as_buyer(enter, buyer, order["reservation_id"], number)
    office = await enter(organizer, "/organizer", **DESKTOP)
    page = office.page
    field = page.get_by_role("searchbox")
    await expect(field).to_be_visible()
    await shot(page, "home-desktop")
    await page.keyboard.press("/")
    await expect(field).to_be_focused()
    await page.keyboard.type(number.replace("-", " ").lower())
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Search orders")).to_be_visible()
    said = page.locator("main .found")
    await expect(said).to_have_text("1 order")
    await expect(page.locator("a.row-link")).to_contain_text(["Theodora Quillfeather"])
    await expect(field).to_be_focused()

    await field.fill("quilfeather")
    await page.keyboard.press("Enter")
    await expect(said).to_contain_text("1 order is similar")
    await shot(page, "search-desktop")
    await expect(field).to_be_focused()
    await page.keyboard.press("ArrowDown")
    await expect(page.locator("a.row-link")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(field).to_be_focused()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/organizer/reservations/*")
    await expect(page.locator(".definitions")).to_contain_text(number)
    await shot(page, "order-desktop")
    await page.go_back()
    await expect(page.locator("a.row-link")).to_contain_text([number])
    await page.goto(f"/organizer/payments?order_number={number.lower()}")
    await expect(page.locator("tbody tr")).to_have_count(1)
    await shot(page, "payments-desktop")
    await page.goto(f"/organizer/schedules/{sale.schedule_id}/reservations?order_number={number}")
    await expect(page.locator("tbody tr")).to_have_count(1)
    await shot(page, "reservations-desktop")

    phone = await enter(organizer, "/organizer/search?q=A-1-3", **PHONE)
    await expect(phone.page.locator("a.row-link").first).to_be_visible()
    await shot(phone.page, "search-phone")
    await phone.page.get_by_role("searchbox").fill("zzyzx")
    await phone.page.keyboard.press("Enter")
    said = phone.page.locator("main .found")
    await expect(said).to_have_text("“zzyzx” 검색 결과가 없습니다.")
    await shot(phone.page, "nothing-phone")
