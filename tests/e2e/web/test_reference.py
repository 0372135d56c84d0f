"""The API reference in a browser: search, copy, deep links, both schemes, a phone, and no scripts."""

import re

import pytest
from playwright.async_api import expect

from tests.e2e.web.test_access import PHONE, troubles

from .conftest import Visit

pytestmark = pytest.mark.asyncio(loop_scope="session")

WIDE = {"width": 1280, "height": 900}


@pytest.mark.parametrize(
    ("scheme", "viewport"),
    [("light", WIDE), ("dark", PHONE)],
    ids=["light-wide", "dark-phone"],
)
async def test_it_is_accessible_and_fits(
    visit: Visit, scheme: str, viewport: dict[str, int]
) -> None:
    visitor = await visit(color_scheme=scheme, viewport=viewport)
    for path in ("/docs", "/docs/reservations", "/docs/events"):
        await visitor.open(path)
        await visitor.page.evaluate(
            "document.querySelectorAll('details').forEach((one) => { one.open = true; })"
        )
        assert await visitor.overflow_px() <= 0, path
        assert await troubles(visitor.page) == [], path


async def test_a_search_leads_to_an_operation_whose_request_is_copied(visit: Visit) -> None:
    visitor = await visit(viewport=WIDE, permissions=["clipboard-read", "clipboard-write"])
    page = visitor.page
    await visitor.open("/docs")
    await page.keyboard.press("/")
    await page.keyboard.type("pay a hold")
    await expect(page.get_by_role("status")).to_have_text("1 operation")
    await page.get_by_role("link", name="Pay a hold").click()
    await expect(page).to_have_url(re.compile("/docs/payments#post_payments$"))
    section = page.locator("#post_payments")
    await expect(section).to_be_in_viewport()
    await section.get_by_role("button", name="Copy curl: Pay a hold").click()
    copied = await page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith('curl "$BOXOFFICE/v1/payments"')
    assert "Idempotency-Key" in copied
    await section.get_by_text("Python", exact=True).click()
    await expect(section.get_by_text("client.post_payments(")).to_be_visible()
    await expect(section.get_by_text("$BOXOFFICE/v1/payments")).to_be_hidden()


async def test_it_needs_no_script(visit: Visit) -> None:
    visitor = await visit(java_script_enabled=False, viewport=PHONE)
    await visitor.open("/docs/reservations")
    held = visitor.page.locator("#post_schedules_schedule_id_reservations")
    await expect(held.get_by_role("heading", name="Hold seats")).to_be_visible()
    await expect(held.get_by_text('"seat_ids"').first).to_be_visible()
    await expect(visitor.page.get_by_role("searchbox")).to_be_hidden()
