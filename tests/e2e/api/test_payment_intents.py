"""Paying through the simulated providers over HTTP, with the real wire format."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from boxoffice.platform.ids import ScopedId
from tests.support.simulators import Simulator, Simulators

from .client import Api, Person, Sale, expect, sign_up
from .conftest import Running, Start, check_books, hold, make_organizer, on_sale


@pytest.fixture
def shop(start: Start, simulator_processes: Simulators) -> Running:
    """A server whose providers are simulated."""
    asyncio.run(simulator_processes.reset())
    return start(**simulator_processes.values)


@pytest.fixture
def stage(shop: Running) -> Sale:
    """A concert of the test's own."""
    return on_sale(make_organizer(shop), 10)


def _opened(person: Person, sale: Sale, seat: str, method: str) -> dict[str, Any]:
    held = hold(person, sale, seat).json["reservation_id"]
    body = {"reservation_id": held, "method": method}
    return dict(expect(person.api.keyed("/v1/payment-intents", body), 201).json)


def _authorized(simulator: Simulator, intent: dict[str, Any]) -> dict[str, Any]:
    """Let the buyer finish at the provider; return what the browser brings back."""
    values = {"order_id": intent["intent_id"], "amount": intent["amount"]}
    if "payment_key" in intent["client"]:
        values["payment_key"] = intent["client"]["payment_key"]
    key = asyncio.run(simulator.do("authorize", **values))["payment_key"]
    return {"payment_key": key, "order_id": intent["intent_id"], "amount": intent["amount"]}


def _path(intent: dict[str, Any], action: str = "") -> str:
    return f"/v1/payment-intents/{intent['intent_id']}{action}"


def test_the_methods_are_marked_as_tests(shop: Running) -> None:
    shown = expect(shop.api.get("/v1/payment-methods"), 200).json["items"]
    assert shown == [
        {"method": "wallet", "is_available": True, "is_test": False},
        {"method": "toss", "is_available": True, "is_test": True},
        {"method": "stripe", "is_available": True, "is_test": True},
    ]


@pytest.mark.parametrize("method", ["toss", "stripe"])
def test_a_hold_is_paid_through_a_provider(
    shop: Running, stage: Sale, simulator_processes: Simulators, method: str
) -> None:
    buyer, simulator = sign_up(shop.api), getattr(simulator_processes, method)
    intent = _opened(buyer, stage, "A-1-1", method)
    assert (intent["status"], intent["method"], intent["amount"]) == ("OPEN", method, 110_000)
    back = _authorized(simulator, intent)
    other = sign_up(shop.api)
    expect(other.api.get(_path(intent)), 404, "payment_intent_not_found")
    expect(other.api.post(_path(intent, "/confirm"), back), 404, "payment_intent_not_found")
    expect(other.api.delete(_path(intent)), 404, "payment_intent_not_found")
    for changed in ({"amount": 1}, {"order_id": intent["reservation_id"]}, {"currency": "JPY"}):
        expect(buyer.api.post(_path(intent, "/confirm"), back | changed), 422, "amount_mismatch")
    done = expect(buyer.api.post(_path(intent, "/confirm"), back), 200).json
    assert done["status"] == "SUCCEEDED"
    assert expect(buyer.api.post(_path(intent, "/confirm"), back), 200).json == done
    payment = expect(buyer.api.get(f"/v1/payments/{done['payment_id']}"), 200).json
    assert (payment["method"], len(payment["tickets"])) == (method, 1)
    expect(buyer.api.delete(_path(intent)), 409, "intent_final")
    moved = asyncio.run(simulator.movements())
    assert [(one["kind"], one["amount_minor"]) for one in moved] == [("capture", 110_000)]
    check_books(shop.database_url)


def test_a_declined_card_can_be_replaced_and_a_hold_given_up(
    shop: Running, stage: Sale, simulator_processes: Simulators
) -> None:
    buyer, toss = sign_up(shop.api), simulator_processes.toss
    intent = _opened(buyer, stage, "A-1-2", "toss")
    expect(
        buyer.api.keyed(
            "/v1/payment-intents",
            {"reservation_id": intent["reservation_id"], "method": "stripe"},
        ),
        409,
        "payment_in_progress",
    )
    expect(
        buyer.api.delete(f"/v1/reservations/{intent['reservation_id']}"), 409, "payment_in_progress"
    )
    expect(buyer.api.delete(_path(intent)), 204)
    expect(buyer.api.delete(f"/v1/reservations/{intent['reservation_id']}"), 204)
    assert asyncio.run(toss.movements()) == []
    check_books(shop.database_url)


def test_a_wallet_is_topped_up_through_a_provider(
    shop: Running, simulator_processes: Simulators
) -> None:
    buyer = sign_up(shop.api)
    body = {"top_up_amount": 50_000, "method": "toss"}
    intent = expect(buyer.api.keyed("/v1/payment-intents", body), 201).json
    back = _authorized(simulator_processes.toss, intent)
    done = expect(buyer.api.post(_path(intent, "/confirm"), back), 200).json
    assert (done["status"], done["purpose"], done["payment_id"]) == ("SUCCEEDED", "top_up", None)
    assert expect(buyer.api.get("/v1/me/wallet"), 200).json["balance"] == 50_000
    check_books(shop.database_url)


def test_what_is_asked_for_must_make_sense(shop: Running, stage: Sale) -> None:
    buyer = sign_up(shop.api)
    for body in (
        {"method": "toss"},
        {"method": "toss", "top_up_amount": 1, "reservation_id": "x"},
        {"method": "toss", "top_up_amount": 1},
    ):
        expect(buyer.api.keyed("/v1/payment-intents", body), 422, "amount_invalid")
    made_up = {"method": "toss", "reservation_id": str(ScopedId(UUID(int=1), UUID(int=2)))}
    expect(buyer.api.keyed("/v1/payment-intents", made_up), 404, "reservation_not_found")
    expect(
        buyer.api.keyed("/v1/payment-intents", made_up | {"method": "shells"}),
        422,
        "payment_method_unknown",
    )


def test_intents_need_a_token(shop: Running) -> None:
    nobody: Api = shop.api
    expect(nobody.keyed("/v1/payment-intents", {"method": "toss"}), 401, "unauthenticated")
