"""The wire format of Stripe: authentication, forms, errors, signatures, expanded objects."""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from boxoffice_simulators.book import DueNotice, SimulatorBook
from boxoffice_simulators.calls import SimulatedCall
from boxoffice_simulators.errors import WireRefusal

API_VERSION = "2024-06-20"
# The prefix of an id names its kind.
_KINDS = {
    "pi": "payment_intent", "ch": "charge", "re": "refund", "dp": "dispute",
    "txn": "balance_transaction",
}  # fmt: skip
_DECLINES = {
    "generic_decline", "insufficient_funds", "lost_card", "stolen_card", "do_not_honor",
    "card_velocity_exceeded", "card_not_supported", "fraudulent",
}  # fmt: skip
# Three days, with growing pauses.
_RETRIES_S = (60.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 86_400.0, 109_440.0)


class StripeWire:
    """Stripe's side of `WireFormat` and `NoticeFormat`."""

    # Its stored answers include 500.
    stores_failures = True
    compares_requests = True
    keys_valid_s = 86_400.0
    key_max = 255
    retries_s: tuple[float, ...] = _RETRIES_S

    def __init__(self, book: SimulatorBook, secret_key: str, webhook_secret: str) -> None:
        self._book = book
        self._secret_key = secret_key
        self._webhook_secret = webhook_secret

    def authorize(self, header: str) -> None:
        """Raise `WireRefusal` unless it is Bearer or Basic with the secret key."""
        scheme, _, given = header.partition(" ")
        if scheme == "Basic":
            try:
                given = base64.b64decode(given, validate=True).decode().partition(":")[0]
            except (binascii.Error, UnicodeDecodeError):
                given = ""
        if scheme not in ("Bearer", "Basic") or given != self._secret_key:
            raise self.error(401, "")

    def parse(self, body: bytes, content_type: str) -> dict[str, Any]:
        """Return the parameters of a form: `metadata[a]` as an object, `types[]` as a list."""
        if content_type != "application/x-www-form-urlencoded":
            raise self.error(400, "parameter_unknown")
        found: dict[str, Any] = {}
        for name, value in parse_qsl(body.decode(errors="replace"), keep_blank_values=True):
            outer, bracket, inner = name.partition("[")
            if not bracket:
                found[outer] = value
            elif inner == "]":
                found.setdefault(outer, []).append(value)
            else:
                found.setdefault(outer, {})[inner.rstrip("]")] = value
        return found

    def order_of(self, call: SimulatedCall) -> str:
        """Return the order in the metadata of what the call creates or names."""
        metadata = call.body.get("metadata")
        if isinstance(metadata, dict) and "order_id" in metadata:
            return str(metadata["order_id"])
        own = call.path.get("intent") or call.body.get("payment_intent")
        own = own or call.query.get("payment_intent", "")
        found = self._book.get("payment_intent", str(own)) or {}
        return str(found.get("metadata", {}).get("order_id", ""))

    def error(self, status: int, code: str) -> WireRefusal:
        """Return an error in Stripe's envelope."""
        error: dict[str, Any] = {
            "type": _type_of(status, code),
            "message": f"TEST: {code or status}",
        }
        if code in _DECLINES:
            error |= {"code": "card_declined", "decline_code": code}
        elif code == "processing":
            error |= {"type": "idempotency_error", "code": "idempotency_key_in_use"}
        elif code and code != "idempotency_error":
            error["code"] = code
        return WireRefusal(402 if code in _DECLINES else status, {"error": error})

    def spoil(self, answer: Any, what: str) -> Any:
        """Return an object with another currency or amount."""
        if what == "wrong_currency":
            return {**answer, "currency": "jpy"}
        return {**answer, "amount": answer["amount"] + 1}

    def notice_headers(self, notice: DueNotice, at: float, *, is_forged: bool) -> Mapping[str, str]:
        """Return the signature of a notice at a time."""
        secret = "whsec_of_another_shop" if is_forged else self._webhook_secret
        signed = f"{int(at)}.{notice.body}".encode()
        signature = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
        return {"Stripe-Signature": f"t={int(at)},v1={signature}"}


def _type_of(status: int, code: str) -> str:
    if code == "idempotency_error":
        return code
    if status >= 500:
        return "api_error"
    return "card_error" if status == 402 or code in _DECLINES else "invalid_request_error"


def new_stripe_id(prefix: str) -> str:
    """Return a new id such as Stripe makes."""
    return f"{prefix}_{secrets.token_hex(12)}"


def expanded(book: SimulatorBook, one: Any, path: str) -> Any:
    """Return an object whose ids on a dotted path are replaced by their objects."""
    name, _, rest = path.partition(".")
    if not path or not isinstance(one, dict) or name not in one:
        return one
    inner = one[name]
    if isinstance(inner, str):
        inner = book.get(_KINDS.get(inner.partition("_")[0], ""), inner) or inner
    if isinstance(inner, list):
        shown: Any = [expanded(book, each, rest) for each in inner]
    else:
        shown = expanded(book, inner, rest)
    return {**one, name: shown}


def listed(found: list[Any], url: str, *, has_more: bool = False) -> dict[str, Any]:
    """Return a list object."""
    return {"object": "list", "url": url, "has_more": has_more, "data": found}
