"""An answer of any shape is read, or is an unknown outcome: no other error leaves a client."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from boxoffice.payments.providers.port import PaymentOrder, Provider, ProviderError, RefundOrder
from boxoffice.payments.providers.registry import open_providers
from boxoffice.settings import Settings
from boxoffice_simulators.toss.wire import new_payment, shown_payment

ORDER = PaymentOrder("order-000001", 55_000, "KRW", "Encore in Seoul")
REFUND = RefundOrder("refund-1", "key_1", 5_000, "KRW", is_whole=False, reason="")
TOSS = shown_payment(
    new_payment({"order_id": ORDER.order_id, "amount": 55_000}, "key_1", 1_800_000_000.0)
) | {
    "status": "DONE",
    "approvedAt": "2026-11-30T10:00:00+09:00",
    "cancels": [
        {
            "transactionKey": "T1",
            "cancelReason": "(refund-1)",
            "cancelAmount": 5_000,
            "canceledAt": "2026-11-30T10:01:00+09:00",
        }
    ],
}
STRIPE = {
    "id": "key_1",
    "amount": 55_000,
    "currency": "krw",
    "status": "succeeded",
    "created": 1_800_000_000,
    "metadata": {"order_id": ORDER.order_id},
    "last_payment_error": {"type": "card_error", "code": "card_declined"},
    "latest_charge": {
        "id": "ch_1",
        "amount": 55_000,
        "currency": "krw",
        "created": 1_800_000_000,
        "captured": True,
        "balance_transaction": {
            "id": "txn_1",
            "type": "charge",
            "amount": 1,
            "currency": "krw",
            "created": 1_800_000_001,
        },
    },
}

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "DONE", "succeeded", "KRW", "9999-12-31T23:59:59+09:00", "a", "1e9"])
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


def _paths(one: Any, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    parts = (
        one.items() if isinstance(one, dict) else enumerate(one) if isinstance(one, list) else ()
    )
    return [path for key, value in parts for path in (((*at, key)), *_paths(value, (*at, key)))]


def _changed(one: Any, path: tuple[str | int, ...], value: Any) -> Any:
    if not path:
        return value
    copy: Any = dict(one) if isinstance(one, dict) else list(one)
    copy[path[0]] = _changed(one[path[0]], path[1:], value)
    return copy


def _damaged(good: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Return answers with one or two wrong values, or of another shape altogether."""
    paths = st.sampled_from(_paths(good))
    one = st.builds(lambda path, value: _changed(good, path, value), paths, JSON)
    return one | JSON


@asynccontextmanager
async def _answering(body: Any, status: int) -> AsyncIterator[dict[str, str]]:
    async def answer(request: web.Request) -> web.Response:
        del request
        return web.json_response(body, status=status)

    app = web.Application()
    app.add_routes([web.route("*", "/{path:.*}", answer)])
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield {"toss_api_url": url, "stripe_api_url": url}
    await runner.cleanup()


async def _ask(provider: Provider) -> None:
    """Make each call once; errors of the port are expected."""
    now = datetime.now(UTC)
    calls = (
        lambda: provider.open(ORDER, "key"),
        lambda: provider.confirm(ORDER, "key_1", "key"),
        lambda: provider.look_up(ORDER.order_id, "key_1"),
        lambda: provider.look_up(ORDER.order_id, None),
        lambda: provider.refund(REFUND, "key"),
        lambda: provider.look_up_refund(REFUND, "key"),
        lambda: provider.look_up_dispute("dp_1"),
        lambda: provider.statement(now - timedelta(days=1), now),
        lambda: provider.abandon(ORDER, "key_1", "key"),
    )
    for call in calls:
        try:
            await call()
        except ProviderError:
            continue


@pytest.mark.parametrize(("name", "good"), [("toss", TOSS), ("stripe", STRIPE)])
def test_any_answer_is_read_or_unknown(name: str, good: dict[str, Any]) -> None:
    bodies = st.one_of(
        _damaged(good),
        _damaged(good).map(lambda one: {"data": [one], "has_more": True}),
        _damaged(good).map(lambda one: [one]),
        JSON.map(lambda one: {"error": one}),
    )

    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(bodies, st.sampled_from([200, 200, 200, 400, 402, 404, 429]))
    def check(body: Any, status: int) -> None:
        asyncio.run(_checked(name, body, status))

    check()


async def _checked(name: str, body: Any, status: int) -> None:
    async with _answering(body, status) as urls:
        given_settings = Settings.of(
            toss_secret_key="test_sk_0123456789",
            stripe_secret_key="sk_test_0123456789",
            provider_breaker_failures_max=1_000,
            provider_connect_timeout_ms=1_000,
            **urls,
        )
        async with open_providers(given_settings.providers) as providers:
            await _ask(providers[name])
