"""The list and the page of a concert: filters, what is found, posters, texts, and what others read."""

import asyncio
import json
import re
from typing import Any

import asyncpg
import pytest
from playwright.async_api import expect

from tests.e2e.api.client import Person, Sale
from tests.e2e.api.client import expect as answered
from tests.e2e.api.conftest import Running, on_sale
from tests.unit.posters.pictures import picture

from .conftest import Visit

pytestmark = pytest.mark.asyncio(loop_scope="session")

_FACTS = """
    UPDATE concerts SET title = $2, title_ko = $3, genre = $4, age_rating = '12', running_time_min = 95,
           faq = $5, notices = $6, description = $7
     WHERE concert_id = $1
"""
_AT_VENUE = "UPDATE schedules SET venue_id = $2 WHERE schedule_id = $1"
_CANCELLED = (
    "UPDATE schedules SET status = 'CANCELLED', cancelled_at = now() WHERE schedule_id = $1"
)
_FAQ = "### May I?\n\nYes, [here](https://example.org/) and [not](javascript:alert(1))."
_NOTICES = "<img src=x onerror=alert(1)> **Bring** a blanket"


@pytest.fixture(scope="module")
def jazz(shop: Running, seller: Person) -> Sale:
    """A concert with a poster, of jazz."""
    sale = _made(shop, seller, "Zebra Quartet", "얼룩말 콰르텟", "jazz")
    path = f"/v1/admin/concerts/{sale.concert_id}/poster"
    kind = {"Content-Type": "image/jpeg"}
    answered(seller.api.call("PUT", path, body=picture(), headers=kind), 200)
    texts = {"alt": "Four zebras", "alt_ko": "얼룩말 네 마리"}
    answered(seller.api.call("PATCH", path, json_body=texts), 200)
    return sale


@pytest.fixture(scope="module")
def rock(shop: Running, seller: Person) -> Sale:
    """A concert without a poster, of rock."""
    return _made(shop, seller, "Zinc Rockets", "아연 로켓", "rock")


def _made(shop: Running, seller: Person, title: str, title_ko: str, genre: str) -> Sale:
    sale = on_sale(seller, 20)

    async def fill() -> None:
        connection = await asyncpg.connect(shop.database_url)
        about = "One *evening*."
        given = (title, title_ko, genre, _FAQ, _NOTICES, about)
        await connection.execute(_FACTS, sale.concert_id, *given)
        await connection.close()

    asyncio.run(fill())
    return sale


async def test_filters_are_in_the_address_and_lead_back(
    visit: Visit, jazz: Sale, rock: Sale
) -> None:
    visitor = await visit()
    page = visitor.page
    await visitor.open("/?q=Z")
    await visitor.button("Jazz").click()
    await expect(page.locator(".concert h2")).to_have_text(["Zebra Quartet"])
    assert "genre=jazz" in page.url
    await page.reload()
    await expect(page.locator(".concert h2")).to_have_text(["Zebra Quartet"])
    await expect(visitor.button("Jazz")).to_have_attribute("aria-pressed", "true")
    await page.get_by_role("searchbox").fill("zinc")
    await expect(page.locator(".concert")).to_have_count(0)
    await expect(visitor.heading("Nothing found for “zinc” and Jazz")).to_be_visible()
    await visitor.button("Show all concerts").click()
    await expect(page.locator(".concert", has_text="Zinc Rockets")).to_be_visible()
    await expect(page.get_by_role("searchbox")).to_be_focused()
    assert "genre" not in page.url


async def test_a_list_is_ordered_as_chosen(visit: Visit, jazz: Sale, rock: Sale) -> None:
    visitor = await visit()
    await visitor.open("/?q=Z")
    await visitor.page.get_by_label("Order").select_option("new")
    await expect(visitor.page.locator(".concert h2").first).to_have_text("Zinc Rockets")
    assert "sort=new" in visitor.page.url


async def test_a_page_has_the_poster_and_the_facts(visit: Visit, jazz: Sale) -> None:
    visitor = await visit(locale="ko-KR")
    await visitor.open(f"/concerts/{jazz.concert_id}")
    page = visitor.page
    await expect(visitor.title("얼룩말 콰르텟")).to_be_visible()
    image = page.get_by_role("img", name="얼룩말 네 마리")
    await expect(image).to_have_js_property("complete", True)
    assert await image.evaluate("one => one.naturalWidth") > 300
    await expect(page.get_by_text("12세 이상 관람가")).to_be_visible()
    await expect(page.get_by_text("95분")).to_be_visible()
    await expect(page.locator("table.prices tbody tr")).to_have_count(2)
    assert await visitor.overflow_px() == 0


async def test_a_cancelled_date_offers_nothing_and_a_venue_is_named_in_korean(
    visit: Visit, shop: Running, seller: Person
) -> None:
    sale = on_sale(seller, 4)
    hall = {
        "name": "Lily Hall",
        "name_ko": "백합 공연장",
        "country": "KR",
        "time_zone": "Asia/Seoul",
    }
    venue = answered(seller.api.keyed("/v1/admin/venues", hall), 201).json["venue_id"]
    connection = await asyncpg.connect(shop.database_url)
    await connection.execute(_AT_VENUE, sale.schedule_id, venue)
    visitor = await visit(locale="ko-KR")
    page = visitor.page
    await visitor.open("/?q=백합")
    await expect(page.locator(".concert", has_text="백합 공연장")).to_have_count(1)
    await visitor.open(f"/concerts/{sale.concert_id}")
    await expect(page.locator(".schedule .left")).to_have_count(1)
    await connection.execute(_CANCELLED, sale.schedule_id)
    await connection.close()
    await expect(page.locator(".schedule.cancelled")).to_contain_text("취소된 공연입니다.")
    await expect(page.locator(".schedule .left")).to_have_count(0)
    await expect(page.locator(".schedule a")).to_have_count(0)


async def test_texts_are_shown_and_never_run(visit: Visit, jazz: Sale) -> None:
    visitor = await visit()
    await visitor.open(f"/concerts/{jazz.concert_id}")
    faq = visitor.page.get_by_role("region", name="Questions and answers")
    await expect(faq.get_by_role("heading", name="May I?")).to_be_visible()
    assert await faq.locator("a").evaluate_all("links => links.map((one) => one.href)") == [
        "https://example.org/"
    ]
    notices = visitor.page.get_by_role("region", name="Please note")
    await expect(notices).to_contain_text("<img src=x onerror=alert(1)> Bring a blanket")
    assert await notices.locator("img").count() == 0


async def test_nothing_moves_while_posters_arrive(visit: Visit, jazz: Sale, rock: Sale) -> None:
    """The score of shifts after the first paint, as browsers measure it (below 0.1 is good)."""
    visitor = await visit(viewport={"width": 360, "height": 740})
    await visitor.page.add_init_script(
        "window.shift = 0; new PerformanceObserver((list) => { for (const one of list.getEntries())"
        " if (!one.hadRecentInput) window.shift += one.value; })"
        ".observe({ type: 'layout-shift', buffered: true });"
    )
    await visitor.open()
    await visitor.page.wait_for_load_state("networkidle")
    assert await visitor.page.evaluate("window.shift") < 0.1
    assert await visitor.overflow_px() == 0


def _tags(shop: Running, path: str) -> tuple[str, dict[str, str]]:
    answer = answered(shop.api.get(path), 200)
    html = answer.raw.decode()
    found: Any = re.findall(r'<meta property="og:(\w+)" content="([^"]*)">', html)
    return html, dict(found)


async def test_programs_without_scripts_read_what_a_page_is_about(
    shop: Running, jazz: Sale
) -> None:
    html, tags = _tags(shop, f"/concerts/{jazz.concert_id}")
    assert tags["title"] == "Zebra Quartet · The Encores"
    assert "One evening." in tags["description"]
    data = re.search(r'<script type="application/ld\+json">(.*?)</script>', html)
    assert data
    [event] = json.loads(data[1])["@graph"]
    assert (event["@type"], event["name"]) == ("Event", "Zebra Quartet")
    assert "<noscript>\n      <h1>Zebra Quartet" in html


async def test_other_addresses_have_the_common_head(shop: Running) -> None:
    for concert_id in ("x", "00000000-0000-7000-8000-000000000000"):
        html, tags = _tags(shop, f"/concerts/{concert_id}")
        assert tags == {}
        assert "<title>boxoffice</title>" in html


async def test_an_organizer_sets_the_poster_on_the_console(
    visit: Visit, seller: Person, rock: Sale
) -> None:
    visitor = await visit(person=seller, expected=["404", "422"])
    page = visitor.page
    await visitor.open(f"/organizer/concerts/{rock.concert_id}")
    await page.locator("summary", has_text="Poster").click()
    file = page.get_by_label("Choose a picture")
    await file.set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": b"no picture"})
    await expect(page.get_by_text("This is no JPEG, PNG or WebP.")).to_be_visible()
    await file.set_input_files({"name": "a.jpg", "mimeType": "image/jpeg", "buffer": picture()})
    await expect(page.get_by_text("The poster is set.")).to_be_visible()
    await page.get_by_label("What the picture shows").fill("Rockets")
    await visitor.button("Save the description").click()
    await expect(visitor.toast("The description is saved.")).to_be_visible()
    await expect(page.get_by_role("img", name="Rockets")).to_be_visible()
