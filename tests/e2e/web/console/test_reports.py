"""Reports, attendees and their files in a real browser, and a report chosen by mail."""

import asyncio
import io
import os
import re
from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from openpyxl import load_workbook
from playwright.async_api import Page, expect

from tests.e2e.api.client import Person, Sale
from tests.e2e.api.client import expect as answered
from tests.e2e.api.conftest import Running, hold, make_organizer, on_sale

from .conftest import Enter

pytestmark = pytest.mark.asyncio(loop_scope="session")

PHONE = {"width": 360, "height": 740}
WIDE = {"width": 1280, "height": 900}
_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


@pytest.fixture(scope="module")
def seller(shop: Running) -> Person:
    """An organizer with nothing but the sale of this module."""
    return make_organizer(shop)


@pytest.fixture(scope="module")
def sold(seller: Person, guest: Person) -> Sale:
    """A sale of three tickets to a buyer, and a complimentary one."""
    sale = on_sale(seller, 12)
    for seats in (("A-1-1", "A-1-2"), ("A-1-5",)):
        held = hold(guest, sale, *seats).json["reservation_id"]
        answered(guest.api.keyed("/v1/payments", {"reservation_id": held, "method": "wallet"}), 201)
    gift = {"seat_ids": ["A-1-3"], "name": "=Guest", "reason": "press"}
    path = f"/v1/admin/schedules/{sale.schedule_id}/complimentary-tickets"
    answered(seller.api.keyed(path, gift), 201)
    return sale


async def check(page: Page) -> None:
    """Nothing that a screen reader would stumble over."""
    found = await Axe().run(page, options={"runOnly": {"type": "tag", "values": _TAGS}})
    assert not found.response["violations"], found.generate_report()


async def keep(page: Page, name: str) -> None:
    """Take a picture where `BOXOFFICE_TEST_SCREENSHOTS` names a folder."""
    if folder := os.environ.get("BOXOFFICE_TEST_SCREENSHOTS"):
        await page.screenshot(path=Path(folder) / f"reports-{name}.png", full_page=True)


async def saved(page: Page, button: str) -> bytes:
    """Press a button that saves a file; return what it contains."""
    async with page.expect_download() as waiting:
        await page.get_by_role("button", name=button).click()
    path = await (await waiting.value).path()
    return await asyncio.to_thread(path.read_bytes)


async def test_a_report_is_read_grouped_and_saved(enter: Enter, seller: Person, sold: Sale) -> None:
    visitor = await enter(seller, "/organizer/reports", viewport=WIDE, locale="en-US")
    page = visitor.page
    total = page.get_by_role("row", name=re.compile("^Total"))
    await expect(total).to_contain_text("3")
    await expect(page.get_by_role("figure")).to_have_count(2)
    await check(page)
    await keep(page, "sales-en")
    await page.get_by_label("Rows").select_option("channel")
    await page.get_by_role("button", name="Show").click()
    await expect(page.get_by_role("cell", name="Online")).to_be_visible()
    await expect(page.get_by_role("cell", name="Complimentary").first).to_be_visible()
    text = (await saved(page, "CSV")).decode("utf-8-sig")
    assert text.startswith("day,concert,")
    assert len(text.splitlines()) >= 3
    await page.get_by_role("link", name="Settlement").click()
    await expect(page.get_by_text("Owed now").first).to_be_visible()
    await check(page)
    await keep(page, "settlement-en")
    sheet = load_workbook(io.BytesIO(await saved(page, "Excel"))).active
    assert [cell.value for cell in sheet[1]][:2] == ["concert", "starts_at"]
    assert sheet.max_row == 2
    assert sold.schedule_id


async def test_a_report_is_chosen_by_mail(enter: Enter, seller: Person, sold: Sale) -> None:
    visitor = await enter(seller, "/organizer/reports", viewport=PHONE, locale="ko-KR")
    page = visitor.page
    await keep(page, "sales-ko")
    await page.get_by_text("메일로 받기").click()
    await page.get_by_label("주기").select_option("weekly")
    await page.get_by_role("button", name="저장").click()
    await expect(page.get_by_text("다음 메일:")).to_be_visible()
    await check(page)
    await keep(page, "mail-ko")
    path = f"/v1/admin/organizations/{seller.user_id}/report-mails"
    [chosen] = answered(seller.api.get(path), 200).json["items"]
    assert (chosen["report"], chosen["frequency"]) == ("sales", "weekly")
    await page.goto(f"/organizer/schedules/{sold.schedule_id}/report?report=settlement")
    await expect(page.get_by_text("현재 잔액").first).to_be_visible()
    await keep(page, "settlement-ko")


async def test_attendees_are_listed_and_saved(enter: Enter, seller: Person, sold: Sale) -> None:
    path = f"/organizer/schedules/{sold.schedule_id}/attendees"
    visitor = await enter(seller, path, viewport=WIDE, locale="en-US")
    page = visitor.page
    await expect(page.get_by_role("row")).to_have_count(5)
    await check(page)
    await keep(page, "attendees-en")
    text = (await saved(page, "CSV")).decode("utf-8-sig")
    assert len(text.splitlines()) == 5
    assert "'=Guest" in text
    await page.set_viewport_size({"width": 360, "height": 740})
    await page.get_by_role("button", name="한국어").click()
    await expect(page.get_by_role("heading", name="관람객 명단")).to_be_visible()
    await check(page)
    await keep(page, "attendees-ko")
