"""Paying through a provider: its window or fields, the return, and what may go wrong between."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio
from playwright.async_api import Page, Request, expect

from boxoffice.platform.ids import parse_scoped
from boxoffice.platform.postgres.database import Database
from boxoffice.settings import Settings
from tests.conftest import Servers
from tests.e2e.api.client import Person, Sale, sign_up
from tests.e2e.api.client import expect as answered
from tests.e2e.api.conftest import (
    Running,
    check_books,
    make_organizer,
    on_sale,
    running,
)
from tests.support.database import copied_database
from tests.support.hall import Hall
from tests.support.shop import Role
from tests.support.simulators import Simulators

from .conftest import Visit
from .visitor import Visitor

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAY = re.compile("^Pay ")
CONFIRMED = re.compile(r"/confirm$")
PRICE = 110_000
PHONE = {"width": 360, "height": 740}
_HURRY = "UPDATE cashier_work SET due_at = clock_timestamp() WHERE due_at > clock_timestamp()"


@pytest.fixture(scope="module")
def paying(
    servers: Servers,
    template: str,
    simulator_processes: Simulators,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Running]:
    """A shop at both providers; its books must balance at the end."""
    log = tmp_path_factory.mktemp("paying") / "serve.log"
    with (
        copied_database(servers.database_url, template) as database_url,
        running(
            database_url,
            servers.valkey_url,
            log,
            confirm_wait_ms="1000",
            provider_breaker_open_ms="1000",
            **simulator_processes.values,
        ) as started,
    ):
        yield started
        started.stop()
        check_books(database_url)


@pytest.fixture(scope="module")
def sale(paying: Running) -> Sale:
    """A concert of 40 seats: section A, rows of ten."""
    return on_sale(make_organizer(paying), 40)


@pytest.fixture
def poor(paying: Running) -> Person:
    """A buyer whose wallet is empty."""
    return sign_up(paying.api)


Arrive = Callable[..., Awaitable[Visitor]]
Start = Callable[[], None]


@pytest_asyncio.fixture(loop_scope="session")
async def arrive(
    visit: Visit, paying: Running, simulators: Simulators, poor: Person, sale: Sale
) -> AsyncIterator[Arrive]:
    """Opens the reservation of a seat that the buyer holds."""
    providers = [simulators.toss.url, simulators.stripe.url]

    async def begin(seats: int = 1, **options: object) -> Visitor:
        held = answered(poor.api.keyed(sale.holds, {"quantity": seats}), 201).json
        visitor = await visit(paying.api.url, person=poor, providers=providers, **options)
        await visitor.open(f"/reservations/{held['reservation_id']}")
        return visitor

    yield begin


async def choose(visitor: Visitor, method: str) -> None:
    """Choose a method and go to its checkout."""
    await visitor.page.get_by_role("radio", name=re.compile(method)).check()
    await visitor.button("Continue with", exact=False).click()
    await visitor.page.wait_for_url(re.compile("/checkout/"))


async def press_pay(page: Page) -> None:
    """Pay on the checkout page."""
    button = page.locator(".checkout").get_by_role("button", name=PAY)
    await expect(button).not_to_have_attribute("aria-disabled", "true")
    await button.click()


async def act(page: Page, action: str) -> None:
    """Act in the window of a provider."""
    await page.click(f"button[value={action}]")


async def see_tickets(page: Page, number: int = 1) -> None:
    """See the tickets of a paid reservation."""
    await expect(page.locator("svg.qr")).to_have_count(number)


def captures(movements: list[dict[str, object]]) -> list[object]:
    """What was captured at a provider."""
    return [one["amount_minor"] for one in movements if one["kind"] == "capture"]


def routed_writes(page: Page) -> dict[str, list[str]]:
    """Return where an edge routes the writes of intents, by method, from now on."""
    found: dict[str, list[str]] = {}

    def note(request: Request) -> None:
        if request.method != "GET" and "/v1/payment-intents" in request.url:
            found.setdefault(request.method, []).append(request.headers.get("schedule-id", ""))

    page.on("request", note)
    return found


async def test_a_window_that_is_paid_brings_tickets(
    arrive: Arrive, simulators: Simulators, sale: Sale
) -> None:
    visitor = await arrive(seats=2)
    page = visitor.page
    routed = routed_writes(page)
    await expect(page.get_by_text("Cancellation and refunds")).to_be_visible()
    await expect(page.get_by_role("note")).to_contain_text("TEST")
    await choose(visitor, "Toss")
    await expect(page.get_by_role("note")).to_contain_text("TEST")
    await press_pay(page)
    await expect(page.get_by_role("note")).to_contain_text("TEST")
    await act(page, "pay")
    await see_tickets(page, 2)
    assert captures(await simulators.toss.movements()) == [2 * PRICE]
    assert routed == {"POST": [sale.schedule_id] * 2}, "the edge routes intent and confirmation"


async def test_a_declined_window_says_why_and_can_be_paid_then(
    arrive: Arrive, simulators: Simulators
) -> None:
    visitor = await arrive()
    page = visitor.page
    await choose(visitor, "Toss")
    await press_pay(page)
    await act(page, "decline")
    await expect(page.get_by_text("The card company declined the payment.")).to_be_visible()
    assert "?" not in page.url
    await press_pay(page)
    await act(page, "pay")
    await see_tickets(page)
    assert captures(await simulators.toss.movements()) == [PRICE]


async def test_a_confirmation_that_is_declined_is_not_repeated_by_a_reload(
    arrive: Arrive, simulators: Simulators
) -> None:
    visitor = await arrive(expected=["402"])
    page = visitor.page
    await simulators.toss.set_faults(
        {"operation": "confirm", "fault": "decline", "code": "REJECT_CARD_PAYMENT"}
    )
    await choose(visitor, "Toss")
    await press_pay(page)
    await act(page, "pay")
    declined = page.get_by_text("The card company declined the payment.")
    await expect(declined).to_be_visible()
    returned_to = await page.evaluate("performance.getEntriesByType('navigation')[0].name")
    await page.reload()
    await expect(declined).to_be_visible()
    await page.goto(returned_to)
    await expect(declined).to_be_visible()
    assert len(await simulators.toss.calls("confirm")) == 1
    await simulators.toss.set_faults()
    await press_pay(page)
    await act(page, "pay")
    await see_tickets(page)


async def test_a_closed_window_leaves_the_seats_and_the_other_ways(
    arrive: Arrive, simulators: Simulators, sale: Sale
) -> None:
    visitor = await arrive()
    page = visitor.page
    routed = routed_writes(page)
    await choose(visitor, "Toss")
    await press_pay(page)
    await act(page, "close")
    await expect(page.get_by_text("You closed the payment window.")).to_be_visible()
    await visitor.button("Choose another way to pay").click()
    await page.wait_for_url(re.compile("/reservations/"))
    await choose(visitor, "Stripe")
    await expect(page.frame_locator("iframe").get_by_role("note")).to_contain_text("TEST")
    await press_pay(page)
    await see_tickets(page)
    assert await simulators.toss.movements() == []
    assert captures(await simulators.stripe.movements()) == [PRICE]
    assert routed["DELETE"] == [sale.schedule_id]


async def test_a_bank_that_asks_the_buyer_returns_to_the_tickets(arrive: Arrive) -> None:
    visitor = await arrive()
    page = visitor.page
    await choose(visitor, "Stripe")
    fields = page.frame_locator("iframe")
    await fields.locator("select").select_option("insufficient_funds")
    await press_pay(page)
    await expect(page.get_by_text("There is not enough money")).to_be_visible()
    await fields.locator("select").select_option("three_d_secure")
    await press_pay(page)
    await act(page, "fail")
    await expect(page.get_by_text("Your bank could not confirm")).to_be_visible()
    assert "client_secret" not in page.url
    await expect(page.frame_locator("iframe").locator("select")).to_be_visible()
    await page.frame_locator("iframe").locator("select").select_option("three_d_secure")
    await press_pay(page)
    await act(page, "complete")
    await see_tickets(page)


async def test_an_answer_that_takes_long_survives_a_reload_and_a_second_tab(
    arrive: Arrive, simulators: Simulators
) -> None:
    visitor = await arrive()
    page = visitor.page
    await simulators.toss.set_faults(
        {"operation": "confirm", "fault": "delay_before", "seconds": 10}
    )
    await choose(visitor, "Toss")
    await press_pay(page)
    await act(page, "pay")
    pending = page.get_by_text("Your payment is being confirmed.")
    await expect(pending).to_be_visible()
    await page.reload()
    await expect(pending).to_be_visible()
    second = await visitor.context.new_page()
    await second.goto(page.url)
    await expect(second.get_by_text("Your payment is being confirmed.")).to_be_visible()
    await see_tickets(page)
    await see_tickets(second)
    assert len(await simulators.toss.calls("confirm")) == 1
    assert captures(await simulators.toss.movements()) == [PRICE]


async def test_two_tabs_on_the_return_confirm_once(arrive: Arrive, simulators: Simulators) -> None:
    visitor = await arrive()
    page = visitor.page
    await choose(visitor, "Toss")
    await simulators.toss.set_faults(
        {"operation": "confirm", "fault": "delay_before", "seconds": 3}
    )
    await press_pay(page)
    second = await visitor.context.new_page()
    async with page.expect_request(CONFIRMED) as sent:
        await act(page, "pay")
    await second.goto((await sent.value).headers["referer"])
    await asyncio.gather(see_tickets(page), see_tickets(second))
    assert len(await simulators.toss.calls("confirm")) == 1


async def test_an_amount_in_the_address_is_not_believed(
    arrive: Arrive, simulators: Simulators
) -> None:
    visitor = await arrive(expected=["422"])
    page = visitor.page
    await choose(visitor, "Toss")
    own = page.url.rpartition("/")[2]
    await page.goto(f"{page.url}?paymentKey=invented&orderId={own}&amount=1")
    await expect(page.get_by_text("belongs to another order or amount")).to_be_visible()
    assert await simulators.toss.calls("confirm") == []


async def test_one_provider_away_and_the_next_is_offered(
    arrive: Arrive, simulators: Simulators
) -> None:
    visitor = await arrive(expected=["503"])
    page = visitor.page
    await simulators.stripe.set_faults({"operation": "open", "fault": "error_before", "times": 0})
    await page.get_by_role("radio", name=re.compile("Stripe")).check()
    await visitor.button("Continue with", exact=False).click()
    await expect(visitor.toast("cannot be reached")).to_be_visible()
    await simulators.stripe.set_faults()
    await choose(visitor, "Toss")
    await press_pay(page)
    await act(page, "pay")
    await see_tickets(page)


async def test_a_provider_whose_breaker_is_open_is_greyed_out(
    arrive: Arrive, simulators: Simulators, paying: Running, poor: Person, sale: Sale
) -> None:
    await simulators.stripe.set_faults({"fault": "error_before", "times": 0})
    held = answered(poor.api.keyed(sale.holds, {"quantity": 1}), 201).json
    order = {"reservation_id": held["reservation_id"], "method": "stripe"}
    while is_offered(paying, "stripe"):
        answered(poor.api.keyed("/v1/payment-intents", order), 503, "provider_unavailable")
    visitor = await arrive()
    page = visitor.page
    await expect(page.get_by_role("radio", name=re.compile("Stripe"))).to_be_disabled()
    await expect(page.get_by_text("Please choose another method")).to_be_visible()
    await choose(visitor, "Toss")
    await press_pay(page)
    await act(page, "pay")
    await see_tickets(page)
    await simulators.stripe.set_faults()
    ends_at = time.monotonic() + 10
    while not is_offered(paying, "stripe"):
        assert time.monotonic() < ends_at, "the provider is not offered again"
        await asyncio.sleep(0.1)


def is_offered(paying: Running, method: str) -> bool:
    """Whether a provider is offered at present."""
    items = answered(paying.api.get("/v1/payment-methods"), 200).json["items"]
    return [one["is_available"] for one in items if one["method"] == method] == [True]


@pytest.fixture
def cashier(paying: Running, servers: Servers, simulators: Simulators) -> Iterator[Start]:
    """Starts a cashier of the shop, which the other tests do without."""
    settings = Settings.of(database_url=paying.database_url, valkey_url=servers.valkey_url)
    roles: list[Role] = []
    quick = {**simulators.values, "cashier_interval_ms": 50, "cashier_retry_first_s": 0.2}
    yield lambda: roles.append(Role("cashier", settings, **quick))
    for role in roles:
        assert role.stop() == 0


@dataclass(frozen=True)
class Late:
    """A buyer's page of a payment whose money has moved after its hold had ended."""

    page: Page
    hall: Hall
    seat_id: str
    database_url: str

    async def hurry(self) -> None:
        """Let the time pass that the cashier's work waits for; what is due may be in progress."""
        await self.hall.db.fetch(_HURRY)

    async def says(self, text: str) -> None:
        """Wait for what the page says."""
        await expect(self.page.locator(".checkout")).to_contain_text(text)


@pytest_asyncio.fixture(loop_scope="session")
async def late(
    arrive: Arrive, paying: Running, simulators: Simulators, servers: Servers
) -> AsyncIterator[Late]:
    """The answer of a confirmation was lost, and the hold has ended and was swept meanwhile."""
    visitor = await arrive(viewport=PHONE)
    page = visitor.page
    await choose(visitor, "Toss")
    await simulators.toss.set_faults({"operation": "confirm", "fault": "drop_after"})
    await press_pay(page)
    await act(page, "pay")
    await expect(page.get_by_text("Your payment is being confirmed.")).to_be_visible()
    settings = Settings.of(database_url=paying.database_url, valkey_url=servers.valkey_url)
    db = Database(settings)
    await db.open()
    own = parse_scoped(urlsplit(page.url).path.rpartition("/")[2])
    assert own is not None
    query = """
        SELECT r.schedule_id, r.reservation_id, r.seat_ids[1] AS seat_id FROM reservations r
          JOIN payment_intents i USING (reservation_id) WHERE i.intent_id = $1
    """
    [row] = await db.fetch(query, own[1])
    hall = Hall(db, row["schedule_id"], (row["seat_id"],), ())
    await hall.lapse(row["reservation_id"])
    await hall.expire()
    yield Late(page, hall, row["seat_id"], paying.database_url)
    assert await visitor.overflow_px() == 0
    await db.close()


async def test_late_money_whose_seats_are_free_brings_tickets(late: Late, cashier: Start) -> None:
    lock = await asyncpg.connect(late.database_url)
    async with lock.transaction():
        locked = "SELECT FROM seats WHERE schedule_id = $1 AND seat_id = $2 FOR UPDATE"
        await lock.execute(locked, late.hall.schedule_id, late.seat_id)
        cashier()
        await late.hurry()
        await late.says("checking whether your seats are still free")
        buttons = late.page.locator(".checkout").get_by_role("button", name=PAY)
        await expect(buttons).to_have_count(0)
    await late.hurry()
    await see_tickets(late.page)
    await lock.close()


async def test_late_money_whose_seats_are_taken_is_returned(
    late: Late, cashier: Start, simulators: Simulators, paying: Running
) -> None:
    rival = sign_up(paying.api)
    await late.hall.held(UUID(rival.user_id), late.seat_id)
    await simulators.toss.set_faults({"operation": "refund", "fault": "error_before", "times": 0})
    cashier()
    await late.hurry()
    await late.says("Your money is being returned")
    await simulators.toss.set_faults()
    ends_at = time.monotonic() + 30
    while not any(one["kind"] == "refund" for one in await simulators.toss.movements()):
        assert time.monotonic() < ends_at, "the money is not returned"
        await late.hurry()
        await asyncio.sleep(0.1)
    await late.page.reload()
    await late.says("Your money was returned")
    assert captures(await simulators.toss.movements()) == [PRICE]


async def test_a_payment_that_was_begun_elsewhere_can_be_continued(arrive: Arrive) -> None:
    visitor = await arrive()
    page = visitor.page
    reservation = page.url
    await choose(visitor, "Toss")
    await page.goto(reservation)
    await expect(page.get_by_text("You have begun to pay with Toss Payments")).to_be_visible()
    await visitor.link("Continue to pay").click()
    await press_pay(page)
    await act(page, "pay")
    await see_tickets(page)


async def test_a_wallet_is_topped_up_through_a_provider(
    visit: Visit, paying: Running, simulators: Simulators, poor: Person
) -> None:
    providers = [simulators.toss.url, simulators.stripe.url]
    visitor = await visit(paying.api.url, person=poor, providers=providers)
    await visitor.open("/me")
    await visitor.page.get_by_label("Amount (KRW)").fill("30000")
    await visitor.page.get_by_role("radio", name=re.compile("Toss")).check()
    await visitor.button("Top up").click()
    await press_pay(visitor.page)
    await act(visitor.page, "pay")
    await expect(visitor.page.locator(".balance")).to_have_text("₩30,000")


@pytest.mark.parametrize("method", ["Toss|토스", "Stripe"])
async def test_a_phone_in_korean_pays_without_overflow(
    arrive: Arrive, simulators: Simulators, method: str
) -> None:
    visitor = await arrive(locale="ko-KR", viewport=PHONE)
    page = visitor.page
    assert await visitor.overflow_px() == 0
    await page.get_by_role("radio", name=re.compile(method)).check()
    await visitor.button("계속하기", exact=False).click()
    await page.wait_for_url(re.compile("/checkout/"))
    button = page.locator(".checkout").get_by_role("button", name=re.compile("결제하기"))
    await expect(button).not_to_have_attribute("aria-disabled", "true")
    assert await visitor.overflow_px() == 0
    await button.click()
    if method != "Stripe":
        await act(page, "pay")
    await see_tickets(page)


async def test_only_the_checkout_may_load_from_providers(
    paying: Running, simulators: Simulators
) -> None:
    for path in ("/", "/me", "/reservations/any", "/organizer"):
        headers = answered(paying.api.get(path), 200).headers
        assert "//" not in headers["content-security-policy"]
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert "payment=()" in headers["permissions-policy"]
    headers = answered(paying.api.get("/checkout/any"), 200).headers
    allowed = f" {simulators.toss.url} {simulators.stripe.url}"
    policy = headers["content-security-policy"].split("; ")
    assert f"script-src 'self'{allowed}" in policy
    assert f"frame-src{allowed}" in policy
    assert f"connect-src 'self'{allowed}" in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["cross-origin-opener-policy"] == "same-origin-allow-popups"
    assert headers["x-frame-options"] == "DENY"
    assert f'payment=(self "{simulators.toss.url}"' in headers["permissions-policy"]
