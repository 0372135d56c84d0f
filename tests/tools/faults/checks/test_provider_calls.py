"""The check of calls to providers finds every way in which an unknown payment is sent elsewhere."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from faults.checks.provider_calls import ConfirmCall, sent_elsewhere

BEGAN = datetime(2026, 11, 30, 10, tzinfo=UTC)


def call(at_s: float, outcome: str | None, **values: Any) -> ConfirmCall:
    """Return a call that was answered a second later."""
    begun_at = BEGAN + timedelta(seconds=at_s)
    one = {
        "order_id": "order-a", "reservation_id": "hold", "intent_provider": "toss",
        "closed_at": None, "provider": "toss", "key": "a-1",
        "answered_at": None if outcome is None else begun_at + timedelta(seconds=1),
    }  # fmt: skip
    return ConfirmCall(**{**one, **values}, begun_at=begun_at, outcome=outcome)


def book(*orders: str, kind: str = "capture") -> list[dict[str, str]]:
    """Return the movements of orders."""
    return [{"order_id": order, "kind": kind} for order in orders]


def elsewhere(at_s: float, outcome: str | None = "done") -> ConfirmCall:
    """Return a call for another intent of the same hold, at the other provider."""
    return call(
        at_s, outcome, order_id="order-b", intent_provider="stripe", provider="stripe", key="b-1"
    )


def closed(at_s: float) -> dict[str, datetime]:
    """Return when an intent ended."""
    return {"closed_at": BEGAN + timedelta(seconds=at_s)}


RIGHT = {
    "paid at once": ([call(0, "done")], ["order-a"]),
    "declined, then another card": ([call(0, "declined"), call(5, "done", key="a-2")], ["order-a"]),
    "not sent, then sent": ([call(0, "unavailable"), call(5, "done", key="a-2")], ["order-a"]),
    "unknown, then repeated": ([call(0, "unknown"), call(5, "done")], ["order-a"]),
    "no answer, then repeated": ([call(0, None), call(5, "done")], ["order-a"]),
    "a look-up saw the decline": ([call(0, "unknown"), call(5, "done", key="a-2")], ["order-a"]),
    "ended, then elsewhere": (
        [call(0, "declined", **closed(2)), elsewhere(5)],
        ["order-b"],
    ),
}
WRONG = {
    "to another provider": (
        [call(0, "done", provider="stripe")],
        ["order-a"],
        "was sent to stripe",
    ),
    "captured twice": ([call(0, "done")], ["order-a", "order-a"], "captured 2 times"),
    "the old key after the new one": (
        [call(0, "declined"), call(5, "declined", key="a-2"), call(9, "done")],
        ["order-a"],
        "again after a-2",
    ),
    "another key beside an unknown one": (
        [call(0, "unknown"), call(5, "declined", key="a-2")],
        ["order-a"],
        "sent under another key",
    ),
    "a repetition that was not sent proves nothing": (
        [call(0, "unknown"), call(2, "unavailable"), call(5, "declined", key="a-2")],
        ["order-a"],
        "sent under another key",
    ),
    "elsewhere while it is unknown": (
        [call(0, "unknown"), elsewhere(5)],
        ["order-b"],
        "before order-a at toss had ended",
    ),
    "elsewhere before it ended": (
        [call(0, "unknown", **closed(9)), elsewhere(5)],
        ["order-b"],
        "before order-a at toss had ended",
    ),
    "both captured": (
        [call(0, "declined", **closed(2)), elsewhere(5)],
        ["order-a", "order-b"],
        "captured as order-a and order-b",
    ),
}


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_passes(name: str) -> None:
    calls, orders = RIGHT[name]
    assert sent_elsewhere(calls, {"toss": book(*orders)}) == []


@pytest.mark.parametrize("name", WRONG)
def test_what_is_sent_elsewhere_is_found(name: str) -> None:
    calls, orders, sentence = WRONG[name]
    found = sent_elsewhere(calls, {"toss": book(*orders), "stripe": book("x", kind="refund")})
    assert any(sentence in one for one in found), found
