"""The offers of a schedule in the console: terms, codes that are shown once, and notes about seats."""

import pytest
from playwright.async_api import expect

from tests.e2e.api.client import Person
from tests.e2e.api.client import expect as answered
from tests.e2e.api.conftest import on_sale
from tests.e2e.web.conftest import Visit

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_an_organizer_sets_prices_makes_codes_and_describes_seats(
    visit: Visit, organizer: Person
) -> None:
    sale = on_sale(organizer, 20)
    visitor = await visit(person=organizer)
    page = visitor.page
    await visitor.open(f"/organizer/schedules/{sale.schedule_id}/offers")
    await page.get_by_label("Booking fee per ticket (KRW)").fill("1500")
    await visitor.button("Add a price type").click()
    row = page.locator(".edit-row").first
    await row.get_by_label("Code").fill("youth")
    await row.get_by_label("Name (English)").fill("Youth")
    await row.get_by_label("Percent off").fill("30")
    await visitor.button("Save").first.click()
    await expect(page.get_by_text("Saved.")).to_be_visible()

    await page.get_by_text("Make codes").click()
    form = page.locator("form").filter(has=visitor.button("Make"))
    await form.get_by_label("Name").fill("Friends")
    await form.get_by_label("Number of generated codes").fill("3")
    await form.get_by_label("Percent off").fill("10")
    await visitor.button("Make").click()
    await expect(page.get_by_text("These codes are shown this once.")).to_be_visible()
    made = (await page.locator("pre.example").inner_text()).split()
    assert len(made) == 3

    await visitor.button("Add a note").click()
    note = page.locator(".edit-row").last
    await note.get_by_label("Note (English)").fill("Behind a pillar")
    await note.get_by_label("Section", exact=True).fill("A")
    await note.get_by_label("Row").fill("1")
    await note.get_by_label("From number").fill("1")
    await note.get_by_label("To number").fill("2")
    await visitor.button("Save").last.click()
    await expect(page.get_by_label("Seat ids")).to_have_value("A-1-1, A-1-2")
    await expect(page.get_by_role("cell", name="Friends")).to_be_visible()
    await expect(page.get_by_text("These codes are shown this once.")).to_be_visible()
    shown = answered(organizer.api.get(f"/v1/admin/schedules/{sale.schedule_id}/offers"), 200).json
    assert (shown["booking_fee"], shown["price_types"][0]["percent_off"]) == (1_500, 30)
    assert shown["notes"][0]["seat_ids"] == ["A-1-1", "A-1-2"]

    await visitor.button("Disable").click()
    await page.get_by_role("dialog").get_by_role("button", name="Disable").click()
    await expect(page.get_by_text("The codes are disabled.")).to_be_visible()
    await page.set_viewport_size({"width": 360, "height": 740})
    assert await visitor.overflow_px() == 0
