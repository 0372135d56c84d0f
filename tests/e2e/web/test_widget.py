"""The widget on another site: what it shows, what it sends, and that no other page is shown there."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import asyncpg
import pytest
from playwright.async_api import Request, expect

from boxoffice.web.routes import CHECKOUT_PAGES, CONCERT_PAGE, PAGES
from tests.e2e.api.client import Person, Sale
from tests.e2e.api.client import expect as answered
from tests.e2e.api.conftest import Running, make_organizer, on_sale

from .conftest import Visit, logged_in

pytestmark = pytest.mark.asyncio(loop_scope="session")

_SOON = "UPDATE schedules SET sale_opens_at = now() + interval '2 hours' WHERE schedule_id = $1"
_EMBEDDING = (
    "<!doctype html><title>Venue</title><h1>Venue</h1>"
    '<script src="{shop}/widget.js" data-concert="{concert}" data-lang="ko"></script>'
)
_FRAMES = "<!doctype html><title>Venue</title>" + "".join(
    f'<iframe src="{{shop}}{path}"></iframe>' for path in ("/", "/organizer", "/concerts/{concert}")
)


@contextmanager
def site(folder: Path) -> Iterator[str]:
    """Serve a folder as another site; its origin."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_given: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """The folder and origin of a venue's own site."""
    folder = tmp_path_factory.mktemp("venue")
    with site(folder) as origin:
        yield folder, origin


@pytest.fixture(scope="module")
def promoter(shop: Running, venue: tuple[Path, str]) -> Person:
    """An organizer whose widget the venue may show."""
    person = make_organizer(shop)
    path = f"/v1/admin/organizations/{person.user_id}/brand"
    body = {"widget_origins": [venue[1]], "accent": "#7a1fa2", "name_ko": "봄 공연"}
    answered(person.api.call("PATCH", path, json_body=body, headers={"If-Match": '"0"'}), 200)
    return person


@pytest.fixture(scope="module")
def show(promoter: Person) -> Sale:
    """A concert on sale."""
    return on_sale(promoter, 20)


async def test_another_site_shows_the_dates_and_leads_to_the_shop(
    visit: Visit, shop: Running, venue: tuple[Path, str], show: Sale, buyer: Person
) -> None:
    folder, origin = venue
    text = _EMBEDDING.format(shop=shop.api.url, concert=show.concert_id)
    (folder / "index.html").write_text(text)
    state = logged_in(shop.api.url, buyer.email, buyer.api.token)
    phone = {"width": 320, "height": 700}
    visitor = await visit(storage_state=state, viewport=phone, providers=[origin])
    sent: list[Request] = []

    def note(request: Request) -> None:
        sent.append(request)

    visitor.page.on("request", note)
    await visitor.page.goto(f"{origin}/index.html")
    frame = visitor.page.frame_locator("iframe")
    await expect(frame.get_by_role("link", name=re.compile("예매하기"))).to_have_attribute(
        "href", f"/schedules/{show.schedule_id}?concert={show.concert_id}"
    )
    await expect(frame.get_by_text("예매 중")).to_be_visible()
    await expect(frame.get_by_text("봄 공연")).to_be_visible()
    element = visitor.page.locator("iframe")
    height = await frame.locator("#app").evaluate("one => one.getBoundingClientRect().height")
    await expect(element).to_have_css("height", f"{-(-height // 1):.0f}px")
    to_shop = [one for one in sent if one.url.startswith(shop.api.url)]
    assert to_shop
    for request in to_shop:
        assert not {"authorization", "cookie"} & set(await request.all_headers()), request.url


async def test_no_other_page_is_shown_on_another_site(
    visit: Visit, shop: Running, venue: tuple[Path, str], show: Sale
) -> None:
    folder, origin = venue
    text = _FRAMES.format(shop=shop.api.url, concert=show.concert_id)
    (folder / "frames.html").write_text(text)
    visitor = await visit(expected=("frame", "X-Frame-Options"), providers=[origin])
    await visitor.page.goto(f"{origin}/frames.html", wait_until="load")
    assert len(visitor.page.frames) == 4
    for frame in visitor.page.frames[1:]:
        assert frame.url.startswith("chrome-error:"), frame.url


async def test_only_the_widget_names_sites(
    shop: Running, show: Sale, venue: tuple[Path, str]
) -> None:
    for path in (*PAGES, *CHECKOUT_PAGES, CONCERT_PAGE, "/widget/concerts/{concert_id}"):
        named = path.replace("{concert_id}", show.concert_id if "widget" not in path else "x")
        answer = answered(shop.api.get(re.sub(r"\{.*?\}", "any", named)), 200)
        assert answer.headers["x-frame-options"] == "DENY", path
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"], path
    answer = answered(shop.api.get(f"/widget/concerts/{show.concert_id}"), 200)
    assert f"frame-ancestors {venue[1]};" in answer.headers["content-security-policy"]
    assert "x-frame-options" not in answer.headers
    assert "set-cookie" not in answer.headers
    assert answer.headers["cache-control"].startswith("public, max-age=")


async def test_the_narrowest_widget_counts_down_and_has_no_overflow(
    visit: Visit, shop: Running, show: Sale, promoter: Person
) -> None:
    sale = on_sale(promoter, 5)
    connection = await asyncpg.connect(shop.database_url)
    await connection.execute(_SOON, sale.schedule_id)
    await connection.close()
    visitor = await visit(viewport={"width": 280, "height": 600}, expected=["404"])
    await visitor.page.goto(f"/widget/concerts/{sale.concert_id}?lang=en&theme=dark")
    await expect(
        visitor.page.get_by_text(re.compile(r"Opens in 1:59:\d\d|Opens in 2:00:00"))
    ).to_be_visible()
    await expect(visitor.page.get_by_role("link", name="Buy")).to_have_count(0)
    assert await visitor.overflow_px() == 0
    ground = await visitor.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == "rgb(20, 23, 26)"
    await visitor.page.goto("/widget/concerts/00000000-0000-7000-8000-000000000000?lang=en")
    await expect(visitor.page.get_by_text("There are no dates now.")).to_be_visible()
