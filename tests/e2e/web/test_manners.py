"""What a page says goes with the page, and a page that takes its time says so at once."""

import asyncio
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import Locator, Page, Route, expect

from tests.e2e.api.client import Person, Sale
from tests.e2e.api.client import expect as answered
from tests.e2e.api.conftest import hold, on_sale
from tests.support.waiting import until

from .conftest import Visit
from .visitor import Visitor

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def sale(seller: Person) -> Sale:
    """A concert of 20 seats: section A, rows of ten."""
    return on_sale(seller, 20)


def tomorrow() -> str:
    """A moment before the performances of these tests."""
    return (datetime.now(UTC) + timedelta(days=1)).isoformat()


def languages(*preferred: str) -> str:
    """A script that makes a browser want these languages."""
    return f"Object.defineProperty(navigator, 'languages', {{ get: () => {list(preferred)} }})"


@pytest.mark.parametrize(
    ("preferred", "shown"),
    [
        (["kok-IN", "en"], "en"),
        (["kok", "ko-KR"], "ko"),
        (["KO"], "ko"),
        (["ko-Kore-KR", "en"], "ko"),
        (["enm", "ko"], "ko"),
        (["fr"], "en"),
    ],
)
async def test_a_language_is_known_by_its_primary_subtag(
    visit: Visit, preferred: list[str], shown: str
) -> None:
    """Konkani (`kok`) is not Korean, and Middle English (`enm`) is not English."""
    visitor = await visit()
    await visitor.page.add_init_script(languages(*preferred))
    await visitor.open()
    await expect(visitor.page.locator("html")).to_have_attribute("lang", shown)


async def delayed(page: Page, url: str) -> Callable[[], None]:
    """Hold the answers to `url` back until the returned function is called."""
    gate = asyncio.Event()

    async def wait(route: Route) -> None:
        await gate.wait()
        await route.continue_()

    await page.route(re.compile(url), wait)
    return gate.set


# The timers of a page stand still, so that a busy machine is not taken for a slow page.
_BEGIN, _STOPPED = "2030-01-01T00:00:00Z", "2030-01-01T01:00:00Z"
# From the start of a slow request to the sign that the page works.
_AT_ONCE_MS = 200


async def test_a_link_to_a_slow_page_shows_at_once_that_it_works(visit: Visit, sale: Sale) -> None:
    visitor = await visit()
    await visitor.page.clock.install(time=_BEGIN)
    await visitor.open()
    await visitor.page.evaluate("window.stays = true")
    await visitor.page.clock.pause_at(_STOPPED)
    let_go = await delayed(visitor.page, rf"/v1/concerts/{sale.concert_id}")
    await visitor.page.locator(f'a[href="/concerts/{sale.concert_id}"]').click()
    await visitor.page.clock.run_for(_AT_ONCE_MS)
    await expect(visitor.page.locator("main")).to_have_attribute("aria-busy", "true")
    await expect(visitor.page.get_by_role("progressbar")).to_be_visible()
    await expect(visitor.title("Concerts")).to_be_visible()
    let_go()
    await expect(visitor.title("봄의 노래")).to_be_visible()
    await expect(visitor.page.locator("main")).not_to_have_attribute("aria-busy", "true")
    await expect(visitor.page.get_by_role("progressbar")).to_be_hidden()
    assert await visitor.page.evaluate("window.stays")


async def test_a_page_that_comes_at_once_does_not_flicker(visit: Visit, sale: Sale) -> None:
    visitor = await visit()
    await visitor.open()
    seen = """() => {
        window.seen = 0;
        new MutationObserver(() => {
            if (document.querySelector("main").getAttribute("aria-busy")) window.seen += 1;
        }).observe(document.querySelector("main"), { attributes: true });
    }"""
    await visitor.page.evaluate(seen)
    await visitor.link("Log in").click()
    await expect(visitor.title("Log in")).to_be_visible()
    assert await visitor.page.evaluate("window.seen") == 0


async def test_the_first_page_of_a_visit_shows_that_it_works_too(visit: Visit, sale: Sale) -> None:
    visitor = await visit()
    let_go = await delayed(visitor.page, rf"/v1/concerts/{sale.concert_id}")
    await visitor.page.goto(f"/concerts/{sale.concert_id}")
    await expect(visitor.page.get_by_role("progressbar")).to_be_visible()
    let_go()
    await expect(visitor.title("봄의 노래")).to_be_visible()


async def test_what_a_page_says_goes_with_the_page(visit: Visit, sale: Sale, buyer: Person) -> None:
    visitor = await visit()
    await visitor.page.clock.install(time=_BEGIN)
    await visitor.open_seats(sale, "A-1-3")
    # No toast goes by its own time.
    await visitor.page.clock.pause_at(_STOPPED)
    await expect(visitor.page.locator(".live-note")).to_have_attribute("data-state", "live")
    hold(buyer, sale, "A-1-3")
    await expect(visitor.toast("seat 3 was just taken")).to_be_visible()
    await visitor.link("Concert and other dates", exact=False).click()
    await expect(visitor.title("봄의 노래")).to_be_visible()
    await expect(visitor.page.locator(".toast")).to_have_count(0)


async def test_what_is_said_on_the_way_to_a_page_stays_there(
    visit: Visit, sale: Sale, buyer: Person
) -> None:
    """The control: the same page said anew is not another page."""
    visitor = await visit(person=buyer)
    held = hold(buyer, sale, "A-1-3").json
    await visitor.open(f"/reservations/{held['reservation_id']}")
    await visitor.button("Release the seats").click()
    await expect(visitor.page.get_by_text("You released these seats")).to_be_visible()
    await expect(visitor.toast("The seats are on sale again.")).to_be_visible()


async def test_a_question_goes_with_its_page(visit: Visit, sale: Sale) -> None:
    visitor = await visit(expected=["401"])
    await visitor.open(f"/concerts/{sale.concert_id}")
    await visitor.link("Choose seats", exact=False).click()
    await visitor.unfold()
    await visitor.seat("A-1-1").click()
    await visitor.button("Hold 1 seat").click()
    await expect(visitor.page.get_by_role("dialog")).to_be_visible()
    await visitor.page.go_back()
    await expect(visitor.title("봄의 노래")).to_be_visible()
    await expect(visitor.page.get_by_role("dialog")).to_have_count(0)


async def point_at_a_seat(visitor: Visitor) -> Locator:
    """Move the mouse over the map until there is a seat below it; return what says which.

    The words follow with the next frame, when the mouse may have left the seat again.
    """
    box = await visitor.page.locator("canvas.seat-map").bounding_box()
    assert box is not None
    tip = visitor.page.locator(".seat-tip")
    middle = box["x"] + box["width"] / 2
    across = [(middle - 60 + 2 * step, box["y"] + 150) for step in range(60)]
    down = [(middle, box["y"] + 100 + 4 * step) for step in range(60)]
    for x, y in across + down:
        await visitor.page.mouse.move(x, y)
        if await tip.is_visible():
            await visitor.page.evaluate("() => new Promise(requestAnimationFrame)")
            if await tip.is_visible():
                return tip
    pytest.fail("there is no seat below the mouse")


async def test_what_stands_beside_the_mouse_follows_the_seat(
    visit: Visit, sale: Sale, buyer: Person
) -> None:
    visitor = await visit()
    await visitor.open(f"/schedules/{sale.schedule_id}")
    await expect(visitor.page.locator(".live-note")).to_have_attribute("data-state", "live")
    tip = await point_at_a_seat(visitor)
    await expect(tip).to_contain_text("free")
    found = re.search(r"row (\d+), seat (\d+)", await tip.inner_text())
    assert found
    hold(buyer, sale, f"A-{found[1]}-{found[2]}")
    await expect(tip).to_contain_text("held by another buyer", timeout=3_000)


async def test_what_stands_beside_the_mouse_goes_when_the_seat_moves_away(
    visit: Visit, sale: Sale
) -> None:
    visitor = await visit()
    await visitor.open(f"/schedules/{sale.schedule_id}")
    tip = await point_at_a_seat(visitor)
    await visitor.page.mouse.down()
    box = await visitor.page.locator("canvas.seat-map").bounding_box()
    assert box is not None
    await visitor.page.mouse.move(box["x"] + box["width"] - 20, box["y"] + box["height"] - 20)
    await expect(tip).to_be_hidden(timeout=2_000)
    await visitor.page.mouse.up()


async def test_keys_that_move_the_map_take_the_words_beside_the_mouse_along(
    visit: Visit, sale: Sale
) -> None:
    visitor = await visit()
    await visitor.open(f"/schedules/{sale.schedule_id}")
    tip = await point_at_a_seat(visitor)
    before = await tip.inner_text()
    await visitor.page.locator("canvas.seat-map").focus()
    for _ in range(4):
        await visitor.page.keyboard.press("Shift+ArrowRight")

    async def has_moved() -> bool:  # the map is drawn, and the words follow, with the next frame
        return (await tip.inner_text() if await tip.is_visible() else "") != before

    await until(has_moved, 2.0)


async def test_a_click_shows_in_the_words_beside_the_mouse(visit: Visit, sale: Sale) -> None:
    visitor = await visit()
    await visitor.open(f"/schedules/{sale.schedule_id}")
    tip = await point_at_a_seat(visitor)
    await visitor.page.mouse.down()
    await visitor.page.mouse.up()
    await expect(tip).to_contain_text("chosen by you", timeout=2_000)


async def test_a_sold_out_page_offers_nothing_that_is_not_there(
    visit: Visit, seller: Person, buyer: Person
) -> None:
    sale = on_sale(seller, 10)
    held = answered(buyer.api.keyed(sale.holds, {"quantity": 10}), 201).json
    visitor = await visit()
    await visitor.open(f"/schedules/{sale.schedule_id}")
    await expect(visitor.page.get_by_text("Every seat is sold or held")).to_be_visible()
    await expect(visitor.button("Hold the best seats")).to_be_hidden()
    await expect(visitor.page.get_by_text("Choose up to")).to_be_hidden()
    await expect(visitor.link("Other dates")).to_be_visible()
    buyer.api.delete(f"/v1/reservations/{held['reservation_id']}")
    await expect(visitor.button("Hold the best seats")).to_be_visible()
    await expect(visitor.link("Other dates")).to_be_hidden()


async def test_a_grade_that_is_gone_is_not_offered(
    visit: Visit, seller: Person, buyer: Person
) -> None:
    """Of 10 seats the first half is VIP."""
    sale = on_sale(seller, 10)
    answered(buyer.api.keyed(sale.holds, {"quantity": 5, "grade": "VIP"}), 201)
    visitor = await visit()
    await visitor.open(f"/schedules/{sale.schedule_id}")
    grade = visitor.page.get_by_label("Grade", exact=True)
    await expect(grade.locator("option", has_text="VIP")).to_be_disabled()
    await expect(grade.locator("option", has_text="R")).to_be_enabled()
    await expect(visitor.page.get_by_label("How many").locator("option")).to_have_count(5)


@pytest.mark.parametrize("state", ["soon", "closed"])
async def test_a_page_that_sells_nothing_now_offers_no_hold(
    visit: Visit, seller: Person, state: str
) -> None:
    sale = on_sale(seller, 10, **({"sale_opens_at": tomorrow()} if state == "soon" else {}))
    if state == "closed":
        answered(seller.api.post(f"/v1/admin/schedules/{sale.schedule_id}/close"), 200)
    visitor = await visit()
    await visitor.open(f"/schedules/{sale.schedule_id}?look")
    await expect(visitor.page.locator("canvas.seat-map")).to_be_visible()
    await expect(visitor.button("Hold the best seats")).to_be_hidden()
    await visitor.unfold()
    await visitor.seat("A-1-1").click()
    await expect(visitor.page.locator(".selection .button.primary")).to_be_hidden()
