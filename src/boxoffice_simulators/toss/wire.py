"""The wire format of Toss Payments: authentication, errors, and the shape of a payment."""

import base64
import binascii
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec

from boxoffice_simulators.book import DueNotice
from boxoffice_simulators.calls import SimulatedCall
from boxoffice_simulators.errors import WireRefusal

VERSION = "2022-11-16"
_SEOUL = timezone(timedelta(hours=9))
# 1 minute to 4,096 minutes: 3 days and 19 hours in all.
_RETRIES_S = (60.0, 240.0, 960.0, 3_840.0, 15_360.0, 61_440.0, 245_760.0)

_STATUS_OF = {
    "UNAUTHORIZED_KEY": 401,
    "INCORRECT_BASIC_AUTH_FORMAT": 403,
    "REJECT_CARD_PAYMENT": 403,
    "REJECT_CARD_COMPANY": 403,
    "REJECT_ACCOUNT_PAYMENT": 403,
    "EXCEED_MAX_AUTH_COUNT": 403,
    "EXCEED_MAX_ONE_DAY_AMOUNT": 403,
    "FDS_ERROR": 403,
    "NOT_CANCELABLE_AMOUNT": 403,
    "NOT_CANCELABLE_PAYMENT": 403,
    "NOT_ALLOWED_PARTIAL_REFUND": 403,
    "FORBIDDEN_CONSECUTIVE_REQUEST": 403,
    "NOT_FOUND_PAYMENT": 404,
    "NOT_FOUND_PAYMENT_SESSION": 404,
    "FAILED_INTERNAL_SYSTEM_PROCESSING": 500,
    "FAILED_PAYMENT_INTERNAL_SYSTEM_PROCESSING": 500,
}


class TossWire:
    """Toss's side of `WireFormat` and `NoticeFormat`."""

    stores_failures = False
    # The same key with another body gets the first answer: Toss compares key, address and method.
    compares_requests = False
    keys_valid_s = 15 * 86_400.0
    key_max = 300
    retries_s: tuple[float, ...] = _RETRIES_S

    def __init__(self, secret_key: str) -> None:
        self._secret_key = secret_key

    def authorize(self, header: str) -> None:
        """Raise `WireRefusal` unless it is Basic with the secret key and no password."""
        scheme, _, encoded = header.partition(" ")
        try:
            name, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            colon = ""
        if scheme != "Basic" or not colon or password:
            raise self.error(403, "INCORRECT_BASIC_AUTH_FORMAT")
        if name != self._secret_key:
            raise self.error(401, "UNAUTHORIZED_KEY")

    def parse(self, body: bytes, content_type: str) -> dict[str, Any]:
        """Return the JSON object of a body."""
        try:
            found = msgspec.json.decode(body)
        except msgspec.DecodeError:
            found = None
        if content_type != "application/json" or not isinstance(found, dict):
            raise self.error(400, "INVALID_REQUEST")
        return found

    def order_of(self, call: SimulatedCall) -> str:
        """Return the order that the body or the path names."""
        return str(call.body.get("orderId") or call.path.get("order_id", ""))

    def error(self, status: int, code: str) -> WireRefusal:
        """Return an error object; the status follows from the code where it is known."""
        if code == "processing":
            code = "IDEMPOTENT_REQUEST_PROCESSING"
        default = "FAILED_INTERNAL_SYSTEM_PROCESSING" if status >= 500 else "INVALID_REQUEST"
        body = {"code": code or default, "message": f"TEST: {code or default}"}
        return WireRefusal(_STATUS_OF.get(code, status), body)

    def spoil(self, answer: Any, what: str) -> Any:
        """Return a payment with another currency or amount."""
        if what == "wrong_currency":
            return {**answer, "currency": "USD"}
        return {**answer, "totalAmount": answer["totalAmount"] + 1}

    def notice_headers(self, notice: DueNotice, at: float, *, is_forged: bool) -> Mapping[str, str]:
        """Return the headers of a notice, which Toss does not sign."""
        del is_forged
        return {
            "tosspayments-webhook-transmission-time": shown_time(at),
            "tosspayments-webhook-transmission-retried-count": str(notice.tries),
            "tosspayments-webhook-transmission-id": notice.id,
        }


def new_key(prefix: str = "") -> str:
    """Return a new key such as Toss makes."""
    return prefix + secrets.token_hex(22)


def shown_time(at: float) -> str:
    """Return a time as Toss shows it, in Seoul's zone."""
    return datetime.fromtimestamp(at, _SEOUL).isoformat(timespec="seconds")


def parsed_time(text: str) -> float:
    """Return the time of a query, in Seoul's zone unless it names one; raises `ValueError`."""
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=_SEOUL)).timestamp()


def new_payment(order: Mapping[str, Any], payment_key: str, at: float) -> dict[str, Any]:
    """Return a payment that the buyer has just begun; `_` names are the simulator's own."""
    amount = int(order["amount"])
    return {
        "mId": "tvivarepublica",
        "version": VERSION,
        "paymentKey": payment_key,
        "type": "NORMAL",
        "orderId": str(order["order_id"]),
        "orderName": str(order.get("order_name", "TEST")),
        "currency": str(order.get("currency", "KRW")),
        "method": "가상계좌" if order.get("method") == "virtual_account" else "카드",
        "status": "READY",
        "requestedAt": shown_time(at),
        "approvedAt": None,
        "lastTransactionKey": None,
        "useEscrow": False,
        "cultureExpense": False,
        "totalAmount": amount,
        "balanceAmount": amount,
        "suppliedAmount": amount - amount // 11,
        "vat": amount // 11,
        "taxFreeAmount": 0,
        "taxExemptionAmount": 0,
        "isPartialCancelable": bool(order.get("is_partial_cancelable", True)),
        "cancels": None,
        "card": None,
        "virtualAccount": None,
        "secret": None,
        "failure": None,
        "country": "KR",
        "_begun_at": at,
        "_authorized_at": None,
        "_success_url": str(order.get("success_url", "")),
        "_fail_url": str(order.get("fail_url", "")),
    }


def shown_payment(payment: Mapping[str, Any]) -> dict[str, Any]:
    """Return a payment as the API shows it."""
    return {name: value for name, value in payment.items() if not name.startswith("_")}
