"""Offers on the pages: what a buyer reads before the purchase, chooses and pays."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import expect

from tests.e2e.api.client import Person, Sale
from tests.e2e.api.client import expect as answered
from tests.e2e.api.conftest import on_sale

from .conftest import Visit
from .test_access import PHONE, troubles

pytestmark = pytest.mark.asyncio(loop_scope="session")

YOUTH = {
    "code": "youth",
    "name": "Youth",
    "name_ko": "청소년",
    "percent_off": 50,
    "note": "Bring a student card.",
    "note_ko": "학생증을 가져오세요.",
}


@pytest.fixture
def presale(seller: Person) -> Sale:
    """Twenty seats in a presale: price types, a fee, a pair of seats, and one behind a pillar."""
    sale = on_sale(seller, 20, ticket_limit=4)
    path = f"/v1/admin/schedules/{sale.schedule_id}/offers"
    terms = {
        "public_from": (datetime.now(UTC) + timedelta(hours=2)).isoformat(),
        "booking_fee": 1_000,
        "price_types": [YOUTH],
    }
    answered(seller.api.call("PUT", path, json_body=terms, headers={"If-Match": '"0"'}), 200)
    seats = {
        "pairs": [{"accessible": "A-1-1", "companion": "A-1-2"}],
        "notes": [{"note": "Behind a pillar", "note_ko": "기둥 뒤", "seat_ids": ["A-1-3"]}],
    }
    first = {"If-Match": '"1"'}
    answered(seller.api.call("PUT", f"{path}/seats", json_body=seats, headers=first), 200)
    code = {"name": "Fan club", "code": "FANCLUB", "is_presale": True, "percent_off": 10}
    answered(seller.api.keyed(f"{path}/codes", code), 201)
    return sale


async def test_a_buyer_reads_chooses_and_holds_at_the_price_that_was_shown(
    visit: Visit, presale: Sale, buyer: Person
) -> None:
    visitor = await visit(person=buyer, expected=["409"])
    page = visitor.page
    await visitor.open_seats(presale)
    await expect(page.get_by_text("seats are sold with a presale code only")).to_be_visible()
    await expect(visitor.seat("A-1-3")).to_have_attribute(
        "aria-label", re.compile("Behind a pillar$")
    )
    await visitor.seat("A-1-3").click()
    await visitor.seat("A-1-1").click()
    # The companion's seat is selected with the accessible one.
    await expect(visitor.seat("A-1-2")).to_have_attribute("aria-pressed", "true")
    panel = page.get_by_role("region", name="Your choice")
    await expect(panel).to_contain_text("Behind a pillar")
    await expect(panel).to_contain_text("Companion seat, sold with the accessible seat")
    await panel.get_by_role("combobox").first.select_option("youth")
    await expect(panel).to_contain_text("Bring a student card.")
    await expect(panel.locator(".total")).to_have_text("₩278,000 Booking fee ₩3,000")

    await visitor.button("Hold 3 seats").click()
    await expect(page.get_by_text("This is a presale: enter the code")).to_be_visible()
    code = page.get_by_label("Presale or discount code")
    await code.fill("WRONG")
    await visitor.button("Apply").click()
    await expect(page.get_by_text("This code is not valid here.")).to_be_visible()
    await code.fill("fan-club")
    await visitor.button("Apply").click()
    await expect(page.get_by_text("“Fan club” applies to this order. 10 % off")).to_be_visible()
    await expect(panel.locator(".total")).to_have_text("₩250,500 Booking fee ₩3,000")
    assert await troubles(page) == []

    await visitor.button("Hold 3 seats").click()
    table = page.locator(".lines").locator("..")
    await expect(table).to_contain_text("Youth")
    await expect(table).to_contain_text("-₩27,500")
    await expect(table).to_contain_text("₩250,500")
    assert await troubles(page) == []


async def test_the_offers_fit_on_a_phone_in_korean(
    visit: Visit, presale: Sale, buyer: Person
) -> None:
    visitor = await visit(person=buyer, viewport=PHONE, locale="ko-KR")
    page = visitor.page
    await visitor.open(f"/schedules/{presale.schedule_id}?code=FANCLUB")
    await expect(page.get_by_label("선예매 또는 할인 코드")).to_have_value("FANCLUB")
    await page.get_by_role("button", name="적용", exact=True).click()
    await expect(page.get_by_text("‘Fan club’ 코드가 적용되었습니다.")).to_be_visible()
    await page.locator("summary").first.click()
    await page.locator("button.seat").nth(2).click()
    await expect(page.locator(".selected-seats")).to_contain_text("기둥 뒤")
    assert await visitor.overflow_px() == 0
    assert await troubles(page) == []
