"""A reader in New York: every performance is shown in the zone of its venue, with its name."""

from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import Page, expect

from tests.e2e.api.client import Person
from tests.e2e.api.client import expect as answered

from .conftest import Visit

pytestmark = pytest.mark.asyncio(loop_scope="session")

VENUE = "7:00 PM KST"
# Ten in the morning UTC: six or five in New York.
OWN = "AM E"


def performance(seller: Person) -> dict[str, str]:
    """Put a performance at seven in the evening, Seoul time, on sale."""
    day = datetime.now(UTC) + timedelta(days=30)
    concert = answered(
        seller.api.keyed("/v1/admin/concerts", {"title": "Far away", "artist": "A", "venue": "V"}),
        201,
    ).json
    body = {
        "starts_at": {"local": f"{day:%Y-%m-%d}T19:00"},
        "sale_opens_at": "2020-01-01T00:00:00Z",
    }
    path = f"/v1/admin/concerts/{concert['concert_id']}"
    schedule = answered(seller.api.keyed(f"{path}/schedules", body), 201).json
    own = f"/v1/admin/schedules/{schedule['schedule_id']}"
    seats = [{"section": "A", "row": "1", "number": 1, "grade": "R", "price": 1000}]
    answered(seller.api.keyed(f"{own}/seats", {"seats": seats}), 201)
    answered(seller.api.keyed(f"{path}/publish", {}), 200)
    answered(seller.api.keyed(f"{own}/open", {}), 200)
    return {"concert": concert["concert_id"], "schedule": schedule["schedule_id"]}


async def shows(page: Page, path: str, *, own: bool = True) -> None:
    await page.goto(path)
    await expect(page.locator("main")).to_contain_text(VENUE)
    if own:
        await expect(page.locator("main")).to_contain_text(OWN)


async def test_every_page_says_seven_in_seoul(visit: Visit, seller: Person, buyer: Person) -> None:
    sale = performance(seller)
    visitor = await visit(locale="en-US", timezone_id="America/New_York", person=buyer)
    page = visitor.page
    await shows(page, "/", own=False)
    await shows(page, f"/concerts/{sale['concert']}")
    await shows(page, f"/schedules/{sale['schedule']}")
    held = answered(
        buyer.api.keyed(f"/v1/schedules/{sale['schedule']}/reservations", {"seat_ids": ["A-1-1"]}),
        201,
    ).json["reservation_id"]
    await shows(page, f"/reservations/{held}")
    paid = {"reservation_id": held, "method": "wallet"}
    answered(buyer.api.keyed("/v1/payments", paid), 201)
    await shows(page, f"/reservations/{held}")
    await expect(page.locator(".ticket")).to_contain_text(VENUE)
    await shows(page, "/me")
    organizer = await visit(locale="en-US", timezone_id="America/New_York", person=seller)
    await shows(organizer.page, f"/organizer/schedules/{sale['schedule']}")
    await shows(organizer.page, f"/organizer/schedules/{sale['schedule']}/edit")
    await expect(organizer.page.get_by_label("Start", exact=True)).to_have_value(
        f"{datetime.now(UTC) + timedelta(days=30):%Y-%m-%d}T19:00"
    )
