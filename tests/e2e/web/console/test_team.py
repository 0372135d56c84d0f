"""From a buyer's account to a team: application, approval, invitation, without a command line."""

import os
import secrets
from pathlib import Path

import asyncpg
import pytest
from playwright.async_api import Page, expect

from boxoffice.accounts.credentials.link_tokens import new_link_token
from tests.e2e.api.client import Person, sign_up
from tests.e2e.api.conftest import Running
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
