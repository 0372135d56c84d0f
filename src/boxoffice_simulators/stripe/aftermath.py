"""What happens after a capture at the simulated Stripe: refunds and disputes."""

from collections.abc import Mapping
from typing import Any

from boxoffice_simulators.book import SimulatorBook
from boxoffice_simulators.calls import SimulatedCall
from boxoffice_simulators.stripe.payments import StripeAccount
from boxoffice_simulators.stripe.wire import StripeWire, expanded, listed, new_stripe_id

_CREATE = {"payment_intent", "charge", "amount", "reason", "metadata", "expand"}
_LIST_MAX = 100


class StripeAftermath:
    """The refunds and disputes of one account."""

    def __init__(self, book: SimulatorBook, wire: StripeWire, account: StripeAccount) -> None:
        self._book = book
        self._wire = wire
        self._account = account

    def refund(self, call: SimulatedCall) -> object:
        """Give money back."""
        refused = call.plan.of("decline")
        if refused is not None:
            raise self._wire.error(400, refused.code or "charge_disputed")
        if set(call.body) - _CREATE:
            raise self._wire.error(400, "parameter_unknown")
        amount = call.body.get("amount")
        status = "pending" if call.plan.has("pending") else "succeeded"
        intent = self._account.intent(str(call.body.get("payment_intent", "")))
        return self.give_back(intent, amount, call.body.get("metadata", {}), status)

    def give_back(
        self, intent: Mapping[str, Any], asked: object, metadata: object, status: str = "succeeded"
    ) -> dict[str, Any]:
        """Refund an amount (None: all that is left), also without a call of the shop."""
        if intent["status"] != "succeeded":
            raise self._wire.error(400, "payment_intent_unexpected_state")
        charge = self._book.get("charge", intent["latest_charge"]) or {}
        left = charge["amount_captured"] - charge["amount_refunded"]
        amount = int(str(asked)) if str(asked).isdecimal() else left
        if left == 0:
            raise self._wire.error(400, "charge_already_refunded")
        if not 0 < amount <= left:
            raise self._wire.error(400, "amount_too_large")
        refund = {
            "id": new_stripe_id("re"),
            "object": "refund",
            "amount": amount,
            "balance_transaction": None,
            "charge": charge["id"],
            "created": int(self._book.now()),
            "currency": charge["currency"],
            "failure_balance_transaction": None,
            "failure_reason": None,
            "metadata": metadata,
            "payment_intent": intent["id"],
            "status": status,
        }
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount_captured"]
        self._book.put("charge", charge, own_id=charge["id"])
        self._keep(refund)
        if status == "succeeded":
            self._move_out(refund, intent)
        self._account.notify("refund.created", refund)
        self._account.notify("charge.refunded", charge)
        return refund

    def settle(self, own_id: str, *, is_done: bool) -> dict[str, Any]:
        """Finish a pending refund, or let one fail: a succeeded one gives its money back."""
        refund = self._refund(own_id)
        intent = self._account.intent(refund["payment_intent"])
        if is_done and refund["status"] == "pending":
            refund["status"] = "succeeded"
            self._move_out(refund, intent)
        elif not is_done and refund["status"] in ("pending", "succeeded"):
            self._fail(refund, intent)
        self._keep(refund)
        self._account.notify("refund.updated" if is_done else "refund.failed", refund)
        return refund

    def _move_out(self, refund: dict[str, Any], intent: Mapping[str, Any]) -> None:
        amount = refund["amount"]
        moved = self._account.transact("refund", refund["id"], -amount, refund["currency"])
        refund["balance_transaction"] = moved["id"]
        self._keep(refund)
        self._account.move("refund", refund["id"], refund["id"], amount, intent)

    def _fail(self, refund: dict[str, Any], intent: Mapping[str, Any]) -> None:
        own, amount = refund["id"], refund["amount"]
        refund |= {"status": "failed", "failure_reason": "lost_or_stolen_card"}
        charge = self._book.get("charge", refund["charge"]) or {}
        charge["amount_refunded"] -= amount
        charge["refunded"] = False
        self._book.put("charge", charge, own_id=charge["id"])
        if refund["balance_transaction"] is None:
            return
        moved = self._account.transact("refund_failure", own, amount, refund["currency"])
        refund["failure_balance_transaction"] = moved["id"]
        self._account.move("refund_failed", f"{own}:failed", f"{own}:failed", amount, intent)

    def list_refunds(self, call: SimulatedCall) -> object:
        """Return the refunds of a payment intent, newest first."""
        found = self._book.objects("refund", call.query.get("payment_intent", ""))
        return listed(found[::-1][:_LIST_MAX], "/v1/refunds", has_more=len(found) > _LIST_MAX)

    def get_refund(self, call: SimulatedCall) -> object:
        """Return a refund."""
        return self._refund(call.path["refund"])

    def get_dispute(self, call: SimulatedCall) -> object:
        """Return a dispute."""
        found = self._book.get("dispute", call.path["dispute"])
        if found is None:
            raise self._wire.error(404, "resource_missing")
        return expanded(self._book, found, call.query.get("expand[]", ""))

    def dispute(self, payment_key: str, stage: str, status: str) -> dict[str, Any]:
        """Let a dispute be created, withdraw or reinstate its funds, or close as `won` or `lost`."""
        intent = self._account.intent(payment_key)
        charge = self._book.get("charge", intent["latest_charge"]) or {}
        found = self._book.objects("dispute", payment_key)
        dispute = found[-1] if found else self._new_dispute(intent, charge)
        sign = {"funds_withdrawn": -1, "funds_reinstated": 1}.get(stage, 0)
        if sign:
            amount, currency = dispute["amount"], dispute["currency"]
            moved = self._account.transact("adjustment", dispute["id"], sign * amount, currency)
            dispute["balance_transactions"].append(moved)
            kind = "dispute" if sign < 0 else "dispute_won"
            self._account.move(kind, moved["id"], moved["id"], amount, intent)
        elif stage == "closed":
            dispute["status"] = status
        elif stage != "created":
            raise self._wire.error(400, "parameter_unknown")
        self._book.put("dispute", dispute, own_id=dispute["id"], parent=payment_key)
        self._account.notify(f"charge.dispute.{stage}", dispute)
        return dispute

    def _new_dispute(self, intent: Mapping[str, Any], charge: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "id": new_stripe_id("dp"),
            "object": "dispute",
            "amount": charge["amount_captured"],
            "balance_transactions": [],
            "charge": charge["id"],
            "created": int(self._book.now()),
            "currency": charge["currency"],
            "is_charge_refundable": True,
            "livemode": False,
            "metadata": {},
            "payment_intent": intent["id"],
            "reason": "fraudulent",
            "status": "needs_response",
        }

    def _refund(self, own_id: str) -> dict[str, Any]:
        found = self._book.get("refund", own_id)
        if found is None:
            raise self._wire.error(404, "resource_missing")
        return found

    def _keep(self, refund: Mapping[str, Any]) -> None:
        self._book.put("refund", dict(refund), own_id=refund["id"], parent=refund["payment_intent"])
