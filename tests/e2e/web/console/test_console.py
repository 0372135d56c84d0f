"""An organizer puts a concert on sale, watches it, and finds what was sold, in a real browser."""

import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import FilePayload, Page, Route, expect

from tests.e2e.api.client import PASSWORD, Person, Sale, sign_up
from tests.e2e.api.client import expect as answered
from tests.e2e.api.conftest import Running, draft, hold, on_sale
from tests.e2e.web.conftest import Visit
from tests.e2e.web.visitor import Visitor

from .conftest import Enter

pytestmark = pytest.mark.asyncio(loop_scope="session")

HEADER = "section,row,number,grade,price"
SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(2)>"
PHONE = {"width": 360, "height": 740}
WIDE = {"width": 1280, "height": 900}
_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


def file(text: str) -> dict[str, Any]:
    """A CSV file to choose."""
    return {"name": "hall.csv", "mimeType": "text/csv", "buffer": text.encode()}


async def choose(visitor: Visitor, text: str) -> None:
    """Choose a CSV file."""
    await visitor.page.get_by_label("CSV file").set_input_files(file(text))  # type: ignore[arg-type]


async def agree(visitor: Visitor, name: str) -> None:
    """Press a button, and the one of that name in the dialog that comes."""
    await visitor.button(name).click()
    await visitor.page.get_by_role("dialog").get_by_role("button", name=name).click()


async def test_from_nothing_to_a_sale(visit: Visit, organizer: Person, guest: Person) -> None:
    visitor = await visit(expected=["422"])
    page = visitor.page
    await visitor.open("/organizer")
    await visitor.page.locator("main").get_by_role("link", name="Log in").click()
    await visitor.log_in(organizer.email, PASSWORD)
    await expect(visitor.heading("Organizer's console")).to_be_visible()

    await _create_a_draft(visitor)
    await _add_a_schedule(visitor)
    await _import_seats(visitor)
    schedule_id = page.url.split("/")[-2]
    await _publish_and_open(visitor, schedule_id)

    held = hold(guest, Sale("", schedule_id), "A-1-1").json["reservation_id"]
    answered(guest.api.keyed("/v1/payments", {"reservation_id": held, "method": "wallet"}), 201)
    await expect(page.locator(".tile", has_text="Revenue")).to_contain_text("₩9,000")
    await expect(page.locator(".tile", has_text="Sold")).to_contain_text("1")
    await page.get_by_text("Statistics as a table").click()
    await expect(page.get_by_role("cell", name="₩9,000")).to_have_count(1)
    await _find_the_reservation(visitor, guest)

    await page.goto(f"/organizer/schedules/{schedule_id}/activity")
    actions = page.locator("tbody td:nth-child(2)")
    await expect(actions).to_have_count(6)
    assert await actions.all_text_contents() == [
        "Reservation shown with its buyer",
        "1 reservation shown with its buyerFiltered by e-mail address",
        "1 reservation shown with its buyer",
        "Sale opened",
        "3 seats imported",
        "Schedule added",
    ]
    await page.goto(f"/organizer/schedules/{schedule_id}")
    await agree(visitor, "Close the sale")
    await expect(page.get_by_text("Closed", exact=True)).to_be_visible()


async def _create_a_draft(visitor: Visitor) -> None:
    page = visitor.page
    await visitor.link("New concert").click()
    await visitor.button("Create the draft").click()
    await expect(page.locator(".field-error:not(:empty)")).to_have_count(3)
    await page.get_by_label("Title").fill(f"Spring {SCRIPT}")
    await page.get_by_label("Artist").fill("The Encores")
    await page.get_by_label("Venue").fill("Olympic Hall")
    await visitor.button("Create the draft").click()
    await expect(visitor.title(f"Spring {SCRIPT}")).to_be_visible()


async def _add_a_schedule(visitor: Visitor) -> None:
    page = visitor.page
    await page.get_by_label("Starts at").fill("2030-05-01T19:30")
    await page.get_by_label("Sale opens at").fill("2024-05-01T12:00")
    await page.get_by_label("Sale closes at").fill("2024-05-01T11:00")
    await visitor.button("Add the schedule").click()
    complaint = page.locator(".field", has_text="Sale closes at").locator(".field-error")
    await expect(complaint).to_contain_text("close")
    await page.get_by_label("Sale closes at").fill("")
    await visitor.button("Add the schedule").click()


async def _import_seats(visitor: Visitor) -> None:
    page = visitor.page
    await expect(page.get_by_text("The schedule has 0 seats.")).to_be_visible()
    await choose(visitor, f"{HEADER}\nA,1,1,VIP,9000\nA,1,x,VIP,9000\n\nA,1,1,VIP,{SCRIPT}\n")
    await expect(page.get_by_text("2 lines have errors")).to_be_visible()
    lines = page.locator(".import-result tbody td:first-child")
    assert await lines.all_text_contents() == ["3", "5"]
    await expect(page.locator(".import-result code").last).to_contain_text(SCRIPT[:20])
    await choose(visitor, f"{HEADER}\nA,1,1,VIP,9000\nA,1,2,VIP,9000\nB,1,1,R,5000\n")
    await expect(page.get_by_text("3 seats can be added.")).to_be_visible()
    await visitor.button("Add 3 seats").click()
    await expect(page.get_by_text("The schedule has 3 seats.")).to_be_visible()
    await expect(page.get_by_text("Publish the concert before you open the sale.")).to_be_visible()


async def _publish_and_open(visitor: Visitor, schedule_id: str) -> None:
    page = visitor.page
    await page.locator(".notice").get_by_role("link").click()
    await agree(visitor, "Publish")
    await expect(page.get_by_text("Published", exact=True)).to_be_visible()
    await page.goto(f"/organizer/schedules/{schedule_id}")
    await agree(visitor, "Open the sale")
    await expect(page.get_by_text("On sale", exact=True)).to_be_visible()


async def _find_the_reservation(visitor: Visitor, guest: Person) -> None:
    page = visitor.page
    await visitor.link("Reservations").click()
    await page.get_by_label("E-mail").fill(guest.email.upper())
    await visitor.button("Search").click()
    await expect(page.get_by_text("1 reservation", exact=True)).to_be_visible()
    await page.get_by_role("link", name=re.compile("History")).click()
    await expect(page.locator(".events li")).to_have_count(5)
    await expect(page.get_by_text("Ticket for A-1-1 issued")).to_be_visible()


@pytest.fixture(scope="module")
def sold(shop: Running, organizer: Person, guest: Person) -> tuple[Sale, str]:
    """A sale in which something was sold, held and refused, and the id of a reservation."""
    sale = on_sale(organizer, 60)
    paid = hold(guest, sale, "A-1-1", "A-1-2").json["reservation_id"]
    answered(guest.api.keyed("/v1/payments", {"reservation_id": paid, "method": "wallet"}), 201)
    hold(guest, sale, "A-1-3")
    answered(organizer.api.keyed(sale.holds, {"seat_ids": ["A-1-1"]}), 409, "seat_taken")
    return sale, paid


async def troubles(page: Page) -> list[str]:
    """What axe finds that is serious or worse."""
    found: Any = await Axe().run(page, options={"runOnly": {"type": "tag", "values": _TAGS}})
    return [
        f"{violation['id']}: {node['html'][:160]}"
        for violation in found.response["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


@pytest.mark.parametrize(
    ("locale", "scheme", "viewport"),
    [("en-US", "light", WIDE), ("ko-KR", "dark", PHONE)],
    ids=["english-light-wide", "korean-dark-phone"],
)
async def test_every_page_is_accessible_and_fits(
    enter: Enter,
    organizer: Person,
    sold: tuple[Sale, str],
    locale: str,
    scheme: str,
    viewport: dict[str, int],
) -> None:
    sale, paid = sold
    visitor = await enter(
        organizer, "/organizer", locale=locale, color_scheme=scheme, viewport=viewport
    )
    schedule = f"/organizer/schedules/{sale.schedule_id}"
    pages = {
        "home": "/organizer",
        "new": "/organizer/new",
        "concert": f"/organizer/concerts/{sale.concert_id}",
        "live": schedule,
        "seats": f"/organizer/schedules/{draft(organizer, 3).schedule_id}/seats",
        "queue": f"{schedule}/queue",
        "reservations": f"{schedule}/reservations",
        "history": f"/organizer/reservations/{paid}",
        "activity": "/organizer/activity",
    }
    for name, path in pages.items():
        await visitor.page.goto(path)
        await expect(visitor.page.locator("main h1")).to_be_visible()
        if name == "live":
            await expect(visitor.page.locator(".refusals li").first).to_be_visible()
        if name == "seats":
            text = f"{HEADER}\nB,1,1,VIP,9000\nB,1,2,,9000\nB,1,3,VIP,-1\n"
            await visitor.page.locator("#seat-map-file").set_input_files(file(text))  # type: ignore[arg-type]
            await expect(visitor.page.locator(".import-result tbody tr")).to_have_count(2)
        for summary in await visitor.page.locator("summary").all():
            await summary.click()
        await keep(visitor.page, f"{name}-{locale}-{scheme}-{viewport['width']}")
        assert await visitor.overflow_px() <= 0, name
        assert await troubles(visitor.page) == [], name


@pytest.mark.parametrize(
    ("locale", "scheme", "viewport"),
    [("en-US", "light", WIDE), ("ko-KR", "dark", PHONE)],
    ids=["english-light-wide", "korean-dark-phone"],
)
async def test_an_operator_looks_at_all_and_takes_a_concert_down(
    enter: Enter,
    visit: Visit,
    organizer: Person,
    operator: Person,
    guest: Person,
    locale: str,
    scheme: str,
    viewport: dict[str, int],
) -> None:
    sale = on_sale(organizer, 3)
    paid = hold(guest, sale, "A-1-1").json["reservation_id"]
    answered(guest.api.keyed("/v1/payments", {"reservation_id": paid, "method": "wallet"}), 201)
    look: dict[str, Any] = {"locale": locale, "color_scheme": scheme, "viewport": viewport}
    named = f"{locale}-{scheme}-{viewport['width']}"
    visitor = await enter(operator, "/organizer", **look)
    page = visitor.page
    await expect(page.locator(f'.own-concert[href$="{sale.concert_id}"]')).to_contain_text(
        "Organizer"
    )
    concert = f"/organizer/concerts/{sale.concert_id}"
    pages = {
        "operator-home": "/organizer",
        "operator-live": f"/organizer/schedules/{sale.schedule_id}",
        "operator-queue": f"/organizer/schedules/{sale.schedule_id}/queue",
        "operator-activity": "/organizer/activity",
        "audit": "/organizer/audit",
        "operator-concert": concert,
    }
    await _assert_pages_are_accessible(visitor, pages, named)

    await page.get_by_role("textbox").fill("Not theirs to sell")
    await page.locator("form button").click()
    notice = page.locator("main .notice.warn")
    await expect(notice).to_contain_text("Not theirs to sell")
    await keep(page, f"operator-down-{named}")
    assert await troubles(page) == []

    mine = await enter(organizer, concert, **look)
    await expect(mine.page.locator("main .notice.warn")).to_contain_text("Not theirs to sell")
    await expect(mine.page.locator("main .notice.warn button")).to_have_count(0)
    await mine.page.goto(f"/organizer/schedules/{sale.schedule_id}")
    await expect(mine.page.locator("main .notice.warn").first).to_contain_text("Not theirs")

    holder = await visit(person=guest, expected=["404"], **look)
    await holder.open(f"/reservations/{paid}")
    await expect(holder.page.locator(".ticket")).to_have_count(1)
    await expect(holder.page.locator(".ticket .qr")).to_be_visible()
    await keep(holder.page, f"ticket-of-taken-down-{named}")
    assert await troubles(holder.page) == []

    await notice.get_by_role("button").click()
    await page.locator("dialog button.primary").click()
    await expect(notice).to_have_count(0)


async def _assert_pages_are_accessible(visitor: Visitor, pages: dict[str, str], named: str) -> None:
    page = visitor.page
    for name, path in pages.items():
        await page.goto(path)
        await expect(page.locator("main h1")).to_be_visible()
        for summary in await page.locator("summary").all():
            await summary.click()
        await keep(page, f"{name}-{named}")
        assert await visitor.overflow_px() <= 0, name
        assert await troubles(page) == [], name


async def test_how_a_file_was_read_is_said(enter: Enter, organizer: Person) -> None:
    sale = draft(organizer, 0)
    visitor = await enter(organizer, f"/organizer/schedules/{sale.schedule_id}/seats")
    rows = [f"{HEADER},", "가,1,1,VIP,9000,", "나,1,1,R,5000,", ",,,,,"]
    text = "\n".join(rows).replace(",", ";").encode("cp949")
    upload: FilePayload = {"name": "seats.csv", "mimeType": "text/csv", "buffer": text}
    await visitor.page.locator("#seat-map-file").set_input_files(upload)
    said = visitor.page.locator(".import-result .hint")
    await expect(said).to_have_text(
        "Read as CP949 (Korean), with semicolons between the fields."
        " 1 empty row is ignored. 1 empty column at the right is ignored."
    )
    await keep(visitor.page, "seats-assumed")
    bad = (text + "\n다;1;x;R;1;".encode("cp949")).replace(b";;;;;", b"")
    await visitor.page.locator("#seat-map-file").set_input_files({**upload, "buffer": bad})
    await expect(visitor.page.locator(".import-result tbody code")).to_have_text("다;1;x;R;1;")
    await visitor.page.locator("#seat-map-file").set_input_files(upload)
    await visitor.button("Add 2 seats").click()
    await expect(visitor.page.get_by_text("The schedule has 2 seats.")).to_be_visible()


async def keep(page: Page, name: str) -> None:
    """Take a picture where `BOXOFFICE_TEST_SCREENSHOTS` names a folder."""
    folder = os.environ.get("BOXOFFICE_TEST_SCREENSHOTS")
    if folder:
        await page.screenshot(path=Path(folder) / f"console-{name}.png", full_page=True)


async def test_a_hundred_thousand_lines(enter: Enter, organizer: Person) -> None:
    sale = draft(organizer, 0)
    visitor = await enter(organizer, f"/organizer/schedules/{sale.schedule_id}/seats")
    rows = (f"S{at // 5000},{at % 5000 // 50},{1 + at % 50},R,1000" for at in range(100_000))
    await choose(visitor, "\n".join([HEADER, *rows]))
    button = visitor.button("Add 100,000 seats")
    await expect(button).to_be_visible(timeout=60_000)
    await button.click()
    total = visitor.page.get_by_text("The schedule has 100,000 seats.")
    await expect(total).to_be_visible(timeout=60_000)


async def test_without_news_the_last_stats_stay(
    enter: Enter, organizer: Person, sold: tuple[Sale, str]
) -> None:
    sale, _ = sold
    visitor = await enter(
        organizer, f"/organizer/schedules/{sale.schedule_id}", expected=["ERR_", "503"]
    )
    page = visitor.page
    tile = page.locator(".tile", has_text="Sold")
    await expect(tile).to_contain_text("2")
    await page.route("**/stats*", lambda route: route.abort())
    await expect(page.get_by_text("No update since")).to_be_visible()
    await expect(tile).to_contain_text("2")
    await page.unroute("**/stats*")
    await expect(page.get_by_text("No update since")).to_be_hidden()


async def test_the_waiting_room_is_controlled(enter: Enter, organizer: Person) -> None:
    sale = on_sale(organizer, 10)
    visitor = await enter(organizer, f"/organizer/schedules/{sale.schedule_id}/queue")
    page = visitor.page
    await page.get_by_label("First come, first served").check()
    await page.get_by_label("Admissions per second").fill("7.5")
    await page.get_by_label("Maximum inside").fill("50")
    await visitor.button("Save").click()
    await expect(visitor.button("Pause")).to_be_visible()
    await visitor.button("Pause").click()
    await expect(page.get_by_text("Paused: no admissions")).to_be_visible()
    room = answered(organizer.api.get(f"/v1/admin/schedules/{sale.schedule_id}/queue"), 200).json
    assert (room["mode"], room["rate_per_s"], room["inside_max"]) == ("fifo", 7.5, 50)
    await visitor.button("Resume").click()
    await expect(visitor.button("Pause")).to_be_visible()
    # It is read anew every two seconds, and then it shows numbers as well.
    answered(sign_up(organizer.api).api.post(f"/v1/schedules/{sale.schedule_id}/queue"), 201)
    tiles = page.locator(".tiles .number")
    await expect(tiles).to_have_text([re.compile(r"^\d+$")] * 2)
    await expect(page.get_by_text("1 called")).to_be_visible()
    await expect(tiles).to_have_text([re.compile(r"^\d+$")] * 2)
    assert "[object" not in await page.locator("main").inner_text()
    await visitor.link("Activity log").click()
    await expect(page.get_by_text("Waiting room changed").first).to_be_visible()


@pytest.mark.parametrize(
    ("terms", "told"),
    [
        ({}, "On sale"),
        ({"sale_opens_at": timedelta(days=1)}, "Opens later"),
        ({"sale_opens_at": timedelta(days=-2), "sale_closes_at": timedelta(days=-1)}, "Sale ended"),
        ({"sale_opens_at": timedelta(days=-2), "starts_at": timedelta(days=-1)}, "Past"),
    ],
)
async def test_on_sale_is_said_of_what_is(
    enter: Enter, organizer: Person, terms: dict[str, timedelta], told: str
) -> None:
    now = datetime.now(UTC)
    sale = on_sale(organizer, 3, **{name: (now + by).isoformat() for name, by in terms.items()})
    visitor = await enter(organizer, f"/organizer/schedules/{sale.schedule_id}")
    await expect(visitor.page.locator(".console-head .chip")).to_have_text(told)
    await visitor.page.goto(f"/organizer/concerts/{sale.concert_id}")
    await expect(visitor.page.locator(".own-concert .chip")).to_have_text(told)
    await visitor.page.goto("/organizer")
    card = visitor.page.locator(f'.own-concert[href$="{sale.concert_id}"]')
    await expect(card.get_by_text("1 on sale")).to_have_count(int(told == "On sale"))


async def test_what_is_wrong_with_a_schedule_is_said_at_its_field(
    enter: Enter, organizer: Person
) -> None:
    sale = on_sale(organizer, 3)
    visitor = await enter(organizer, f"/organizer/concerts/{sale.concert_id}", expected=["422"])
    page = visitor.page
    await page.get_by_text("Add a schedule").click()
    await page.get_by_label("Starts at").fill("2031-01-01T19:00")
    opens = page.get_by_label("Sale opens")
    await opens.fill("2031-01-01T19:00")
    await visitor.button("Add the schedule").click()
    await expect(opens).to_have_attribute("aria-invalid", "true")


async def test_others_see_nothing(
    enter: Enter, visit: Visit, stranger: Person, guest: Person, sold: tuple[Sale, str]
) -> None:
    sale, paid = sold
    visitor = await enter(stranger, "/organizer", expected=["404"])
    for path in (
        f"/organizer/schedules/{sale.schedule_id}",
        f"/organizer/concerts/{sale.concert_id}",
        f"/organizer/reservations/{paid}",
    ):
        await visitor.page.goto(path)
        await expect(visitor.heading("Page not found")).to_be_visible()
    visitor = await enter(guest, "/organizer", expected=["403"])
    await expect(visitor.heading("Sell tickets")).to_be_visible()
    nobody = await visit()
    await nobody.open(f"/organizer/schedules/{sale.schedule_id}")
    await expect(nobody.page.locator("main").get_by_role("link", name="Log in")).to_be_visible()


async def test_no_field_leaves_its_form(enter: Enter, organizer: Person) -> None:
    """One of a time with seconds is wider than a phone by itself."""
    sale = on_sale(organizer, 3)
    room = f"/v1/admin/schedules/{sale.schedule_id}/queue"
    answered(organizer.api.post(room, {"mode": "fifo"}), 200)
    path = f"/organizer/schedules/{sale.schedule_id}/queue"
    visitor = await enter(organizer, path, viewport=PHONE)
    await expect(visitor.page.locator("form input[type=datetime-local]")).to_be_visible()
    leaving = """() => [...document.querySelectorAll("form .input")].filter((one) =>
        one.getBoundingClientRect().right > one.closest("form").getBoundingClientRect().right + 1
    ).map((one) => one.type)"""
    assert await visitor.page.evaluate(leaving) == []


# Sizes and lines of what shows numbers; a number that wraps has more than one line.
_WRAPPED = """() => [...document.querySelectorAll(".tile dd, .chart-now, .share-names li")]
    .filter((one) => {
        const range = document.createRange();
        range.selectNodeContents(one);
        const lines = new Set([...range.getClientRects()].map((box) => Math.round(box.top)));
        const box = one.parentElement;
        return lines.size > 1 || box.scrollWidth > box.clientWidth;
    }).map((one) => one.textContent)"""


@pytest.mark.parametrize("width", [360, 700, 1024, 1440])
async def test_no_number_wraps_and_none_leaves_its_tile(
    enter: Enter, organizer: Person, width: int
) -> None:
    sale = on_sale(organizer, 10)
    visitor = await enter(
        organizer,
        f"/organizer/schedules/{sale.schedule_id}",
        viewport={"width": width, "height": 900},
    )
    page = visitor.page

    async def many(route: Route) -> None:
        answer = await route.fetch()
        stats = await answer.json()
        stats["revenue"]["amount"] = 9_876_543_210_000
        stats["sales"] = 98_765_432
        for point in stats["series"]:
            point["revenue"] = 9_876_543_210_000
        await route.fulfill(json=stats)

    await page.route("**/stats?*", many)
    await expect(page.locator(".tile", has_text="Revenue")).to_contain_text("₩9,876,543,210,000")
    assert await page.evaluate(_WRAPPED) == []
    assert await visitor.overflow_px() <= 0
