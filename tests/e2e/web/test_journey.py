"""The buyer's way through the shop, in a browser: to the end, and through what goes wrong on it."""

import asyncio
import re
from datetime import datetime, timedelta

import pytest
from playwright.async_api import Page, Route, expect

from boxoffice.platform.ids import parse_scoped
from boxoffice.platform.postgres.database import Database
from boxoffice.settings import Settings
from tests.e2e.api.client import PASSWORD, Person, Sale, sign_up
from tests.e2e.api.client import expect as answered
from tests.e2e.api.conftest import Running, hold, on_sale, rich
from tests.support.hall import Hall

from .conftest import Visit
from .visitor import Visitor

pytestmark = pytest.mark.asyncio(loop_scope="session")

HELD = re.compile(r"/reservations/")
PAYMENTS = "**/v1/payments"
HOLD_TTL_S = 120


@pytest.fixture
def sale(seller: Person) -> Sale:
    """A concert of 40 seats: section A, rows of ten."""
    return on_sale(seller, 40)


def balance(person: Person) -> int:
    """The balance of a user's wallet, in minor units."""
    return int(answered(person.api.get("/v1/me/wallet"), 200).json["balance"])


def reservations(person: Person) -> list[dict[str, object]]:
    """A user's reservations, newest first."""
    found = answered(person.api.get("/v1/me/reservations"), 200).json["items"]
    return [dict(one) for one in found]


async def let_lapse(shop: Running, person: Person) -> None:
    """Let the time of this person's last hold pass on the server."""
    own = parse_scoped(str(reservations(person)[0]["reservation_id"]))
    assert own is not None
    schedule_id, reservation_id = own
    db = Database(Settings.of(database_url=shop.database_url))
    await db.open()
    try:
        await Hall(db, schedule_id, (), ()).lapse(reservation_id)
    finally:
        await db.close()


async def hold_chosen(visitor: Visitor) -> None:
    """Ask for what is chosen, and see the reservation."""
    await visitor.page.locator(".selection .button.primary").click()
    await visitor.page.wait_for_url(HELD)
    await expect(visitor.page.locator(".big-clock")).to_have_text(re.compile(r"\d:\d\d"))


async def test_from_the_list_of_concerts_to_a_ticket(
    visit: Visit, shop: Running, sale: Sale
) -> None:
    visitor = await visit(expected=["401"])
    await visitor.open()
    await visitor.page.get_by_role("searchbox").fill("봄의 encores")
    await visitor.page.locator(f'a[href="/concerts/{sale.concert_id}"]').click()
    await expect(visitor.title("봄의 노래")).to_be_visible()
    await expect(visitor.page.locator(".left")).to_have_text("40 of 40 seats left")
    await visitor.link("Choose seats", exact=False).click()

    # The visitor is not logged in yet: the choice waits for the log-in.
    await click_seat(visitor.page, 0.5, 0.5)
    await expect(visitor.page.locator(".selected-seats li")).to_have_count(1)
    await visitor.button("Hold 1 seat").click()
    await visitor.page.get_by_role("dialog").get_by_role("link", name="New here? Sign up").click()
    email = "buyer-of-the-journey@example.test"
    await visitor.page.get_by_label("Name").fill("김민수")
    await visitor.page.get_by_label("E-mail").fill(email)
    await visitor.page.get_by_label("Password").fill(PASSWORD)
    await visitor.button("Sign up").click()
    await hold_chosen(visitor)

    # The wallet is empty: it can be topped up in place.
    await expect(visitor.page.get_by_text("is missing")).to_be_visible()
    await visitor.button("Top up").click()
    async with visitor.page.expect_request(PAYMENTS) as payment:
        await visitor.page.get_by_role("button", name=re.compile("^Pay ")).click()
    # An edge routes by it.
    assert (await payment.value).headers["schedule-id"] == sale.schedule_id
    await expect(visitor.page.locator("svg.qr")).to_have_count(1)
    await expect(visitor.title("봄의 노래")).to_be_visible()
    path = await visitor.page.locator("svg.qr path").get_attribute("d")
    assert path is not None
    assert path.count("M") > 200

    await visitor.link("My page").first.click()
    await expect(visitor.page.locator(".rows").first).to_contain_text("paid")
    await visitor.button("Log out").click()
    await expect(visitor.link("Log in")).to_be_visible()


async def click_seat(page: Page, x: float, y: float) -> None:
    """Click the map until a seat is chosen: the first clicks may only bring it nearer."""
    box = await page.locator("canvas.seat-map").bounding_box()
    assert box is not None
    for attempt in range(12):
        await page.mouse.click(
            box["x"] + box["width"] * x, box["y"] + box["height"] * y + attempt * 9
        )
        if await page.locator(".selected-seats .swatch").count():
            return


async def ask_together(visitors: list[Visitor], sale: Sale) -> None:
    """Ask for what each has chosen; no request goes out before all of them have clicked.

    A slower one would see in the map that the seat is gone, and have nothing left to click.
    """
    all_clicked = asyncio.Barrier(len(visitors))

    async def wait(route: Route) -> None:
        await all_clicked.wait()
        await route.continue_()

    for visitor in visitors:
        await visitor.page.route(f"**{sale.holds}", wait, times=1)
    await asyncio.gather(*(visitor.button("Hold 1 seat").click() for visitor in visitors))


@pytest.mark.parametrize("other_seat", ["A-2-5", "A-3-5"])
async def test_two_browsers_want_a_seat_at_the_same_moment(
    visit: Visit, shop: Running, sale: Sale, other_seat: str
) -> None:
    """With two different seats, the control, both get what they want."""
    wanted = ["A-2-5", other_seat]
    people = [rich(shop.api) for _ in wanted]
    visitors = [await visit(person=person, expected=["409"]) for person in people]
    for visitor, seat in zip(visitors, wanted, strict=True):
        await visitor.open_seats(sale, seat)
    await ask_together(visitors, sale)
    faster = [visitor.heading("Another buyer was faster") for visitor in visitors]
    for visitor, too_late in zip(visitors, faster, strict=True):
        await expect(too_late.or_(visitor.page.locator(".big-clock"))).to_be_visible()
    losers = [at for at, too_late in enumerate(faster) if await too_late.is_visible()]
    assert len(losers) == (1 if other_seat == wanted[0] else 0)
    for at in losers:
        await visitors[at].button("Hold these instead").click()
        await expect(visitors[at].page.locator(".big-clock")).to_be_visible()
    seats = [reservations(person)[0]["seats"] for person in people]
    assert seats[0] != seats[1]


async def test_time_runs_out_while_the_buyer_hesitates(
    visit: Visit, shop: Running, seller: Person, buyer: Person
) -> None:
    """The time is let pass once the page has shown it, so that a slow machine sees it too."""
    sale = on_sale(seller, 20, hold_ttl_s=HOLD_TTL_S)
    visitor = await visit(person=buyer)
    await visitor.page.clock.install()
    await visitor.open_seats(sale, "A-1-1")
    await hold_chosen(visitor)
    await let_lapse(shop, buyer)
    await visitor.page.clock.fast_forward(1000 * HOLD_TTL_S)
    await expect(visitor.page.get_by_text("The hold expired before payment")).to_be_visible()
    await visitor.link("Choose seats again").click()
    await visitor.unfold()
    await expect(visitor.seat("A-1-1")).to_have_attribute("aria-label", re.compile("free$"))


async def test_seats_are_given_back(visit: Visit, sale: Sale, buyer: Person) -> None:
    visitor = await visit(person=buyer)
    await visitor.open_seats(sale, "A-1-1", "A-1-2")
    await hold_chosen(visitor)
    await visitor.button("Release the seats").click()
    await expect(visitor.page.get_by_text("You released these seats")).to_be_visible()
    assert reservations(buyer)[0]["status"] == "CANCELLED"


@pytest.mark.parametrize("is_decided", [True, False], ids=["answer-lost", "request-lost"])
async def test_a_reload_in_the_middle_of_paying_pays_once(
    visit: Visit, sale: Sale, buyer: Person, is_decided: bool
) -> None:
    visitor = await visit(person=buyer, expected=["ERR_"])
    await visitor.open_seats(sale, "A-1-1")
    await hold_chosen(visitor)
    before = balance(buyer)
    keys = []

    async def lose(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if is_decided and len(keys) == 1:
            await route.fetch()
        await route.abort()

    await visitor.page.route(PAYMENTS, lose)
    await visitor.page.get_by_role("button", name=re.compile("^Pay ")).click()
    await expect(visitor.page.get_by_text("Retrying the same payment")).to_be_visible()
    await visitor.page.unroute(PAYMENTS)
    await visitor.page.reload()
    await expect(visitor.page.locator("svg.qr")).to_have_count(1)
    assert len(set(keys)) == 1
    assert balance(buyer) == before - 110_000


async def test_a_hold_whose_answer_is_lost_is_asked_for_again_under_its_key(
    visit: Visit, sale: Sale, buyer: Person
) -> None:
    visitor = await visit(person=buyer, expected=["ERR_"])
    await visitor.open_seats(sale, "A-4-1")
    path = f"**{sale.holds}"

    async def lose(route: Route) -> None:
        await route.fetch()
        await route.abort()

    await visitor.page.route(path, lose, times=1)
    await visitor.button("Hold 1 seat").click()
    await visitor.page.wait_for_url(HELD)
    assert len(reservations(buyer)) == 1


async def test_a_hold_that_was_asked_for_before_a_reload_is_found_after_it(
    visit: Visit, sale: Sale, buyer: Person
) -> None:
    visitor = await visit(person=buyer, expected=["ERR_"])
    await visitor.open_seats(sale, "A-4-2")
    path = f"**{sale.holds}"

    async def lose(route: Route) -> None:
        await route.fetch()
        await route.abort()

    await visitor.page.route(path, lose)
    await visitor.button("Hold 1 seat").click()
    await expect(visitor.page.get_by_text("Retrying the same request")).to_be_visible()
    await visitor.page.unroute(path)
    await visitor.page.reload()
    await visitor.page.wait_for_url(HELD)
    assert len(reservations(buyer)) == 1


async def test_a_session_that_ends_in_the_middle_is_renewed_in_place(
    visit: Visit, shop: Running, sale: Sale
) -> None:
    person = sign_up(shop.api)
    stale = Person(person.user_id, person.email, shop.api.of("not.a.token"))
    visitor = await visit(person=stale, expected=["401"])
    await visitor.open_seats(sale, "A-1-7")
    await visitor.button("Hold 1 seat").click()
    dialog = visitor.page.get_by_role("dialog")
    await expect(dialog.get_by_label("E-mail")).to_have_value(person.email)
    await dialog.get_by_label("Password").fill("wrong password")
    await dialog.get_by_role("button", name="Log in").click()
    await expect(dialog.get_by_text("E-mail and password do not match.")).to_be_visible()
    await dialog.get_by_label("Password").fill(PASSWORD)
    await dialog.get_by_role("button", name="Log in").click()
    await visitor.page.wait_for_url(HELD)
    (held,) = reservations(person)
    assert [seat["seat_id"] for seat in held["seats"]] == ["A-1-7"]  # type: ignore[attr-defined]


async def test_the_best_seats_are_held_in_one_step(visit: Visit, sale: Sale, buyer: Person) -> None:
    visitor = await visit(person=buyer)
    await visitor.open_seats(sale)
    await visitor.page.get_by_label("How many").select_option("3")
    await visitor.page.get_by_label("Grade", exact=True).select_option("R")
    await visitor.button("Hold the best seats").click()
    await visitor.page.wait_for_url(HELD)
    await expect(visitor.page.locator(".lines li")).to_have_count(3)


async def test_a_seat_that_would_stay_alone_is_pointed_out(visit: Visit, sale: Sale) -> None:
    visitor = await visit()
    await visitor.open_seats(sale, "A-1-1", "A-1-3")
    await expect(visitor.page.get_by_text("seat 2 would be left as a single seat")).to_be_visible()
    await visitor.seat("A-1-2").click()
    await expect(visitor.page.get_by_text("would be left as a single seat")).to_be_hidden()


async def test_a_sale_that_has_not_begun_is_counted_down_by_the_shops_clock(
    visit: Visit, seller: Person, shop: Running
) -> None:
    soon = answered(shop.api.get("/v1/clock"), 200).json["now"]
    visitor = await visit()
    # This machine's clock is a year wrong; the page has another one.
    await visitor.page.clock.install(time="2025-01-01T00:00:00Z")
    sale = on_sale(seller, 20, sale_opens_at=later(soon, 8))
    await visitor.page.goto(f"/schedules/{sale.schedule_id}")
    clock = visitor.page.locator(".seats-head .clock")
    await expect(clock).to_have_text(re.compile(r"^0:0\d$"))
    await expect(clock).to_be_hidden()
    await expect(visitor.page.get_by_text("not on sale right now")).to_be_hidden()


def later(moment: str, seconds: int) -> str:
    """A moment so many seconds later."""
    return (datetime.fromisoformat(moment) + timedelta(seconds=seconds)).isoformat()


async def test_another_persons_reservation_is_not_there(
    visit: Visit, sale: Sale, buyer: Person, shop: Running
) -> None:
    held = hold(buyer, sale, "A-2-1").json
    visitor = await visit(person=sign_up(shop.api), expected=["404"])
    await visitor.page.goto(f"/reservations/{held['reservation_id']}")
    await expect(visitor.heading("Page not found")).to_be_visible()
