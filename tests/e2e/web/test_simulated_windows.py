"""The simulated payment windows in a browser, from a page with the policy of a checkout."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, Page, expect

from boxoffice.payments.providers.port import PaymentOrder, PaymentStatus
from tests.support.providers import AMOUNT, Counterparty, counterparty, new_order
from tests.support.simulators import Simulators

pytestmark = pytest.mark.asyncio(loop_scope="session")

# What a checkout page does with the globals of the providers' scripts.
SCRIPT = """
const order = JSON.parse(document.body.dataset.order);
const say = (text) => { document.getElementById("said").textContent = text; };
const here = window.location.origin;
if (order.client_key) {
  document.getElementById("pay").addEventListener("click", () => {
    const payment = TossPayments(order.client_key).payment({ customerKey: TossPayments.ANONYMOUS });
    payment.requestPayment({
      method: "CARD",
      amount: { currency: order.currency, value: Number(order.amount) },
      orderId: order.order_id,
      orderName: order.order_name,
      successUrl: `${here}/success`,
      failUrl: `${here}/fail`,
    }).catch((error) => say(error.code));
  });
} else {
  const stripe = Stripe(order.publishable_key);
  const elements = stripe.elements({ clientSecret: order.client_secret });
  elements.create("payment").mount("#fields");
  document.getElementById("pay").addEventListener("click", async () => {
    const confirmParams = { return_url: `${here}/return` };
    const { error } = await stripe.confirmPayment({ elements, confirmParams });
    if (error) say(error.decline_code ?? error.code);
  });
}
"""


@dataclass(frozen=True)
class CheckoutPage:
    """A page of another origin that pays with a provider's script; it serves one order."""

    page: Page
    party: Counterparty
    order: PaymentOrder
    payment_key: str | None

    @property
    def query(self) -> dict[str, str]:
        """The parameters with which the provider sent the buyer back."""
        return dict(parse_qsl(urlsplit(self.page.url).query))


def _host(client: dict[str, str], origin: str) -> web.Application:
    policy = f"default-src 'self'; script-src 'self' {origin}; frame-src {origin}"
    body = (
        f"<body data-order='{json.dumps(client)}'><div id=fields></div><button id=pay>Pay</button>"
        f"<p id=said></p><script src='{client['sdk_url']}'></script><script src='/pay.js'></script>"
    )

    async def show(request: web.Request) -> web.Response:
        if request.path == "/pay.js":
            return web.Response(text=SCRIPT, content_type="text/javascript")
        is_checkout = request.path == "/checkout"
        text = (
            f"<!doctype html><meta charset=utf-8><title>shop</title>{body if is_checkout else ''}"
        )
        headers = {"Content-Security-Policy": policy}
        return web.Response(text=text, content_type="text/html", headers=headers)

    app = web.Application()
    app.add_routes([web.get("/{path:.*}", show)])
    return app


async def _checkout(
    name: str, simulators: Simulators, browser: Browser
) -> AsyncIterator[CheckoutPage]:
    async with counterparty(name, simulators) as party:
        order = new_order()
        opened = await party.provider.open(order, "key")
        runner = web.AppRunner(_host(dict(opened.client), party.simulator.url))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        context = await browser.new_context()
        page = await context.new_page()
        await page.goto(f"http://127.0.0.1:{runner.addresses[0][1]}/checkout")
        yield CheckoutPage(page, party, order, opened.payment_key)
        await context.close()
        await runner.cleanup()


@pytest_asyncio.fixture(loop_scope="session")
async def toss(simulators: Simulators, browser: Browser) -> AsyncIterator[CheckoutPage]:
    """A page that pays at Toss."""
    async for one in _checkout("toss", simulators, browser):
        yield one


@pytest_asyncio.fixture(loop_scope="session")
async def stripe(simulators: Simulators, browser: Browser) -> AsyncIterator[CheckoutPage]:
    """A page that pays at Stripe."""
    async for one in _checkout("stripe", simulators, browser):
        yield one


async def test_the_window_of_toss_returns_with_a_payment_key(toss: CheckoutPage) -> None:
    page, order = toss.page, toss.order
    await page.click("#pay")
    await expect(page.get_by_role("note")).to_contain_text("TEST")
    await expect(page.locator("#amount")).to_contain_text(str(AMOUNT))
    await page.click("button[value=pay]")
    await page.wait_for_url("**/success?*")
    assert (toss.query["orderId"], toss.query["amount"]) == (order.order_id, str(AMOUNT))
    assert await toss.party.book() == []
    paid = await toss.party.provider.confirm(order, toss.query["paymentKey"], "attempt-1")
    assert paid.status is PaymentStatus.CAPTURED


@pytest.mark.parametrize(
    ("button", "code"), [("decline", "REJECT_CARD_COMPANY"), ("close", "PAY_PROCESS_CANCELED")]
)
async def test_the_window_of_toss_fails_with_a_code(
    toss: CheckoutPage, button: str, code: str
) -> None:
    await toss.page.click("#pay")
    await toss.page.click(f"button[value={button}]")
    await toss.page.wait_for_url("**/fail?*")
    assert (toss.query["code"], toss.query["orderId"]) == (code, toss.order.order_id)


async def test_the_fields_of_stripe_authorize(stripe: CheckoutPage) -> None:
    page = stripe.page
    await expect(page.frame_locator("iframe").get_by_role("note")).to_contain_text("TEST")
    await page.click("#pay")
    await page.wait_for_url("**/return?*")
    assert stripe.query["payment_intent"] == stripe.payment_key
    assert stripe.query["redirect_status"] == "succeeded"
    assert await stripe.party.book() == []
    paid = await stripe.party.provider.confirm(
        stripe.order, stripe.query["payment_intent"], "attempt-1"
    )
    assert paid.status is PaymentStatus.CAPTURED


async def test_a_declined_card_can_be_replaced_in_the_fields(stripe: CheckoutPage) -> None:
    page, fields = stripe.page, stripe.page.frame_locator("iframe")
    await fields.locator("select").select_option("insufficient_funds")
    await page.click("#pay")
    await expect(page.locator("#said")).to_have_text("insufficient_funds")
    await fields.locator("select").select_option("ok")
    await page.click("#pay")
    await page.wait_for_url("**/return?*")


@pytest.mark.parametrize(("button", "outcome"), [("complete", "succeeded"), ("fail", "failed")])
async def test_the_bank_may_ask_the_buyer(stripe: CheckoutPage, button: str, outcome: str) -> None:
    page = stripe.page
    await page.frame_locator("iframe").locator("select").select_option("three_d_secure")
    await page.click("#pay")
    await page.click(f"button[value={button}]")
    await page.wait_for_url("**/return?*")
    assert stripe.query["redirect_status"] == outcome
    key = stripe.payment_key
    found = await stripe.party.provider.look_up(stripe.order.order_id, key)
    assert found is not None
    is_ready = found.status is PaymentStatus.AUTHORIZED
    assert is_ready is (outcome == "succeeded")
