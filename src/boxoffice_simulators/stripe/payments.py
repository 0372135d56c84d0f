"""What happens to payments at the simulated Stripe, each within one transaction of the book."""

import re
from collections.abc import Mapping
from typing import Any

from boxoffice_simulators.book import SimulatorBook
from boxoffice_simulators.calls import SimulatedCall
from boxoffice_simulators.notices import NoticeSender
from boxoffice_simulators.stripe.wire import (
    API_VERSION,
    StripeWire,
    expanded,
    listed,
    new_stripe_id,
)

AUTHORIZATION_S = 7 * 86_400.0
# What cards of the fields do: nothing special, 3-D Secure, or a decline code.
CARD_OK = "ok"
CARD_3DS = "three_d_secure"
_AMOUNT_MIN = {"krw": 1_000, "jpy": 50, "usd": 50, "eur": 50, "gbp": 30}
_CREATE = {
    "amount", "currency", "capture_method", "payment_method_types", "automatic_payment_methods",
    "metadata", "description", "expand", "customer", "receipt_email",
}  # fmt: skip
_OPEN = ("requires_payment_method", "requires_confirmation", "requires_action")


class StripeAccount:
    """The payment intents and charges of one account."""

    def __init__(self, book: SimulatorBook, wire: StripeWire, notices: NoticeSender) -> None:
        self._book = book
        self._wire = wire
        self._notices = notices

    def create(self, call: SimulatedCall) -> object:
        """Create a payment intent."""
        body = call.body
        refused = call.plan.of("decline")
        if refused is not None:
            raise self._wire.error(402, refused.code or "generic_decline")
        if set(body) - _CREATE:
            raise self._wire.error(400, "parameter_unknown")
        amount, currency = str(body.get("amount", "")), str(body.get("currency", "")).lower()
        if not amount.isdecimal() or not re.fullmatch("[a-z]{3}", currency):
            raise self._wire.error(400, "parameter_invalid_integer")
        if int(amount) < _AMOUNT_MIN.get(currency, 1):
            raise self._wire.error(400, "amount_too_small")
        own = new_stripe_id("pi")
        intent = {
            "id": own,
            "object": "payment_intent",
            "amount": int(amount),
            "amount_capturable": 0,
            "amount_received": 0,
            "canceled_at": None,
            "cancellation_reason": None,
            "capture_method": body.get("capture_method", "automatic"),
            "client_secret": f"{own}_secret_{new_stripe_id('x')[2:]}",
            "created": int(self._book.now()),
            "currency": currency,
            "description": body.get("description"),
            "last_payment_error": None,
            "latest_charge": None,
            "livemode": False,
            "metadata": body.get("metadata", {}),
            "next_action": None,
            "payment_method": None,
            "payment_method_types": body.get("payment_method_types", ["card"]),
            "status": "requires_payment_method",
        }
        self.keep(intent)
        self.notify("payment_intent.created", intent)
        return intent

    def pay(self, own_id: str, card: str, return_url: str = "") -> dict[str, Any]:
        """Let the buyer confirm with a card; a decline leaves the intent open for another one."""
        intent = self.intent(own_id)
        if intent["status"] not in _OPEN:
            raise self._wire.error(400, "payment_intent_unexpected_state")
        if card == CARD_3DS:
            action = {"type": "redirect_to_url", "redirect_to_url": {"return_url": return_url}}
            intent |= {"status": "requires_action", "next_action": action}
            self.keep(intent)
            self.notify("payment_intent.requires_action", intent)
            return intent
        return self.finish(intent, "" if card == CARD_OK else card)

    def finish(self, intent: dict[str, Any], decline_code: str) -> dict[str, Any]:
        """Authorize, or decline with a code."""
        charge = self._charge(intent, decline_code)
        intent |= {"next_action": None, "latest_charge": charge["id"]}
        if decline_code:
            refused = self._wire.error(402, decline_code).body
            error = refused["error"] if isinstance(refused, dict) else {}
            intent |= {
                "status": "requires_payment_method",
                "last_payment_error": {**error, "charge": charge["id"]},
            }
            self.keep(intent)
            self.notify("payment_intent.payment_failed", intent)
            return intent
        intent |= {
            "status": "requires_capture",
            "amount_capturable": intent["amount"],
            "last_payment_error": None,
            "payment_method": new_stripe_id("pm"),
        }
        self.keep(intent)
        self.notify("payment_intent.amount_capturable_updated", intent)
        if intent["capture_method"] != "manual":
            return self._captured(intent, intent["amount"])
        return intent

    def _charge(self, intent: Mapping[str, Any], decline_code: str) -> dict[str, Any]:
        charge = {
            "id": new_stripe_id("ch"),
            "object": "charge",
            "amount": intent["amount"],
            "amount_captured": 0,
            "amount_refunded": 0,
            "balance_transaction": None,
            "captured": False,
            "created": int(self._book.now()),
            "currency": intent["currency"],
            "disputed": False,
            "failure_code": "card_declined" if decline_code else None,
            "livemode": False,
            "metadata": intent["metadata"],
            "paid": not decline_code,
            "payment_intent": intent["id"],
            "refunded": False,
            "status": "failed" if decline_code else "succeeded",
        }
        self._book.put("charge", charge, own_id=charge["id"], parent=intent["id"])
        return charge

    def capture(self, call: SimulatedCall) -> object:
        """Move the money of an authorized intent."""
        intent = self.intent(call.path["intent"])
        refused = call.plan.of("decline")
        if refused is not None:
            raise self._wire.error(402, refused.code or "generic_decline")
        if intent["status"] != "requires_capture":
            raise self._wire.error(400, "payment_intent_unexpected_state")
        amount = str(call.body.get("amount_to_capture", intent["amount"]))
        if not amount.isdecimal() or not 0 < int(amount) <= intent["amount"]:
            raise self._wire.error(400, "amount_too_large")
        return self._captured(intent, int(amount))

    def _captured(self, intent: dict[str, Any], amount: int) -> dict[str, Any]:
        charge = self._book.get("charge", intent["latest_charge"]) or {}
        moved = self.transact("charge", charge["id"], amount, charge["currency"])
        charge |= {
            "captured": True,
            "amount_captured": amount,
            "balance_transaction": moved["id"],
        }
        self._book.put("charge", charge, own_id=charge["id"])
        intent |= {"status": "succeeded", "amount_capturable": 0, "amount_received": amount}
        self.keep(intent)
        self.move("capture", charge["id"], charge["id"], amount, intent)
        self.notify("payment_intent.succeeded", intent)
        self.notify("charge.captured", charge)
        return intent

    def cancel(self, call: SimulatedCall) -> object:
        """Cancel an intent that has not been captured."""
        return self.end(self.intent(call.path["intent"]), call.body.get("cancellation_reason"))

    def end(self, intent: dict[str, Any], reason: str | None) -> dict[str, Any]:
        """Cancel, by the merchant or the customer."""
        if intent["status"] in ("succeeded", "canceled"):
            raise self._wire.error(400, "payment_intent_unexpected_state")
        intent |= {
            "status": "canceled",
            "amount_capturable": 0,
            "canceled_at": int(self._book.now()),
            "cancellation_reason": reason,
            "next_action": None,
        }
        self.keep(intent)
        self.notify("payment_intent.canceled", intent)
        return intent

    def get(self, call: SimulatedCall) -> object:
        """Return a payment intent."""
        intent = self.intent(call.path["intent"])
        return expanded(self._book, intent, call.query.get("expand[]", ""))

    def search(self, call: SimulatedCall) -> object:
        """Return the intents of an order, newest first."""
        asked = re.fullmatch(r"metadata\['order_id'\]:'([^']*)'", call.query.get("query", ""))
        if asked is None:
            raise self._wire.error(400, "parameter_invalid_string_empty")
        found = [
            self.intent(one["id"])
            for one in reversed(self._book.objects("payment_intent", asked[1]))
            if one["metadata"].get("order_id") == asked[1]
        ]
        body = {**listed(found, "/v1/payment_intents/search"), "object": "search_result"}
        return expanded(self._book, body, call.query.get("expand[]", ""))

    def transactions(self, call: SimulatedCall) -> object:
        """Return a page of balance transactions, newest first."""
        query = call.query
        begin = int(query.get("created[gte]", "0"))
        end = int(query.get("created[lt]", str(1 << 40)))
        now = self._book.now()
        found = [
            one
            for one in reversed(self._book.objects("balance_transaction"))
            if begin <= one["created"] < end and one["_visible_at"] <= now
        ]
        after = query.get("starting_after")
        if after is not None:
            keys = [one["id"] for one in found]
            if after not in keys:
                raise self._wire.error(404, "resource_missing")
            found = found[keys.index(after) + 1 :]
        limit = min(int(query.get("limit", "10")), 100)
        shown = [_without_own(one) for one in found[:limit]]
        page = listed(shown, "/v1/balance_transactions", has_more=len(found) > limit)
        return expanded(self._book, page, query.get("expand[]", ""))

    def intent(self, own_id: str) -> dict[str, Any]:
        """Return an intent as it is now: an authorization ends after seven days."""
        intent = self._book.get("payment_intent", own_id)
        if intent is None:
            raise self._wire.error(404, "resource_missing")
        if intent["status"] == "requires_capture":
            charge = self._book.get("charge", intent["latest_charge"]) or {}
            if self._book.now() > charge["created"] + AUTHORIZATION_S:
                return self.end(intent, "automatic")
        return intent

    def keep(self, intent: Mapping[str, Any]) -> None:
        """Keep an intent."""
        order_id = intent["metadata"].get("order_id", "")
        self._book.put("payment_intent", dict(intent), own_id=intent["id"], parent=order_id)

    def transact(self, kind: str, source: str, amount: int, currency: str) -> dict[str, Any]:
        """Book a balance transaction; a charge has a fee."""
        at = self._book.now()
        fee = amount * 3 // 100 if kind == "charge" else 0
        one = {
            "id": new_stripe_id("txn"),
            "object": "balance_transaction",
            "amount": amount,
            "available_on": int(at) + 2 * 86_400,
            "created": int(at),
            "currency": currency,
            "fee": fee,
            "net": amount - fee,
            "source": source,
            "status": "pending",
            "type": kind,
            "_visible_at": at + self._book.statement_lag_s,
        }
        self._book.put("balance_transaction", one, own_id=str(one["id"]), parent=source)
        return one

    def move(
        self, kind: str, key: str, transaction_key: str, amount: int, intent: Mapping[str, Any]
    ) -> None:
        """Note a movement in the book that the tests compare with."""
        movement = {
            "key": key,
            "kind": kind,
            "order_id": intent["metadata"].get("order_id", ""),
            "payment_key": intent["id"],
            "amount_minor": amount,
            "currency": intent["currency"].upper(),
        }
        self._book.move(movement, transaction_key)

    def notify(self, kind: str, one: Mapping[str, Any]) -> None:
        """Queue an event about an object."""
        event = {
            "id": new_stripe_id("evt"),
            "object": "event",
            "api_version": API_VERSION,
            "created": int(self._book.now()),
            "data": {"object": one},
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            "type": kind,
        }
        order_id = one.get("metadata", {}).get("order_id", "")
        self._notices.queue(str(event["id"]), event, order_id)


def _without_own(one: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object without the simulator's own fields."""
    return {name: value for name, value in one.items() if not name.startswith("_")}
