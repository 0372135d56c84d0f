"""The waiting list on the pages: switched on in the console, joined, left."""

import pytest
from playwright.async_api import expect

from tests.e2e.api.client import Person, Sale
from tests.e2e.api.client import expect as answered
from tests.e2e.api.conftest import Running, hold, on_sale, rich

from .conftest import Visit
from .test_access import PHONE, troubles

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def sold_out(seller: Person, shop: Running) -> tuple[Sale, Person, str]:
    """Two seats that one person holds, without a waiting list so far."""
    sale, holder = on_sale(seller, 2), rich(shop.api)
    return sale, holder, hold(holder, sale, *sale.seat_ids).json["reservation_id"]


async def test_an_organizer_switches_a_list_on(
    visit: Visit, seller: Person, sold_out: tuple[Sale, Person, str]
) -> None:
    sale = sold_out[0]
    organizer = await visit(person=seller)
    await organizer.open(f"/organizer/schedules/{sale.schedule_id}/queue")
    card = organizer.page.get_by_role("region", name="Waiting list")
    await expect(card).to_contain_text("The waiting list is off.")
    await card.get_by_role("button", name="Switch on").click()
    await expect(card).to_contain_text("The waiting list is on.")


async def test_the_card_fits_on_a_phone_in_korean_and_is_left(
    visit: Visit, seller: Person, buyer: Person, sold_out: tuple[Sale, Person, str]
) -> None:
    sale = sold_out[0]
    path = f"/v1/admin/schedules/{sale.schedule_id}/waiting-list"
    answered(seller.api.call("PUT", path, json_body={"is_on": True}), 200)
    visitor = await visit(person=buyer, viewport=PHONE, locale="ko-KR")
    page = visitor.page
    await visitor.open(f"/schedules/{sale.schedule_id}")
    card = page.get_by_role("region", name="취소표 알림 신청")
    await card.get_by_role("button", name="대기 신청").click()
    await expect(card).to_contain_text("현재 대기 순서는 1번입니다.")
    assert await visitor.overflow_px() == 0
    assert await troubles(page) == []
    await visitor.open("/me")
    await page.get_by_role("button", name="대기 취소").click()
    await expect(page.locator(".chip", has_text="대기 취소")).to_be_visible()
    assert await visitor.overflow_px() == 0
