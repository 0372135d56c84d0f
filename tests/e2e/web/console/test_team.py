"""From a buyer's account to a team: application, approval, invitation, without a command line."""

import os
import secrets
from pathlib import Path

import asyncpg
import pytest
from playwright.async_api import Page, expect

from boxoffice.accounts.credentials.link_tokens import new_link_token
from tests.e2e.api.client import Person, sign_up
from tests.e2e.api.client import expect as answered
from tests.e2e.api.conftest import Running, draft, hold, on_sale
from tests.e2e.web.console.conftest import Enter
from tests.e2e.web.visitor import Visitor

pytestmark = pytest.mark.asyncio(loop_scope="session")

# In how many lines each part of an address is.
_LINES = """(address) => [...address.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE)
  .map((node) => {
    const range = document.createRange();
    range.selectNodeContents(node);
    return range.getClientRects().length;
  })"""
_SHOTS = os.environ.get("TEAM_SCREENSHOTS", "")


async def shot(page: Page, name: str) -> None:
    """Keep a screenshot where a folder for them is named."""
    if _SHOTS:
        await page.screenshot(path=Path(_SHOTS) / f"{name}.png", full_page=True)


async def link_of(shop: Running, email: str) -> str:
    """Return the path of an invitation's link, as the messenger makes it."""
    connection = await asyncpg.connect(shop.database_url)
    try:
        query = "SELECT invitation_id FROM organization_invitations WHERE email = $1"
        token = new_link_token(await connection.fetchval(query, email))
        query = "SELECT organizations_send_invitation_v1($1, $2)"
        await connection.execute(query, token.row_id, token.hash)
    finally:
        await connection.close()
    return f"/organizer/invitation#{token.text}"


async def apply(visitor: Visitor, name: str) -> None:
    page = visitor.page
    await page.get_by_label("Name of the organization").fill(name)
    await page.get_by_label("Contact").fill("+82 2 123 4567")
    await page.get_by_label("What do you want to sell?").fill("A festival in May")
    await shot(page, "apply-desktop")
    await page.get_by_role("button", name="Apply").click()
    await expect(page.get_by_text("Waiting", exact=True)).to_be_visible()


async def test_a_buyer_becomes_an_organizer_and_invites_a_colleague(
    enter: Enter, shop: Running, operator: Person
) -> None:
    buyer, colleague = sign_up(shop.api, "Jisoo"), sign_up(shop.api, "Minho")
    name = f"Spring Hall {secrets.token_hex(3)}"
    english = {"locale": "en-US", "viewport": {"width": 1280, "height": 800}}
    applicant = await enter(buyer, "/organizer", **english)
    await apply(applicant, name)

    decider = await enter(operator, "/organizer/applications", **english)
    card = decider.page.locator("article", has_text=name)
    await shot(decider.page, "applications-desktop")
    await card.get_by_role("button", name="Approve").click()
    await decider.page.get_by_role("dialog").get_by_role("button", name="Approve").click()
    await expect(card).to_have_count(0)

    # Without a new login.
    page = applicant.page
    await page.goto("/organizer")
    await expect(page.get_by_role("link", name="New concert")).to_be_visible()
    await page.goto("/organizer/team")
    await page.get_by_label("E-mail address").fill(colleague.email)
    await page.get_by_label("Role", exact=True).select_option("box_office")
    await page.get_by_role("button", name="Invite").click()
    await expect(page.get_by_role("cell", name=colleague.email)).to_be_visible()
    await shot(page, "team-desktop")

    phone = {"locale": "ko-KR", "viewport": {"width": 360, "height": 740}}
    guest = await enter(colleague, await link_of(shop, colleague.email), **phone)
    await shot(guest.page, "invitation-phone")
    assert await guest.page.evaluate("location.hash") == ""
    await guest.page.get_by_role("button", name="초대 수락").click()
    await expect(guest.page.get_by_role("link", name="팀")).to_be_visible()
    await guest.page.goto("/organizer/team")
    await expect(guest.page.get_by_role("heading", name=name)).to_be_visible()
    await expect(guest.page.get_by_text("매표소")).to_be_visible()

    await page.reload()
    await expect(page.get_by_role("cell", name="Minho")).to_be_visible()
    await page.set_viewport_size({"width": 360, "height": 740})
    await shot(page, "team-phone")
    assert await page.locator("td span", has_text=colleague.email).first.evaluate(_LINES) == [1, 1]
    for visitor in (applicant, decider, guest):
        assert (visitor.errors, visitor.outside) == ([], [])


async def join(shop: Running, organization_id: str, person: Person, role: str) -> None:
    connection = await asyncpg.connect(shop.database_url)
    try:
        query = (
            "INSERT INTO organization_members (organization_id, user_id, role) VALUES ($1, $2, $3)"
        )
        await connection.execute(query, organization_id, person.user_id, role)
    finally:
        await connection.close()


async def test_a_role_that_only_reads_is_shown_no_form(
    enter: Enter, shop: Running, organizer: Person, guest: Person
) -> None:
    """The tests of each page use the same forms as their owner."""
    reader, planned, sale = sign_up(shop.api, "Hana"), draft(organizer), on_sale(organizer, 4)
    await join(shop, organizer.user_id, reader, "read_only")
    order = {"reservation_id": hold(guest, sale, "A-1-1").json["reservation_id"]}
    paid = answered(guest.api.keyed("/v1/payments", {**order, "method": "wallet"}), 201).json
    own = f"/organizer/schedules/{sale.schedule_id}"
    visitor = await enter(reader, f"{own}/offers", locale="en-US")
    page = visitor.page
    await expect(page.get_by_label("Booking fee per ticket (KRW)")).to_be_disabled()
    policy = f"/organizer/schedules/{planned.schedule_id}/refunds"
    for path in (
        *(f"{own}/{part}" for part in ("offers", "queue", "guests")),
        policy,
        "/organizer/venues",
    ):
        await page.goto(path)
        await expect(page.locator("main h1")).to_be_visible()
        await expect(page.locator("main").get_by_role("button")).to_have_count(0)
    await page.goto(f"/organizer/payments/{paid['payment_id']}")
    await expect(page.locator("main .rows li")).to_have_count(1)
    await expect(page.locator(".refund")).to_have_count(0)
