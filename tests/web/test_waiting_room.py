"""The waiting room in a browser: a place that lasts, and the way in."""

import re

import pytest
from playwright.async_api import expect

from tests.api.client import Person, Sale, sign_up
from tests.api.client import expect as answered
from tests.api.conftest import Running, on_sale

from .conftest import Visit

pytestmark = pytest.mark.asyncio(loop_scope="session")

QUEUE = re.compile(r"/queue$")


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
    await expect(visitor.page.get_by_text("has paused the line")).to_be_visible()
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
    """Wait until the process has heard of the waiting room; ask for a seat that nobody else wants."""
    for _ in range(200):
        answer = seller.api.keyed(sale.holds, {"seat_ids": [seat]})
        if answer.status == 403:
            return
        seller.api.delete(f"/v1/reservations/{answer.json['reservation_id']}")
    pytest.fail("the waiting room is not there")


async def test_a_lobby_counts_down_to_its_draw(visit: Visit, seller: Person, buyer: Person) -> None:
    sale = on_sale(seller, 20, sale_opens_at="2035-01-01T00:00:00Z")
    change(seller, sale, mode="lobby")
    visitor = await visit(person=buyer)
    await visitor.open(f"/schedules/{sale.schedule_id}/queue")
    await expect(visitor.page.get_by_text("random order")).to_be_visible()
    await expect(visitor.page.locator(".queue-number")).to_have_text(
        re.compile(r"days? \d+:\d\d:\d\d")
    )
