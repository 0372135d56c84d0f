"""Bad titles, a shop that refuses or is silent, and files of a release that is gone."""

import re

import pytest
from playwright.async_api import Route, expect

from boxoffice.web import assets
from tests.e2e.api.client import Person
from tests.e2e.api.client import expect as answered
from tests.e2e.api.conftest import Running, on_sale, schedule_body, seat_bodies

from .conftest import Visit

pytestmark = pytest.mark.asyncio(loop_scope="session")

EVIL = '<img src=x onerror="window.wasRun=1"><script>window.wasRun=1</script>\'"&amp;'


def evil_sale(seller: Person) -> str:
    """Put a concert on sale whose every text holds a script; return the schedule's id."""
    api = seller.api
    concert = {"title": EVIL, "artist": EVIL, "venue": EVIL, "description": EVIL}
    concert_id = answered(api.post("/v1/admin/concerts", concert), 201).json["concert_id"]
    path = f"/v1/admin/concerts/{concert_id}"
    made = answered(api.post(f"{path}/schedules", schedule_body()), 201).json["schedule_id"]
    short = "<b onclick=x()>"
    seats = seat_bodies(10, section=short, grade=short)
    answered(api.post(f"/v1/admin/schedules/{made}/seats", {"seats": seats}), 201)
    answered(api.post(f"{path}/publish"), 200)
    answered(api.post(f"/v1/admin/schedules/{made}/open"), 200)
    return str(made)


async def test_a_script_in_a_title_is_text(visit: Visit, seller: Person) -> None:
    schedule_id = evil_sale(seller)
    visitor = await visit()
    for path in ("/", f"/schedules/{schedule_id}"):
        await visitor.open(path)
        await expect(visitor.page.get_by_text(EVIL, exact=True).first).to_be_visible()
        assert await visitor.page.evaluate("window.wasRun") is None
        assert (
            await visitor.page.locator("main img:not([src^='/posters/']), main script").count() == 0
        )


@pytest.mark.parametrize(
    "attempt",
    [
        "document.body.append(Object.assign(document.createElement('script'), {text: 'wasRun = 1'}))",
        "document.body.innerHTML = '<img src=x onerror=wasRun=1>'",
        "document.body.setAttribute('onclick', 'wasRun=1'); document.body.click()",
        "setTimeout('wasRun = 1')",
    ],
    ids=["script", "markup", "handler", "text"],
)
async def test_the_policy_stops_what_escaping_would_let_through(visit: Visit, attempt: str) -> None:
    """Each attempt does run on a page without a policy, the control."""
    visitor = await visit(expected=["400", "404"])
    await visitor.open()
    code = f"""async () => {{
        try {{ {attempt} }} catch (error) {{ /* refused */ }}
        await new Promise((resolve) => setTimeout(resolve, 300));
        return window.wasRun === undefined;
    }}"""
    assert await visitor.page.evaluate(code)
    visitor.errors.clear()
    await visitor.page.goto("about:blank")
    assert not await visitor.page.evaluate(code)


async def test_a_shop_that_cannot_decide_is_asked_again(visit: Visit) -> None:
    visitor = await visit(expected=["503"])
    asked = []

    async def refuse(route: Route) -> None:
        asked.append(route.request.url)
        await route.fulfill(
            status=503,
            headers={"Retry-After": "1", "Content-Type": "application/problem+json"},
            body='{"code":"overloaded","request_id":"the-request"}',
        )

    concerts = re.compile(r"/v1/concerts\?")
    await visitor.page.route(concerts, refuse)
    await visitor.open()
    await expect(visitor.page.get_by_text("Too many requests at this moment")).to_be_visible()
    await expect(visitor.page.get_by_text("the-request")).to_be_visible()
    assert len(asked) > 1
    await visitor.page.unroute(concerts)
    await visitor.button("Try again").click()
    await expect(visitor.heading("Concerts")).to_be_visible()


async def test_a_shop_that_is_silent_loses_nothing(
    visit: Visit, seller: Person, buyer: Person
) -> None:
    sale = on_sale(seller, 20)
    visitor = await visit(person=buyer, expected=["ERR_"])
    await visitor.open_seats(sale, "A-1-1", "A-1-2")
    await visitor.context.set_offline(True)
    await visitor.button("Hold 2 seats").click()
    await expect(visitor.heading("No answer yet")).to_be_visible(timeout=45_000)
    await visitor.context.set_offline(False)
    await visitor.button("Retry").click()
    await visitor.page.wait_for_url(re.compile("/reservations/"))
    await expect(visitor.page.locator(".lines li")).to_have_count(2)


async def test_a_page_of_a_release_that_is_gone_comes_back_as_the_new_one(visit: Visit) -> None:
    visitor = await visit(expected=["404", "dynamically imported", "MIME type"])
    current = assets.load().hash
    shells = []

    async def old_shell(route: Route) -> None:
        answer = await route.fetch()
        text = await answer.text()
        shells.append(1)
        if len(shells) == 1:
            text = text.replace(current, "0123456789abcdef")
        await route.fulfill(response=answer, body=text)

    await visitor.page.route(re.compile(r":\d+/$"), old_shell)
    await visitor.page.goto("/")
    await expect(visitor.heading("Concerts")).to_be_visible()
    assert len(shells) == 2


async def test_a_shop_without_its_files_says_so_in_both_languages(visit: Visit) -> None:
    visitor = await visit(expected=["ERR_", "dynamically imported"])
    await visitor.page.route("**/js/**", lambda route: route.abort())
    await visitor.page.goto("/")
    await expect(visitor.page.get_by_text("The server does not answer")).to_be_visible(
        timeout=60_000
    )
    await expect(visitor.page.get_by_text("서버가 응답하지 않습니다")).to_be_visible()
    await visitor.page.unroute("**/js/**")
    await visitor.button("Try again · 다시 시도").click()
    await expect(visitor.heading("Concerts")).to_be_visible()


async def test_an_address_that_leads_nowhere(visit: Visit, shop: Running) -> None:
    visitor = await visit(expected=["404"])
    await visitor.page.goto("/concerts/01890000-0000-7000-8000-000000000000")
    await expect(visitor.heading("Page not found")).to_be_visible()
    await visitor.link("All concerts").click()
    await expect(visitor.heading("Concerts")).to_be_visible()


@pytest.mark.parametrize("path", ["/nowhere", "/v1/nowhere", "/concerts/%zz", "/concerts//"])
async def test_an_address_that_leads_nowhere_shows_a_page(visit: Visit, path: str) -> None:
    visitor = await visit(expected=["404"])
    answer = await visitor.page.goto(path)
    assert answer is not None
    assert answer.status == 404
    await expect(visitor.page.locator("main h1")).to_have_text("Page not found")
    await visitor.page.locator("main").get_by_role("link").click()
    await expect(visitor.page).to_have_url(re.compile(r":\d+/$"))
    await expect(visitor.page.locator("main h1")).not_to_have_text("Page not found")
    visitor.check()
