"""Amounts reach the provider in minor units: a currency without decimals, and one with two."""

from pathlib import Path

import pytest

from boxoffice.settings import Settings
from tests.support.simulators import Simulators
from tests.support.till import open_till


@pytest.mark.parametrize("currency", ["JPY", "USD"])
async def test_amounts_are_minor_units(
    settings: Settings, simulators: Simulators, tmp_path: Path, currency: str
) -> None:
    """Fault: KRW and JPY × 100. A whole and a partial refund go back to the minor unit."""
    own = settings.replace(currency=currency)
    async with open_till(own, simulators, tmp_path) as till:
        pod = till.open_pod(currency=currency)
        stripe = till.simulator("stripe")
        await stripe.set_notices(url=f"{pod.url}/v1/webhooks/stripe")
        till.start_cashier(currency=currency)
        person, seats = till.fixtures.people[0], till.fixtures.seat_ids
        prices = await till.connection.fetch("SELECT seat_id, price_minor FROM seats")
        price = {row["seat_id"]: row["price_minor"] for row in prices}
        reservation_id = await till.hold(person, seats[0], seats[1])
        refused = {"reservation_id": reservation_id, "method": "toss"}
        status, body = await till.call("POST", "/v1/payment-intents", person, refused, "toss-1")
        assert (status, body["code"]) == (422, "amount_invalid"), "Toss takes won"
        intent = await till.open(person, reservation_id, "stripe")
        due = price[seats[0]] + price[seats[1]]
        assert (intent["amount"], intent["currency"]) == (due, currency)
        attempt = await till.authorize(person, intent, "stripe")
        status, done = await till.confirm(attempt)
        assert (status, done["status"]) == (200, "SUCCEEDED"), done
        [payment] = await stripe.payments()
        assert (payment["amount"], payment["amount_received"]) == (due, due)
        assert payment["currency"] == currency.lower()
        path = f"/v1/payments/{done['payment_id']}"
        _, shown = await till.call("GET", path, person)
        ticket = shown["tickets"][0]
        _, quote = await till.call(
            "GET", f"{path}/refund-quote?ticket_ids={ticket['ticket_id']}", person
        )
        assert quote["refund"] == price[ticket["seat_id"]]
        for key, ticket_ids in (("one", [ticket["ticket_id"]]), ("rest", [])):
            _, quote = await till.call("GET", f"{path}/refund-quote", person)
            expected = price[ticket["seat_id"]] if ticket_ids else quote["refund"]
            wanted = {"ticket_ids": ticket_ids, "expected_refund": expected}
            status, made = await till.call("POST", f"{path}/refunds", person, wanted, key)
            assert status == 201, made
        await till.until_idle()
        moved = [(one["kind"], one["amount_minor"]) for one in await stripe.movements()]
        assert moved[0] == ("capture", due)
        assert sorted(moved[1:]) == sorted(("refund", price[seat]) for seat in seats[:2])
        assert {one["currency"] for one in await stripe.movements()} == {currency}
        await till.require_books_agree()
