"""A buyer cancels tickets: the quote, the confirmation, and where the money goes."""

import re

import pytest
from playwright.async_api import expect

from tests.e2e.api.client import Person, Sale
from tests.e2e.api.client import expect as answered
from tests.e2e.api.conftest import on_sale

from .conftest import Visit
from .visitor import Visitor

pytestmark = pytest.mark.asyncio(loop_scope="session")

PRICE = 110_000
PHONE = {"width": 360, "height": 740}


@pytest.fixture
def sale(seller: Person) -> Sale:
    """A concert of 20 seats: section A, rows of ten."""
    return on_sale(seller, 20)


def balance(person: Person) -> int:
    """The balance of a user's wallet, in minor units."""
    return int(answered(person.api.get("/v1/me/wallet"), 200).json["balance"])


def paid(buyer: Person, sale: Sale) -> str:
    """Pay two seats from the wallet; return the reservation."""
    held = answered(buyer.api.keyed(sale.holds, {"seat_ids": ["A-1-1", "A-1-2"]}), 201).json
    order = {"reservation_id": held["reservation_id"], "method": "wallet"}
    answered(buyer.api.keyed("/v1/payments", order), 201)
    return str(held["reservation_id"])


async def choose_first(visitor: Visitor, reservation: str) -> None:
    """Open the cancellation of a reservation and choose its first ticket."""
    await visitor.open(f"/reservations/{reservation}")
    await expect(visitor.page.locator("svg.qr")).to_have_count(2)
    await visitor.page.locator(".refund summary").click()
    await visitor.page.locator(".refund").get_by_role("checkbox").first.check()


async def test_one_of_two_tickets_is_cancelled(visit: Visit, sale: Sale, buyer: Person) -> None:
    reservation = paid(buyer, sale)
    before = balance(buyer)
    visitor = await visit(person=buyer)
    page = visitor.page
    await choose_first(visitor, reservation)
    await expect(page.locator(".refund").get_by_text("₩110,000")).to_be_visible()
    await visitor.button("Cancel 1 ticket").click()
    await page.get_by_role("dialog").get_by_role("button", name="Cancel 1 ticket").click()
    await expect(page.locator("svg.qr")).to_have_count(1)
    # The choice of the first ticket is not that of the second, which has its place now.
    await expect(page.locator(".refund input:checked")).to_have_count(0)
    await expect(page.locator(".refund")).not_to_have_attribute("open", "")
    await expect(page.get_by_text("Paid back: Wallet")).to_be_visible()
    assert balance(buyer) == before + PRICE
    await visitor.open("/me")
    await expect(visitor.heading("Payments and refunds")).to_be_visible()
    await expect(page.get_by_text("Paid back: Wallet")).to_be_visible()
    await visitor.open(f"/schedules/{sale.schedule_id}")
    await visitor.unfold()
    await expect(visitor.seat("A-1-1")).to_have_attribute("aria-label", re.compile("free$"))


async def test_a_buyer_who_hesitates_keeps_the_tickets(
    visit: Visit, sale: Sale, buyer: Person
) -> None:
    reservation = paid(buyer, sale)
    visitor = await visit(person=buyer)
    await choose_first(visitor, reservation)
    await visitor.button("Cancel 1 ticket").click()
    await visitor.button("Keep my tickets").click()
    await visitor.page.reload()
    await expect(visitor.page.locator("svg.qr")).to_have_count(2)


async def test_all_tickets_are_cancelled_on_a_phone_in_korean(
    visit: Visit, sale: Sale, buyer: Person
) -> None:
    reservation = paid(buyer, sale)
    before = balance(buyer)
    visitor = await visit(person=buyer, locale="ko-KR", viewport=PHONE)
    page = visitor.page
    await choose_first(visitor, reservation)
    await page.locator(".refund").get_by_role("checkbox").last.check()
    await expect(page.locator(".refund").get_by_text("₩220,000")).to_be_visible()
    assert await visitor.overflow_px() == 0
    await visitor.button("2장 취소하기").click()
    assert await visitor.overflow_px() == 0
    await page.get_by_role("dialog").get_by_role("button", name="2장 취소하기").click()
    await expect(page.get_by_text("이 결제의 모든 티켓이 취소되었습니다.")).to_be_visible()
    assert await visitor.overflow_px() == 0
    assert balance(buyer) == before + 2 * PRICE
