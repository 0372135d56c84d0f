"""Signed notices of a payment provider: new ones, and repetitions."""

import hashlib
import hmac
import time
from uuid import UUID

import msgspec

from bench.client import load
from bench.scenarios import http_requests
from bench.scenarios.scenario import RequestSet, ScenarioContext, split
from boxoffice.platform.ids import ScopedId

_SECRET = "whsec_bench0000"  # noqa: S105 — the benchmark's own
# The server calls no provider for a notice, so the keys belong to no account.
ENV = {
    "BOXOFFICE_STRIPE_SECRET_KEY": "sk_test_bench00000000",
    "BOXOFFICE_STRIPE_PUBLISHABLE_KEY": "pk_test_bench00000000",
    "BOXOFFICE_STRIPE_WEBHOOK_SECRETS": _SECRET,
}


def new(context: ScenarioContext) -> RequestSet:
    """Each notice is another event about another order."""
    count = context.sizes.holds
    return split(_signed(context.sizes.warmup + count), context.sizes, count)


def repeated(context: ScenarioContext) -> RequestSet:
    """The same notices when they are kept already, as after an answer that was lost."""
    request_set = new(context)
    load.send_all(context.server.port, list(request_set.requests))
    return request_set


def _signed(count: int) -> list[bytes]:
    """Return notices that were signed just now."""
    at = int(time.time())
    return [
        http_requests.notice("stripe", _body(number, at), _signature(number, at))
        for number in range(count)
    ]


def _body(number: int, at: int) -> bytes:
    """Return an event about an order of this shop, in the form and size of Stripe's."""
    order_id = str(ScopedId(UUID(int=1), UUID(int=number)))
    shown = {
        "id": f"pi_bench{number}", "object": "payment_intent", "amount": 10_000, "currency": "krw",
        "status": "succeeded", "capture_method": "manual", "metadata": {"order_id": order_id},
        "latest_charge": f"ch_bench{number}", "payment_method_types": ["card"], "livemode": False,
    }  # fmt: skip
    event = {
        "id": f"evt_bench{number}", "object": "event", "type": "payment_intent.succeeded",
        "created": at, "data": {"object": shown},
    }  # fmt: skip
    return msgspec.json.encode(event)


def _signature(number: int, at: int) -> str:
    signed = f"{at}.".encode() + _body(number, at)
    digest = hmac.new(_SECRET.encode(), signed, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"
