"""Which notices are kept, as what, and when they are tried again."""

from datetime import UTC, datetime, timedelta

import pytest

from boxoffice.payments.notices import rules
from boxoffice.payments.providers.port import ProviderNotice
from boxoffice.platform.ids import ScopedId, new_id

ORDER = str(ScopedId(new_id(), new_id()))
NOW = datetime(2026, 11, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("notice", "is_ours"),
    [
        (ProviderNotice("n", "PAYMENT_STATUS_CHANGED", "hint", order_id=ORDER), True),
        (ProviderNotice("n", "payment_intent.succeeded", "signed", order_id=ORDER), True),
        (ProviderNotice("n", "PAYMENT_STATUS_CHANGED", "hint", order_id="another-shop-1"), False),
        (ProviderNotice("n", "payment_intent.succeeded", "signed", order_id="order 7"), False),
        (ProviderNotice("n", "charge.refunded", "signed", payment_key="pi_1"), True),
        (ProviderNotice("n", "charge.dispute.closed", "signed", dispute_key="dp_1"), True),
        (ProviderNotice("n", "payout.paid", "signed"), False),
        (ProviderNotice("n", "PAYMENT_STATUS_CHANGED", "hint", payment_key="p"), False),
        (ProviderNotice("n", "charge.refunded", "signed", payment_key="\0"), False),
    ],
)
def test_a_notice_is_ours_by_its_order_or_by_a_signed_key(
    notice: ProviderNotice, *, is_ours: bool
) -> None:
    assert rules.is_ours(notice) is is_ours


@pytest.mark.parametrize("text", ["", "\0", "a b", "\ud800", "열쇠", "x" * 201, None])
def test_text_that_is_no_key_is_not_kept(text: str | None) -> None:
    assert rules.key_of(text) is None
    notice = ProviderNotice(text or "", text or "", "hint")
    assert rules.kind_of(notice) == "unknown"
    assert len(rules.notice_id_of(notice, b"body")) == 64


def test_a_wait_grows_up_to_half_an_hour() -> None:
    waits = [rules.retry_after(tries) for tries in range(60)]
    assert waits == sorted(waits)
    assert waits[0] == timedelta(seconds=5)
    assert waits[-1] == timedelta(minutes=30)


@pytest.mark.parametrize(("hours", "is_over"), [(0, False), (23.9, False), (24, True)])
def test_an_unknown_order_is_given_up_after_a_day(hours: float, *, is_over: bool) -> None:
    received_at = NOW - timedelta(hours=hours)
    assert rules.is_given_up(received_at, NOW, 86_400) is is_over
