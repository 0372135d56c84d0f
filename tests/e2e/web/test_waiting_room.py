"""The waiting room in a browser: a place that lasts, and the way in."""

import os
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from playwright.async_api import Page, expect

from tests.e2e.api.client import PASSWORD, Person, Sale, sign_up
from tests.e2e.api.client import expect as answered
from tests.e2e.api.conftest import Running, on_sale

from .conftest import Visit

pytestmark = pytest.mark.asyncio(loop_scope="session")

QUEUE = re.compile(r"/queue$")
PHONE: Any = {"width": 360, "height": 740}
# In Korean and in English.
WAITING = {
    "soon": ("줄을 섰습니다", "You are in the queue."),
    "kept": ("그동안 순번은 유지됩니다", "Your position is kept meanwhile."),
    "sign_up": ("회원가입", "Sign up"),
}


@pytest.fixture
def sale(seller: Person) -> Sale:
    """A concert of 20 seats: section A, rows of ten."""
    return on_sale(seller, 20)


def change(seller: Person, sale: Sale, **room: object) -> None:
    """Change the waiting room of a sale, as its organizer."""
    answered(seller.api.post(f"/v1/admin/schedules/{sale.schedule_id}/queue", room), 200)


async def test_through_the_waiting_room_to_a_hold(
    visit: Visit, seller: Person, sale: Sale, buyer: Person
) -> None:
    # While it is paused the page asks once in a third of the grace.
    change(seller, sale, mode="fifo", paused=True, grace_s=15)
    # On a busy machine Valkey may miss its deadline; the page asks again.
    visitor = await visit(person=buyer, expected=["503"])
    await visitor.page.goto(f"/schedules/{sale.schedule_id}")
    await visitor.page.wait_for_url(QUEUE)
    number = visitor.page.locator(".queue-number")
    await expect(number).to_have_text(re.compile(r"^\d+$"))
    await expect(visitor.page.get_by_text("has paused admission")).to_be_visible()
    ticket = f"JSON.parse(localStorage.getItem('boxoffice.queue.{sale.schedule_id}')).ticket"
    before = await visitor.page.evaluate(ticket)
    await visitor.page.reload()
    await expect(number).to_have_text(re.compile(r"^\d+$"))
    assert await visitor.page.evaluate(ticket) == before

    change(seller, sale, paused=False)
    await visitor.page.wait_for_url(re.compile(rf"/schedules/{sale.schedule_id}$"))
    await expect(visitor.toast("It is your turn.")).to_be_visible()
    await visitor.unfold()
    await visitor.seat("A-1-1").click()
    await visitor.button("Hold 1 seat").click()
    await visitor.page.wait_for_url(re.compile("/reservations/"))


async def test_who_has_no_pass_is_led_to_the_waiting_room(
    visit: Visit, seller: Person, sale: Sale, shop: Running
) -> None:
    """The control: without a waiting room the same click holds the seat."""
    visitor = await visit(person=sign_up(shop.api), expected=["403"])
    await visitor.open_seats(sale, "A-1-1")
    change(seller, sale, mode="fifo", paused=True)
    await expect_refusal(seller, sale, "A-2-10")
    await visitor.button("Hold 1 seat").click()
    await visitor.page.wait_for_url(QUEUE)
    await visitor.button("Leave").click()
    await expect(visitor.title("봄의 노래")).to_be_visible()


async def expect_refusal(seller: Person, sale: Sale, seat: str) -> None:
    """Wait until the process has heard of the waiting room; ask for a seat that no other test wants."""
    for _ in range(200):
        answer = seller.api.keyed(sale.holds, {"seat_ids": [seat]})
        if answer.status == 403:
            return
        seller.api.delete(f"/v1/reservations/{answer.json['reservation_id']}")
    pytest.fail("the waiting room is not there")


async def test_a_lobby_counts_down_to_its_draw(visit: Visit, seller: Person, buyer: Person) -> None:
    """To the opening of its own doors, by one clock however often the page has asked."""
    sale = on_sale(seller, 20)
    opens_at = datetime.now(UTC) + timedelta(hours=2, minutes=30)
    change(seller, sale, mode="lobby", opens_at=opens_at.isoformat(), grace_s=3, inside_s=60)
    visitor = await visit(person=buyer, expected=["503"])
    await visitor.open(f"/schedules/{sale.schedule_id}/queue")
    await expect(visitor.page.get_by_text("random position")).to_be_visible()
    clock = visitor.page.locator(".queue-number .clock")
    await expect(clock).to_have_text(re.compile(r"^2:(29|30):\d\d$"))
    first = await clock.element_handle()
    # It asks every second; what shows the time stays the same element, and it is the only one.
    await visitor.page.wait_for_timeout(2_500)
    again = await visitor.page.evaluate("(one) => document.querySelector('.clock') === one", first)
    assert again
    assert await visitor.page.locator(".clock").count() == 1
    await keep(visitor.page, "lobby")

    soon = datetime.now(UTC) + timedelta(seconds=4)
    change(seller, sale, opens_at=soon.isoformat())
    await visitor.page.wait_for_url(re.compile(rf"/schedules/{sale.schedule_id}$"))


async def test_inside_it_says_how_long_one_may_stay(
    visit: Visit, seller: Person, sale: Sale, shop: Running
) -> None:
    change(seller, sale, mode="fifo", inside_s=600, grace_s=60)
    visitor = await visit(person=sign_up(shop.api), expected=["503"])
    await visitor.page.goto(f"/schedules/{sale.schedule_id}/queue")
    await visitor.page.wait_for_url(re.compile(rf"/schedules/{sale.schedule_id}$"))
    note = visitor.page.locator(".stay")
    await expect(note).to_have_text(re.compile(r"You can choose seats until .*\b(10:00|9:\d\d)$"))
    await visitor.page.reload()
    await expect(note).to_be_visible()
    await keep(visitor.page, "inside")


async def test_who_waits_is_told_that_the_sale_has_ended(
    visit: Visit, seller: Person, sale: Sale, shop: Running
) -> None:
    change(seller, sale, mode="fifo", rate_per_s=0.01, grace_s=3, inside_s=60)
    first, late = sign_up(shop.api), sign_up(shop.api)
    ahead = await visit(person=sign_up(shop.api), expected=["503"])
    await ahead.page.goto(f"/schedules/{sale.schedule_id}/queue")
    visitor = await visit(person=first, expected=["503"])
    await visitor.page.goto(f"/schedules/{sale.schedule_id}/queue")
    await expect(visitor.page.locator(".queue-number")).to_have_text(re.compile(r"^\d+$"))
    path = f"/v1/admin/schedules/{sale.schedule_id}"
    answered(seller.api.post(f"{path}/close"), 200)
    told = visitor.page.locator(".queue-state").get_by_text("The sale has ended")
    await expect(told).to_be_visible()
    await expect(visitor.page.locator(".queue-number")).to_have_count(0)
    await keep(visitor.page, "sale-ended")
    joiner = await visit(person=late, expected=["409"])
    await joiner.page.goto(f"/schedules/{sale.schedule_id}/queue")
    await expect(joiner.page.get_by_text("The sale has ended")).to_be_visible()
    await expect(joiner.page.get_by_text("Keep this page open")).to_be_hidden()
    # It is opened again: who has the page open waits on.
    answered(seller.api.post(f"{path}/open"), 200)
    await expect(visitor.page.locator(".queue-number")).to_have_text(re.compile(r"^\d+$"))


async def test_a_past_performance_is_shown_as_past_at_its_address(
    visit: Visit, seller: Person
) -> None:
    starts = datetime.now(UTC) + timedelta(seconds=2)
    sale = on_sale(seller, 20, starts_at=starts.isoformat())
    visitor = await visit(expected=[])
    await visitor.open(f"/schedules/{sale.schedule_id}")
    await visitor.page.wait_for_timeout(2_500)
    await visitor.page.reload()
    await expect(visitor.page.get_by_text("This performance has started")).to_be_visible()
    await visitor.page.goto(f"/concerts/{sale.concert_id}")
    await expect(visitor.page.get_by_text("There are no dates")).to_be_visible()


@pytest.mark.parametrize("locale", ["ko-KR", "en-US"])
async def test_a_buyer_stands_without_an_account_and_signs_up_meanwhile(
    visit: Visit, seller: Person, sale: Sale, locale: str
) -> None:
    change(seller, sale, mode="fifo", paused=True, grace_s=15, anonymous=True)
    texts = {name: WAITING[name][locale == "en-US"] for name in WAITING}
    visitor = await visit(locale=locale, viewport=PHONE, expected=["503"])
    page, number = visitor.page, visitor.page.locator(".queue-number")
    await page.goto(f"/schedules/{sale.schedule_id}")
    await page.wait_for_url(QUEUE)
    await expect(number).to_have_text("1")
    notice = page.get_by_text(texts["soon"])
    await expect(notice).to_be_visible()
    await keep(page, f"without-account-{locale}")
    await page.reload()
    await expect(number).to_have_text("1")

    await visitor.button(texts["sign_up"]).click()
    dialog = page.locator("dialog")
    await expect(dialog.get_by_text(texts["kept"])).to_be_visible()
    await keep(page, f"sign-up-{locale}")
    await dialog.locator("input[autocomplete=name]").fill("Lee Mina")
    await dialog.locator("input[type=email]").fill(f"{uuid4()}@example.org")
    await dialog.locator("input[type=password]").fill(PASSWORD)
    await dialog.get_by_role("button", name=texts["sign_up"], exact=True).click()
    await expect(notice).to_be_hidden()
    await expect(number).to_have_text("1")
    assert QUEUE.search(page.url)
    await keep(page, f"with-account-{locale}")

    change(seller, sale, paused=False)
    await page.wait_for_url(re.compile(rf"/schedules/{sale.schedule_id}$"))
    kept = f"JSON.parse(localStorage.getItem('boxoffice.queue.{sale.schedule_id}'))"
    place = await page.evaluate(kept)
    token = await page.evaluate("JSON.parse(localStorage.getItem('boxoffice.session')).token")
    assert place["secret"] is None
    answer = seller.api.of(token).keyed(
        sale.holds, {"seat_ids": ["A-1-1"]}, headers={"Queue-Pass": place["pass"]}
    )
    answered(answer, 201)


async def test_at_the_turn_a_buyer_without_an_account_logs_in(
    visit: Visit, seller: Person, sale: Sale, buyer: Person
) -> None:
    change(seller, sale, mode="fifo", grace_s=60, anonymous=True)
    visitor = await visit(viewport=PHONE, expected=["403", "503"])
    await visitor.page.goto(f"/schedules/{sale.schedule_id}/queue")
    await expect(visitor.page.get_by_text("Log in or sign up now to enter.")).to_be_visible()
    await expect(visitor.page.locator(".queue-number")).to_have_text("It is your turn.")
    await keep(visitor.page, "turn-without-account")
    await visitor.button("Log in").click()
    dialog = visitor.page.locator("dialog")
    await dialog.get_by_label("E-mail").fill(buyer.email)
    await dialog.locator("input[type=password]").fill(PASSWORD)
    await dialog.get_by_role("button", name="Log in", exact=True).click()
    await visitor.page.wait_for_url(re.compile(rf"/schedules/{sale.schedule_id}$"))


async def test_a_buyer_who_has_logged_out_is_asked_before_a_new_place(
    visit: Visit, seller: Person, sale: Sale, buyer: Person
) -> None:
    change(seller, sale, mode="fifo", paused=True, anonymous=True)
    visitor = await visit(person=buyer, expected=["503"])
    number = visitor.page.locator(".queue-number")
    await visitor.page.goto(f"/schedules/{sale.schedule_id}/queue")
    await expect(number).to_have_text("1")
    await visitor.page.evaluate("localStorage.removeItem('boxoffice.session')")
    await visitor.page.reload()
    dialog = visitor.page.locator("dialog")
    await dialog.get_by_label("E-mail").fill(buyer.email)
    await dialog.locator("input[type=password]").fill(PASSWORD)
    await dialog.get_by_role("button", name="Log in", exact=True).click()
    await expect(number).to_have_text("1")
    await expect(visitor.page.get_by_text("You are in the queue.")).to_be_hidden()


async def test_a_room_for_accounts_asks_to_log_in(
    visit: Visit, seller: Person, sale: Sale, buyer: Person
) -> None:
    change(seller, sale, mode="fifo", paused=True)
    visitor = await visit(expected=["401", "503"])
    await visitor.page.goto(f"/schedules/{sale.schedule_id}/queue")
    dialog = visitor.page.locator("dialog")
    await dialog.get_by_label("E-mail").fill(buyer.email)
    await dialog.locator("input[type=password]").fill(PASSWORD)
    await dialog.get_by_role("button", name="Log in", exact=True).click()
    await expect(visitor.page.locator(".queue-number")).to_have_text("1")
    await expect(visitor.page.get_by_text("You are in the queue.")).to_be_hidden()


async def keep(page: Page, name: str) -> None:
    """Take a picture where `BOXOFFICE_TEST_SCREENSHOTS` names a folder."""
    folder = os.environ.get("BOXOFFICE_TEST_SCREENSHOTS")
    if folder:
        await page.screenshot(path=f"{folder}/{name}.png", full_page=True)
