"""The client of Stripe against localstripe, a simulator that others wrote.

It knows no idempotency keys, no search, no filters of its statement and no disputes; those are tested
against our own simulator only.
"""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from boxoffice.payments.providers.port import (
    DeclineReason,
    PaymentOrder,
    PaymentStatus,
    Provider,
    ProviderDeclined,
)
from boxoffice.payments.providers.registry import open_providers
from boxoffice.settings import Settings
from tests.support.providers import AMOUNT, new_order, refund_of
from tests.support.shop import free_port
from tests.support.simulators import STRIPE_KEYS

PYTHON = Path(sys.prefix) / "localstripe" / "bin" / "python"
# Numbers whose meaning is Stripe's; the second one is declined when it is charged.
GOOD, DECLINED = "4242424242424242", "4000000000000341"
DEADLINE_S = 20.0

pytestmark = pytest.mark.skipif(
    not PYTHON.exists(),
    reason="localstripe is not installed: scripts/bootstrap .venv/localstripe localstripe",
)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a localstripe that runs for this file."""
    port = free_port()
    folder = tmp_path_factory.mktemp("localstripe")
    command = [str(PYTHON), "-m", "localstripe", "--port", str(port), "--from-scratch"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env={"TMPDIR": str(folder)}, stdout=log, stderr=log
        )
    try:
        _wait_for(port, process)
        yield f"http://localhost:{port}"
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    ends_at = time.monotonic() + DEADLINE_S
    while True:
        assert process.poll() is None, "localstripe ended"
        try:
            socket.create_connection(("localhost", port), 1).close()
        except OSError:
            assert time.monotonic() < ends_at, "localstripe does not listen"
            time.sleep(0.1)
        else:
            return


class LocalStripe:
    """The buyer's side, as Stripe's script does it."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def authorize(self, payment_key: str, number: str) -> None:
        """Pay with a card; a decline is seen by the shop afterwards."""
        card = {"number": number, "exp_month": "12", "exp_year": "2030", "cvc": "123"}
        form = {f"card[{name}]": value for name, value in card.items()}
        method = await self._post("/v1/payment_methods", {"type": "card", **form})
        intent = f"/v1/payment_intents/{payment_key}"
        await self._post(intent, {"payment_method": method["id"]})
        await self._post(f"{intent}/confirm", {})

    async def _post(self, path: str, form: dict[str, str]) -> Any:
        headers = {"Authorization": f"Bearer {STRIPE_KEYS['stripe_secret_key']}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.post(self._url + path, data=form) as response,
        ):
            return await response.json()


@pytest.fixture
def buyer(url: str) -> LocalStripe:
    """The buyer at localstripe."""
    return LocalStripe(url)


@pytest.fixture
async def stripe(url: str) -> Any:
    """Our client of it."""
    settings = Settings.of(**STRIPE_KEYS, stripe_api_url=url)
    async with open_providers(settings.providers) as providers:
        yield providers["stripe"]


async def _opened(stripe: Provider, order: PaymentOrder) -> str:
    opened = await stripe.open(order, f"open-{order.order_id}")
    assert opened.payment_key is not None
    assert opened.client["client_secret"].startswith(opened.payment_key)
    return opened.payment_key


async def test_a_payment_is_authorized_and_captured(stripe: Provider, buyer: LocalStripe) -> None:
    order = new_order()
    key = await _opened(stripe, order)
    waiting = await stripe.look_up(order.order_id, key)
    assert waiting is not None
    assert waiting.status is PaymentStatus.WAITING
    await buyer.authorize(key, GOOD)
    ready = await stripe.look_up(order.order_id, key)
    assert ready is not None
    assert (ready.status, ready.movements) == (PaymentStatus.AUTHORIZED, ())
    paid = await stripe.confirm(order, key, "attempt-1")
    assert paid.status is PaymentStatus.CAPTURED
    [movement] = paid.movements
    assert (movement.kind, movement.amount_minor, movement.currency) == ("capture", AMOUNT, "KRW")
    assert await stripe.confirm(order, key, "attempt-2") == paid


async def test_a_declined_card_has_a_reason(stripe: Provider, buyer: LocalStripe) -> None:
    order = new_order()
    key = await _opened(stripe, order)
    await buyer.authorize(key, DECLINED)
    with pytest.raises(ProviderDeclined) as declined:
        await stripe.confirm(order, key, "attempt-1")
    assert declined.value.reason is DeclineReason.CARD_DECLINED


async def test_a_canceled_intent_is_not_captured(stripe: Provider, buyer: LocalStripe) -> None:
    order = new_order()
    key = await _opened(stripe, order)
    await buyer.authorize(key, GOOD)
    await stripe.abandon(order, key, "abandon-1")
    with pytest.raises(ProviderDeclined) as declined:
        await stripe.confirm(order, key, "attempt-1")
    assert declined.value.reason is DeclineReason.SESSION_EXPIRED
    await stripe.abandon(order, key, "abandon-2")


async def test_money_goes_back_in_parts(stripe: Provider, buyer: LocalStripe) -> None:
    order = new_order()
    key = await _opened(stripe, order)
    await buyer.authorize(key, GOOD)
    paid = await stripe.confirm(order, key, "attempt-1")
    first = refund_of(paid, 15_000)
    assert await stripe.look_up_refund(first, "key") is None
    done = await stripe.refund(first, first.refund_id)
    assert (done.status, done.amount_minor, done.currency) == ("DONE", 15_000, "KRW")
    assert await stripe.look_up_refund(first, "key") == done
    after = await stripe.look_up(order.order_id, key)
    assert after is not None
    assert after.status is PaymentStatus.PARTLY_REFUNDED
    assert [(one.kind, one.amount_minor) for one in after.movements] == [
        ("capture", AMOUNT),
        ("refund", 15_000),
    ]


async def test_an_unknown_intent_is_not_found(stripe: Provider) -> None:
    assert await stripe.look_up(new_order().order_id, "pi_unknown") is None
