"""The waiting list on the pages: switched on in the console, joined, offered, left."""

import pytest
from playwright.async_api import expect

from boxoffice.platform.postgres.database import Database
from boxoffice.settings import Settings
from boxoffice.waiting_list.store import WaitingListStore
from boxoffice.waiting_list.worker import TurnLimits, serve_once
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


async def _serve(shop: Running) -> int:
    """Give the lines their turn, as the role `sweep` does."""
    db = Database(Settings.of(database_url=shop.database_url))
    await db.open()
    try:
        return await serve_once(WaitingListStore(db), TurnLimits(900, 100, 10))
    finally:
        await db.close()


async def test_a_list_is_switched_on_joined_and_offers_seats(
    visit: Visit, seller: Person, buyer: Person, shop: Running, sold_out: tuple[Sale, Person, str]
) -> None:
    sale, holder, reservation = sold_out
    organizer = await visit(person=seller)
    await organizer.open(f"/organizer/schedules/{sale.schedule_id}/queue")
    card = organizer.page.get_by_role("region", name="Waiting list")
    await expect(card).to_contain_text("The waiting list is off.")
    await card.get_by_role("button", name="Switch on").click()
    await expect(card).to_contain_text("The waiting list is on.")

    visitor = await visit(person=buyer)
    page = visitor.page
    await visitor.open_seats(sale)
    card = page.get_by_role("region", name="Tell me when seats return")
    await expect(card).to_be_visible()
    await card.get_by_label("Number of adjacent seats").select_option("2")
    await card.get_by_role("button", name="Join the waiting list").click()
    await expect(card).to_contain_text("You are number 1 in line.")
    assert await troubles(page) == []
    await visitor.open("/me")
    await expect(page.get_by_text("Number 1 in line")).to_be_visible()

    answered(holder.api.call("DELETE", f"/v1/reservations/{reservation}"), 204)
    assert await _serve(shop) == 1
    await visitor.open_seats(sale)
    await expect(card).to_contain_text("Seats are held for you.")
    assert await troubles(page) == []
    await card.get_by_role("link", name="Go to the seats").click()
    await expect(page.get_by_role("button", name="Pay")).to_be_visible()
    await organizer.open(f"/organizer/schedules/{sale.schedule_id}/queue")
    await expect(organizer.page.get_by_role("region", name="Waiting list")).to_contain_text(
        "Offers open"
    )
    assert await troubles(organizer.page) == []


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
