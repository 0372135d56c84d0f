"""Logging out on the pages ends the token at the shop, and says so where it could not."""

import os
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.e2e.api.client import expect as expected
from tests.e2e.api.client import log_in, refused, sign_up
from tests.e2e.api.conftest import Running
from tests.e2e.web.conftest import Visit

pytestmark = pytest.mark.asyncio(loop_scope="session")

WALLET = "/v1/me/wallet"


async def test_log_out_ends_the_token_at_the_shop(visit: Visit, shop: Running) -> None:
    person = sign_up(shop.api)
    visitor = await visit(person=person)
    await visitor.open("/me")
    async with visitor.page.expect_response("**/v1/sessions") as told:
        await visitor.button("Log out").click()
    assert (await told.value).status == 204
    await expect(visitor.link("Log in")).to_be_visible()
    refused(person.api.get(WALLET), "token_invalid")


async def test_who_cannot_reach_the_shop_is_logged_out_here_and_told(
    visit: Visit, shop: Running
) -> None:
    person = sign_up(shop.api)
    visitor = await visit(person=person, expected=["net::ERR_FAILED"])
    await visitor.open("/me")
    await visitor.page.route("**/v1/sessions", lambda route: route.abort())
    await visitor.button("Log out").click()
    await expect(visitor.link("Log in")).to_be_visible()
    alert = visitor.page.get_by_role("alert").filter(has_text="could not be reached")
    await expect(alert).to_be_visible(timeout=15_000)
    expected(person.api.get(WALLET), 200)


@pytest.mark.parametrize(
    ("locale", "label", "done"),
    [
        ("en-US", "Log out everywhere", "You are logged out on every device."),
        ("ko-KR", "모든 기기에서 로그아웃", "모든 기기에서 로그아웃했습니다."),
    ],
)
async def test_log_out_everywhere_ends_every_token(
    visit: Visit, shop: Running, locale: str, label: str, done: str
) -> None:
    person = sign_up(shop.api)
    elsewhere = shop.api.of(log_in(shop.api, person.email))
    visitor = await visit(person=person, locale=locale, viewport={"width": 390, "height": 844})
    await visitor.open("/account")
    if folder := os.environ.get("BOXOFFICE_TEST_SHOTS"):
        path = Path(folder, f"everywhere-{locale}.png")
        await visitor.page.screenshot(path=path, full_page=True)
    assert await visitor.overflow_px() <= 0
    await visitor.button(label).click()
    await expect(visitor.page.get_by_text(done)).to_be_visible()
    for api in (person.api, elsewhere):
        refused(api.get(WALLET), "token_invalid")
    expected(shop.api.of(log_in(shop.api, person.email)).get(WALLET), 200)
