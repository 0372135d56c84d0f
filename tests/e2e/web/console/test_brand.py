"""A brand from the console to what buyers see: the concert page, the payment, the ticket, the terms."""

import re

import pytest
from playwright.async_api import FilePayload, expect

from tests.e2e.api.client import Person
from tests.e2e.api.conftest import Running, hold, make_organizer, on_sale
from tests.e2e.web.conftest import Visit
from tests.e2e.web.console.conftest import Enter
from tests.unit.posters.pictures import picture

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture(scope="module")
def owner(shop: Running) -> Person:
    """The owner of an organization whose brand is not set."""
    return make_organizer(shop)


async def test_what_an_owner_sets_is_what_buyers_see(
    enter: Enter, visit: Visit, owner: Person, buyer: Person
) -> None:
    sale = on_sale(owner, 6)
    console = await enter(owner, "/organizer/brand")
    page = console.page
    await page.get_by_label("Choose the colour").fill("#112233")
    # What is typed after the choice stays when the page is drawn again with the logo.
    await page.get_by_label("Accent colour").fill("#ffe100")
    logo = FilePayload(name="logo.png", mimeType="image/png", buffer=picture(400, 120, "PNG"))
    await page.get_by_label("Picture").set_input_files(files=[logo])
    await expect(console.toast("The logo is set.")).to_be_visible()
    await expect(page.locator("section .button.danger")).to_be_visible()
    await page.get_by_label("Name in Korean").fill("봄 공연 기획")
    await page.get_by_label("Terms and conditions (Markdown)").fill("### Entry\n\nBring **this**.")
    await console.button("Save").first.click()
    await expect(console.toast("Saved.")).to_be_visible()
    light = page.locator(".brand-preview.light .brand-button")
    await expect(light).not_to_have_css("background-color", "rgb(255, 225, 0)")
    dark = page.locator(".brand-preview.dark .brand-button")
    await expect(dark).to_have_css("background-color", "rgb(255, 225, 0)")

    shopper = await visit(person=buyer, locale="ko-KR", viewport={"width": 360, "height": 740})
    await shopper.open(f"/concerts/{sale.concert_id}")
    page = shopper.page
    organizer = page.get_by_role("region", name="주최")
    await expect(organizer.get_by_text("봄 공연 기획")).to_be_visible()
    image = organizer.locator(".logo img")
    await expect(image).to_have_js_property("complete", True)
    assert await image.evaluate("one => one.naturalWidth") == 400
    choose = page.get_by_role("link", name=re.compile("좌석 선택"))
    await expect(choose).not_to_have_css("background-color", "rgb(11, 110, 105)")
    assert await shopper.overflow_px() == 0
    await organizer.get_by_role("link", name="이용 약관").click()
    await expect(shopper.title("이용 약관")).to_be_visible()
    await expect(page.get_by_role("heading", name="Entry")).to_be_visible()

    reservation = hold(buyer, sale, "A-1-1").json["reservation_id"]
    await shopper.open(f"/reservations/{reservation}")
    await expect(page.get_by_text("봄 공연 기획의 약관에 동의")).to_be_visible()
    await page.get_by_text("약관 보기").click()
    await expect(page.locator(".terms-text strong")).to_have_text("this")
    await page.get_by_role("button", name=re.compile("결제")).click()
    await expect(page.locator(".ticket .seller")).to_have_text("봄 공연 기획")
    assert await shopper.overflow_px() == 0
