"""Notices of payment providers: signatures as Stripe's own library judges them, and hints of Toss."""

import hashlib
import hmac
import json
import time
from typing import cast

import aiohttp
import pytest
import stripe as oracle
from hypothesis import given, settings
from hypothesis import strategies as st

from boxoffice.payments.providers.port import NoticeForged, ProviderNotice
from boxoffice.payments.providers.stripe import Stripe
from boxoffice.payments.providers.toss import TossPayments
from boxoffice.settings import Settings

NOW = 1_800_000_000
OLD, NEW, FOREIGN = (f"whsec_{name}_0123456789" for name in ("old", "new", "foreign"))
BODY = json.dumps(
    {
        "id": "evt_1",
        "type": "payment_intent.succeeded",
        "data": {
            "object": {
                "object": "payment_intent",
                "id": "pi_1",
                "metadata": {"order_id": "order-1"},
            }
        },
    }
).encode()


def _stripe(secrets: str = OLD, now: float = NOW) -> Stripe:
    settings = Settings.of(stripe_secret_key="sk_test_0123456789", stripe_webhook_secrets=secrets)
    # Reading a notice needs no session.
    return Stripe(settings.providers, cast("aiohttp.ClientSession", None), clock=lambda: now)


def _toss() -> TossPayments:
    settings = Settings.of(toss_secret_key="test_sk_0123456789")
    return TossPayments(settings.providers, cast("aiohttp.ClientSession", None))


def _signature(secret: str, at: int = NOW, body: bytes = BODY) -> str:
    return hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()


def _read(header: str, body: bytes = BODY, **how: object) -> ProviderNotice:
    return _stripe(**how).read_notice({"stripe-signature": header}, body)  # type: ignore[arg-type]


def test_a_signed_notice_names_payment_and_order() -> None:
    found = _read(f"t={NOW},v1={_signature(OLD)}")
    assert found == ProviderNotice(
        "evt_1", "payment_intent.succeeded", "signed", order_id="order-1", payment_key="pi_1"
    )


def test_the_library_of_stripe_accepts_what_we_accept() -> None:
    at = int(time.time())
    header = f"t={at},v1={_signature(OLD, at)}"
    assert _read(header, now=at).notice_id == "evt_1"
    event = oracle.Webhook.construct_event(BODY, header, OLD)
    assert event.id == "evt_1"


# Parts of a header, right and wrong ones, in any order and number.
PARTS = st.sampled_from(
    [
        f"t={NOW}",
        f"t={NOW + 1}",
        "t=",
        "t=x",
        "t",
        f"v1={_signature(OLD)}",
        f"v1={_signature(NEW)}",
        f"v1={_signature(FOREIGN)}",
        f"v1={_signature(OLD, NOW + 1)}",
        f"v0={_signature(OLD)}",
        "v1=",
        "v1=é",
        "",
    ]
)


@settings(max_examples=500)
@given(st.lists(PARTS, max_size=5).map(",".join), st.sampled_from([BODY, BODY + b" ", b"{}", b""]))
def test_a_header_is_accepted_as_by_the_library_of_stripe(header: str, body: bytes) -> None:
    """We accept nothing that it refuses, and refuse nothing plain that it accepts."""
    try:
        oracle.WebhookSignature.verify_header(body.decode(), header, OLD)
        is_accepted = True
    except Exception:
        is_accepted = False
    try:
        _read(header, body)
        is_read = True
    except NoticeForged:
        is_read = False
    assert is_read <= is_accepted
    # The library passes by a repeated time, and signs that come behind a signature that fits.
    is_plain = header.isascii() and len(header.split("t")) < 3
    assert is_accepted <= is_read or not is_plain or body != BODY


@pytest.mark.parametrize("secrets", [f"{OLD},{NEW}", f"{NEW},{OLD}"])
@pytest.mark.parametrize("signed_by", [OLD, NEW])
def test_both_secrets_hold_while_one_is_replaced(secrets: str, signed_by: str) -> None:
    assert _read(f"t={NOW},v1={_signature(signed_by)}", secrets=secrets).grade == "signed"
    with pytest.raises(NoticeForged):
        _read(f"t={NOW},v1={_signature(FOREIGN)}", secrets=secrets)


def test_one_of_several_signatures_is_enough() -> None:
    header = f"t={NOW},v1={_signature(FOREIGN)},v1={_signature(OLD)}"
    assert _read(header).notice_id == "evt_1"


@pytest.mark.parametrize("skew", [-300, 0, 300])
def test_a_clock_may_be_a_little_wrong(skew: int) -> None:
    assert _read(f"t={NOW},v1={_signature(OLD)}", now=NOW + skew).notice_id == "evt_1"


@pytest.mark.parametrize("skew", [-301, 301, 86_400])
def test_an_old_notice_is_not_replayed(skew: int) -> None:
    with pytest.raises(NoticeForged):
        _read(f"t={NOW},v1={_signature(OLD)}", now=NOW + skew)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "t=,v1=",
        f"t={NOW}",
        f"v1={_signature(OLD)}",
        f"t={NOW + 1},v1={_signature(OLD)}",
        f"t={NOW},v1={_signature(OLD)[:-1]}",
        f"t={NOW},v1={_signature(OLD)}é",
        f"t={NOW},v0={_signature(OLD)}",
        "t=99999999999999999999,v1=0",
        "t=-1,v1=0",
        "t=١,v1=0",
    ],
)
def test_another_signature_is_refused(header: str) -> None:
    with pytest.raises(NoticeForged):
        _read(header)


def test_without_a_secret_every_notice_is_refused() -> None:
    with pytest.raises(NoticeForged):
        _read(f"t={NOW},v1={_signature('')}", secrets="")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"id":1}', b"\xff", b'{"id":"a","type":"b","data":[]}']
)
def test_a_signed_body_of_another_form_is_refused(body: bytes) -> None:
    with pytest.raises(NoticeForged):
        _read(f"t={NOW},v1={_signature(OLD, NOW, body)}", body)


@pytest.mark.parametrize(
    ("shown", "payment_key", "dispute_key"),
    [
        ({"object": "charge", "id": "ch_1", "payment_intent": "pi_1"}, "pi_1", None),
        ({"object": "refund", "id": "re_1", "payment_intent": "pi_1"}, "pi_1", None),
        ({"object": "dispute", "id": "dp_1", "payment_intent": "pi_1"}, "pi_1", "dp_1"),
        ({"object": "payout", "id": "po_1"}, None, None),
        (
            {"object": "charge", "id": 1, "payment_intent": {"id": "pi_1"}, "metadata": 3},
            None,
            None,
        ),
    ],
)
def test_a_notice_names_what_it_is_about(
    shown: dict[str, object], payment_key: str | None, dispute_key: str | None
) -> None:
    body = json.dumps({"id": "evt_2", "type": "x", "data": {"object": shown}}).encode()
    found = _read(f"t={NOW},v1={_signature(OLD, NOW, body)}", body)
    assert (found.payment_key, found.dispute_key) == (payment_key, dispute_key)


def test_a_notice_of_toss_is_a_hint() -> None:
    event = {
        "eventType": "PAYMENT_STATUS_CHANGED",
        "createdAt": "2026-01-02T14:46:59.65327",
        "data": {"orderId": "order-1", "paymentKey": "key-1", "status": "DONE", "secret": "ps_1"},
    }
    body = json.dumps(event).encode()
    found = _toss().read_notice({"tosspayments-webhook-transmission-id": "one"}, body)
    assert (found.grade, found.order_id, found.payment_key) == ("hint", "order-1", "key-1")
    assert found.secret is None


def test_a_deposit_of_toss_carries_the_secret() -> None:
    event = {
        "createdAt": "2026-01-02T14:46:59.65327",
        "secret": "ps_1",
        "status": "DONE",
        "orderId": "order-1",
    }
    found = _toss().read_notice({}, json.dumps(event).encode())
    assert (found.kind, found.grade, found.secret) == ("DEPOSIT_CALLBACK", "secret", "ps_1")


def test_a_forged_hint_does_not_take_the_place_of_the_true_one() -> None:
    headers = {"tosspayments-webhook-transmission-id": "one"}
    event = {
        "eventType": "PAYMENT_STATUS_CHANGED",
        "data": {"orderId": "order-1", "status": "DONE"},
    }
    true = _toss().read_notice(headers, json.dumps(event).encode())
    assert true == _toss().read_notice(headers, json.dumps(event).encode()), "a repetition"
    event["data"] = {"orderId": "order-1", "status": "EXPIRED"}
    assert _toss().read_notice(headers, json.dumps(event).encode()).notice_id != true.notice_id


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b'{"eventType":1}',
        b'{"data":{"orderId":3}}',
        b"\xff",
        b'{"data":3}',
    ],
)
def test_a_notice_of_toss_without_an_order_is_refused(body: bytes) -> None:
    with pytest.raises(NoticeForged):
        _toss().read_notice({}, body)
