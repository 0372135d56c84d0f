"""From a forgotten password to a new one, and the page of the account, through the mails themselves."""

import asyncio
import os
import re
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from boxoffice.notifications.mail.transports import kept_mails
from boxoffice.settings import Settings
from tests.conftest import Servers
from tests.e2e.api.client import PASSWORD, Person, refused, sign_up
from tests.e2e.api.client import expect as expected
from tests.e2e.api.conftest import Running, on_sale
from tests.e2e.web.conftest import Visit
from tests.e2e.web.visitor import Visitor
from tests.integration.notifications.messengers import messenger

pytestmark = pytest.mark.asyncio(loop_scope="session")

NEW = "이번에는 다른 것 9"
PHONE: dict[str, Any] = {"locale": "ko-KR", "viewport": {"width": 360, "height": 740}}
DESKTOP: dict[str, Any] = {"locale": "en-US", "viewport": {"width": 1280, "height": 900}}


@pytest.fixture
def mailing(shop: Running, servers: Servers, tmp_path: Path) -> Settings:
    """The settings of a messenger that keeps the mails of the shop in a folder."""
    return Settings.of(
        database_url=shop.database_url,
        valkey_url=servers.valkey_url,
        mailbox_dir=str(tmp_path),
        public_url=shop.api.url,
        messenger_interval_ms=20,
        relay_stream="test:accounts",
    )


async def link_in(folder: str, email: str, page: str) -> str:
    """Wait for a mail to an address with a link to a page; return the path of the link."""
    async with asyncio.timeout(30):
        while True:
            for path in kept_mails(Path(folder)):
                mail = message_from_bytes(path.read_bytes(), policy=policy.default)
                body = mail.get_body(("plain",))
                text = "" if body is None else str(body.get_content())
                found = re.search(rf"{page}#[\w.-]+", text)
                if found and mail["To"].addresses[0].addr_spec == email:
                    return found[0]
            await asyncio.sleep(0.05)


async def shot(visitor: Visitor, name: str, look: dict[str, Any]) -> None:
    """Keep a picture where the environment asks for one, and find nothing wider than the page."""
    if folder := os.environ.get("BOXOFFICE_TEST_SHOTS"):
        path = Path(folder, f"{name}-{look['locale']}.png")
        await visitor.page.screenshot(path=path, full_page=True)
    assert await visitor.overflow_px() <= 0


@pytest.mark.parametrize("look", [PHONE, DESKTOP], ids=["phone-ko", "desktop-en"])
async def test_a_forgotten_password_is_set_anew_by_mail(
    visit: Visit, shop: Running, mailing: Settings, look: dict[str, Any]
) -> None:
    person = sign_up(shop.api)
    visitor = await visit(**look)
    page, folder = visitor.page, mailing.notifications.mailbox_dir
    async with messenger(mailing):
        await visitor.open("/login")
        await shot(visitor, "login", look)
        await page.locator("a[href='/account/forgot']").click()
        await page.locator("input[type=email]").fill(person.email)
        await shot(visitor, "forgot", look)
        await page.locator("button[type=submit]").click()
        await expect(page.locator(".notice.good")).to_contain_text(person.email)
        await shot(visitor, "forgot-sent", look)
        await visitor.open(await link_in(folder, person.email, "/account/reset"))
    assert "#" not in page.url, "the token leaves the address bar"
    field = page.locator("input[autocomplete=new-password]")
    await field.fill(NEW)
    await page.locator(".reveal-button").click()
    await expect(field).to_have_attribute("type", "text")
    await shot(visitor, "reset", look)
    await page.locator("button[type=submit]").click()
    await expect(page).to_have_url(f"{shop.api.url}/login")
    refused(person.api.get("/v1/me"), "token_invalid")
    await page.locator("input[type=email]").fill(person.email)
    await page.locator("input[type=password]").fill(NEW)
    await page.locator("button[type=submit]").click()
    await expect(page.locator("nav a[href='/me']")).to_be_visible()
    await visitor.open("/account")
    await expect(page.locator(".account-address .chip")).to_have_count(1)
    await expect(page.locator(".rows li .chip")).to_have_count(1)
    await shot(visitor, "account", look)
    await visitor.open("/me")
    await page.locator(".me-head a[href='/account']").click()
    await expect(page.locator(".account-address")).to_contain_text(person.email)


@pytest.mark.parametrize("look", [PHONE, DESKTOP], ids=["phone-ko", "desktop-en"])
async def test_an_address_is_verified_where_a_concert_asks_for_it(
    visit: Visit, shop: Running, seller: Person, mailing: Settings, look: dict[str, Any]
) -> None:
    sale, person = on_sale(seller, 4), sign_up(shop.api)
    concert = f"/v1/admin/concerts/{sale.concert_id}"
    headers = {"If-Match": expected(seller.api.get(concert), 200).headers["etag"]}
    switch = {"requires_verified_email": True}
    expected(seller.api.call("PATCH", concert, json_body=switch, headers=headers), 200)
    visitor = await visit(person=person, expected=["403"], **look)
    page, folder = visitor.page, mailing.notifications.mailbox_dir
    await visitor.open(f"/schedules/{sale.schedule_id}")
    await page.locator("form.best button[type=submit]").click()
    dialog = page.locator("dialog[open]")
    await expect(dialog).to_be_visible()
    await shot(visitor, "verify-dialog", look)
    await dialog.locator(".button.primary").click()
    await expect(page.locator(".toast.good")).to_contain_text(person.email)
    async with messenger(mailing):
        link = await link_in(folder, person.email, "/account/confirm")
    await visitor.open(link)
    await shot(visitor, "confirm", look)
    await page.locator("button[type=submit]").click()
    await expect(page.locator(".notice.good")).to_contain_text(person.email)
    await shot(visitor, "confirmed", look)
    await visitor.open(f"/schedules/{sale.schedule_id}")
    await page.locator("form.best button[type=submit]").click()
    await expect(page).to_have_url(re.compile("/reservations/"))


async def test_password_and_devices_are_changed_on_the_page(visit: Visit, shop: Running) -> None:
    person = sign_up(shop.api)
    visitor = await visit(person=person, expected=["403"], **DESKTOP)
    page = visitor.page
    await visitor.open("/account")
    card = page.locator("section", has=page.get_by_role("heading", name="Password", exact=True))
    await card.locator("input").nth(0).fill("wrong password")
    await card.locator("input").nth(1).fill(NEW)
    await visitor.button("Change the password").click()
    await expect(card.locator(".field-error").first).to_have_text(
        "This is not your present password."
    )
    await card.locator("input").nth(0).fill(PASSWORD)
    await visitor.button("Change the password").click()
    await expect(page.locator(".toast.good")).to_contain_text("The password is changed.")
    refused(person.api.get("/v1/me"), "token_invalid")
    elsewhere = shop.api.post("/v1/sessions", {"email": person.email, "password": NEW})
    token = expected(elsewhere, 201).json["access_token"]
    await visitor.open("/account")
    await page.get_by_role("button", name="Log out: Unknown browser").click()
    await expect(page.locator(".toast.good")).to_contain_text("Unknown browser is logged out")
    refused(shop.api.of(token).get("/v1/me"), "token_invalid")
