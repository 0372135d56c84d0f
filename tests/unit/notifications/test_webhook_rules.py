"""Signatures as the reference library makes them, addresses, and when a delivery is tried again."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from boxoffice.errors import Invalid, WebhookUrlInvalid
from boxoffice.notifications.rules import MAIL_DELAYS_S, WEBHOOK_DELAYS_S, delay_s
from boxoffice.notifications.webhooks import rules
from boxoffice.notifications.webhooks.rules import Judgement


@given(st.binary(min_size=24, max_size=64), st.text(), st.integers(1, 1 << 53))
def test_a_signature_is_that_of_the_reference(secret: bytes, body: str, event_id: int) -> None:
    body = body.encode("utf-8", "replace").decode()
    at = datetime(2026, 5, 1, 11, tzinfo=UTC)
    reference = Webhook(rules.shown_secret(secret)).sign(str(event_id), at, body)
    assert rules.signature([secret], str(event_id), int(at.timestamp()), body) == reference
    other = bytes(32)
    both = rules.signature([secret, other], str(event_id), int(at.timestamp()), body).split(" ")
    assert both[0] == reference
    assert len(both) == 2


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, Judgement.DELIVERED),
        (204, Judgement.DELIVERED),
        (299, Judgement.DELIVERED),
        (199, Judgement.FAILED),
        (300, Judgement.FAILED),
        (301, Judgement.FAILED),
        (404, Judgement.FAILED),
        (410, Judgement.GONE),
        (500, Judgement.FAILED),
    ],
)
def test_what_a_status_means(status: int, verdict: Judgement) -> None:
    assert rules.judged(status) is verdict


PRIVATE = [
    "0.0.0.0",  # noqa: S104 - an address that is refused
    "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254",
    "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.1.1",
    "198.18.0.1", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.250", "240.0.0.1",
    "255.255.255.255", "::", "::1", "::127.0.0.1", "::ffff:8.8.8.8", "::ffff:127.0.0.1",
    "64:ff9b::7f00:1", "64:ff9b:1::1", "100::1", "2001::1", "2001:10::1", "2001:db8::1",
    "2002:7f00:1::", "3fff::1", "fc00::1", "fd12::1", "fe80::1", "fe80::1%eth0", "fec0::1",
    "ff02::1", "4000::1", "localhost", "",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_public(address: str) -> None:
    assert not rules.is_public(address)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "8.8.8.8", "93.184.215.14", "2606:4700::1111", "2a00:1450::1"]
)
def test_a_public_address(address: str) -> None:
    assert rules.is_public(address)


def test_loopback_is_allowed_where_the_setting_says_so_and_nothing_else_is() -> None:
    allowed = [one for one in PRIVATE if rules.is_public(one, is_loopback_allowed=True)]
    assert set(allowed) >= {"127.0.0.1", "127.255.255.254", "::1"}
    assert set(allowed) <= {"127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1"}


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/", "ftp://example.org/", "https://", "https:///path", "example.org",
        "https://user@example.org/", "https://user:word@example.org/", "https://example.org/#part",
        "https://exam ple.org/", "https://example.org/\n", "https://예시.kr/", "https://[::1]/",
        "https://[::ffff:10.0.0.1]/", "https://127.0.0.1/", "https://10.0.0.1:8443/x",
        "https://[fe80::1%25eth0]/", "https://169.254.169.254/latest", "https://example.org:99999/",
        "https://example.org:0/", "https://[/", "https://example.org/<script>", "javascript:alert(1)",
    ],
)  # fmt: skip
def test_an_address_that_nothing_is_sent_to(url: str) -> None:
    with pytest.raises(WebhookUrlInvalid):
        rules.checked_url(url, is_loopback_allowed=False)


@pytest.mark.parametrize(
    "url", ["https://example.org", "https://example.org:8443/a?b=c", "https://1.1.1.1/x"]
)
def test_an_address_that_is_taken(url: str) -> None:
    assert rules.checked_url(url, is_loopback_allowed=False) == url


def test_http_is_for_tests() -> None:
    url = "http://127.0.0.1:8000/"
    assert rules.checked_url(url, is_loopback_allowed=True) == url
    with pytest.raises(WebhookUrlInvalid):
        rules.checked_url("http://10.0.0.1/", is_loopback_allowed=True)


def test_topics() -> None:
    assert rules.checked_topics(None) == ["*"]
    assert rules.shown_topics(["*"]) is None
    two = ["reservation.held", "payment.succeeded", "reservation.held"]
    assert rules.checked_topics(two) == ["payment.succeeded", "reservation.held"]
    for wrong in ([], ["*"], ["wallet.topped_up"], ["reservation.sold"]):
        with pytest.raises(Invalid, match=r"The topics are payment\."):
            rules.checked_topics(wrong)


@given(st.binary(max_size=2_000))
def test_an_excerpt_can_be_stored(answer: bytes) -> None:
    excerpt = rules.excerpt(answer * 4)
    assert "\x00" not in excerpt
    assert excerpt.isprintable()
    assert len(excerpt.encode()) <= 4_096


@pytest.mark.parametrize("delays", [WEBHOOK_DELAYS_S, MAIL_DELAYS_S])
def test_delays_grow_for_about_three_days(delays: tuple[int, ...]) -> None:
    middle = [delay_s(tries, delays, 0.5) for tries in range(1, len(delays) + 1)]
    assert middle == sorted(middle)  # type: ignore[type-var]
    assert 2.5 * 86_400 < sum(delays) < 3.5 * 86_400
    assert delay_s(len(delays) + 1, delays, 0.5) is None
    first = delays[0]
    assert delay_s(1, delays, 0.0) == pytest.approx(first * 0.8)
    assert delay_s(1, delays, 1.0) == pytest.approx(first * 1.2)
