"""Seats that change while a visitor looks at them, and a stream that is cut and healed."""

import re

import pytest
from playwright.async_api import Route, expect

from tests.e2e.api.client import Person, Sale
from tests.e2e.api.conftest import Running, hold, on_sale

from .conftest import Visit
from .tcp_proxy import TcpProxy
from .visitor import Visitor

pytestmark = pytest.mark.asyncio(loop_scope="session")

FREE = re.compile(r"free$")
HELD = re.compile(r"held by another buyer$")


@pytest.fixture
def sale(seller: Person) -> Sale:
    """A concert of 40 seats: section A, rows of ten."""
    return on_sale(seller, 40)


async def is_live(visitor: Visitor) -> None:
    """Wait until the stream has told everything."""
    await expect(visitor.page.locator(".live-note")).to_have_attribute("data-state", "live")


async def test_a_seat_turns_taken_while_a_visitor_looks(
    visit: Visit, sale: Sale, buyer: Person
) -> None:
    visitor = await visit()
    await visitor.open_seats(sale, "A-1-3", "A-1-4")
    await is_live(visitor)
    held = hold(buyer, sale, "A-1-3").json
    await expect(visitor.seat("A-1-3")).to_have_attribute("aria-label", HELD)
    await expect(visitor.toast("seat 3 was just taken")).to_be_visible()
    await expect(visitor.page.locator(".selected-seats li")).to_have_count(1)
    await expect(visitor.page.locator(".grade-chip").first).to_contain_text("19 left")
    buyer.api.delete(f"/v1/reservations/{held['reservation_id']}")
    await expect(visitor.seat("A-1-3")).to_have_attribute("aria-label", FREE)


async def test_a_hold_that_lapses_shows_as_free_again(
    visit: Visit, seller: Person, buyer: Person
) -> None:
    sale = on_sale(seller, 20, hold_ttl_s=4)
    visitor = await visit()
    await visitor.open_seats(sale)
    await is_live(visitor)
    hold(buyer, sale, "A-1-1")
    await expect(visitor.seat("A-1-1")).to_have_attribute("aria-label", HELD)
    await expect(visitor.seat("A-1-1")).to_have_attribute("aria-label", FREE)


async def test_what_was_missed_while_the_line_was_cut_is_made_up_for(
    visit: Visit, shop: Running, sale: Sale, buyer: Person
) -> None:
    async with TcpProxy(shop.api.port) as proxy:
        visitor = await visit(proxy.url, expected=["ERR_"])
        await visitor.open_seats(sale, "A-1-5")
        await is_live(visitor)
        await proxy.stop()
        await expect(visitor.page.locator(".live-note")).not_to_have_attribute("data-state", "live")
        hold(buyer, sale, "A-1-6")
        await proxy.start()
        await is_live(visitor)
        await expect(visitor.seat("A-1-6")).to_have_attribute("aria-label", HELD)
        await expect(visitor.page.locator(".selected-seats li")).to_have_count(1)
        await visitor.context.close()


async def test_without_a_stream_the_seats_are_asked_for(
    visit: Visit, sale: Sale, buyer: Person
) -> None:
    visitor = await visit(expected=["503"])

    async def refuse(route: Route) -> None:
        await route.fulfill(status=503, headers={"Retry-After": "1"}, body="")

    await visitor.page.route("**/seats/events", refuse)
    await visitor.open_seats(sale)
    hold(buyer, sale, "A-1-8")
    await expect(visitor.seat("A-1-8")).to_have_attribute("aria-label", HELD)
    await expect(visitor.page.locator(".live-note")).to_have_attribute("data-state", "asking")
    await visitor.page.unroute("**/seats/events")
    await is_live(visitor)


def event(name: str, data: str, event_id: str) -> str:
    """An event as it stands in a stream."""
    return f"event: {name}\nid: {event_id}\ndata: {data}\n\n"


async def test_a_gap_in_the_stream_is_noticed_and_healed(visit: Visit, sale: Sale) -> None:
    visitor = await visit()
    opened = []

    async def tell(route: Route) -> None:
        opened.append(route.request.headers.get("last-event-id"))
        head = '"version":9,"seats_available":40,"on_sale":true'
        text = event("snapshot", f'{{"seq":1,{head},"states":"{"A" * 40}"}}', "one")
        if len(opened) == 1:
            # The second event of the two is missing.
            text += event("changes", f'{{"seq":3,{head},"seats":{{"SOLD":[39]}}}}', "three")
        else:
            text += event("changes", f'{{"seq":2,{head},"seats":{{"HELD":[38,39]}}}}', "two")
        await route.fulfill(content_type="text/event-stream", body=text)

    await visitor.page.route("**/seats/events", tell)
    await visitor.open_seats(sale)
    await expect(visitor.seat("A-4-9")).to_have_attribute("aria-label", HELD)
    assert len(opened) >= 2
    assert opened[1] is None


async def test_a_hidden_tab_closes_its_stream(visit: Visit, sale: Sale) -> None:
    visitor = await visit()
    await visitor.page.clock.install()
    opened = []
    visitor.page.on(
        "request", lambda one: opened.append(one) if one.url.endswith("/events") else None
    )
    await visitor.open_seats(sale)
    await is_live(visitor)
    see = """(state) => {
        Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    await visitor.page.evaluate(see, "hidden")
    async with visitor.page.expect_event("requestfailed", lambda one: one in opened):
        await visitor.page.clock.fast_forward(30_000)
    async with visitor.page.expect_request("**/seats/events"):
        await visitor.page.evaluate(see, "visible")
    await is_live(visitor)
