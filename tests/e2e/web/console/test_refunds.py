"""The refunds of a schedule in the console: its policy, the refund of everything, and the list."""

import re

import pytest
from playwright.async_api import expect

from tests.e2e.api.client import Person
from tests.e2e.api.client import expect as answered
from tests.e2e.api.conftest import draft, on_sale
from tests.e2e.web.conftest import Visit

pytestmark = pytest.mark.asyncio(loop_scope="session")

PHONE = {"width": 360, "height": 740}


async def test_the_policy_is_set_before_the_sale(visit: Visit, organizer: Person) -> None:
    sale = draft(organizer, 20)
    visitor = await visit(person=organizer)
    page = visitor.page
    await visitor.open(f"/organizer/schedules/{sale.schedule_id}/refunds")
    await visitor.button("Usual in Korea").click()
    await page.get_by_role("dialog").get_by_role("button", name="Use this policy").click()
    await expect(page.get_by_text("₩4,000, at most 10 % of the price").first).to_be_visible()
    await expect(visitor.button("Usual in Korea")).to_have_attribute("aria-pressed", "true")


async def test_everything_is_refunded_once_the_sale_is_closed(
    visit: Visit, organizer: Person, guest: Person
) -> None:
    sale = on_sale(organizer, 20)
    held = answered(guest.api.keyed(sale.holds, {"seat_ids": ["A-1-1"]}), 201).json
    order = {"reservation_id": held["reservation_id"], "method": "wallet"}
    paid = answered(guest.api.keyed("/v1/payments", order), 201).json
    back = {"expected_refund": 110_000, "ticket_ids": []}
    answered(guest.api.keyed(f"/v1/payments/{paid['payment_id']}/refunds", back), 201)
    visitor = await visit(person=organizer, viewport=PHONE)
    page = visitor.page
    await visitor.open(f"/organizer/schedules/{sale.schedule_id}/refunds")
    await expect(page.get_by_text("Close the sale first")).to_be_visible()
    await expect(page.locator(".rows")).to_contain_text("A-1-1")
    assert await visitor.overflow_px() == 0
    await visitor.button("Close the sale").click()
    await page.get_by_role("dialog").get_by_role("button", name="Close the sale").click()
    await visitor.button("Refund all tickets").click()
    await page.get_by_role("dialog").get_by_role("button", name="Refund all tickets").click()
    await expect(page.get_by_text(re.compile("looked at|Finished"))).to_be_visible()


async def test_an_operator_sees_what_a_provider_refused(visit: Visit, operator: Person) -> None:
    visitor = await visit(person=operator)
    await visitor.open("/organizer")
    await visitor.link("Refused refunds").click()
    await expect(visitor.page.get_by_text("No refunds.")).to_be_visible()
