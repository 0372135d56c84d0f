"""The check of webhooks and mails finds what is missing, told twice, or of nothing."""

from faults.checks.notifications import unmailed, untold


def test_repeated_arrivals_of_one_event_are_right() -> None:
    assert untold(["p1", "p2"], {("1", "p1"): 1, ("2", "p2"): 3}) == []
    assert unmailed(["p1"], {"<m1>": "p1"}, {"<m1>": 2, "<other>": 1}) == []


def test_a_payment_that_was_not_told_is_found() -> None:
    assert untold(["p1", "p2"], {("1", "p1"): 1}) == ["the payment p2 was never told"]


def test_a_payment_that_was_told_by_two_events_is_found() -> None:
    assert untold(["p1"], {("1", "p1"): 1, ("2", "p1"): 1}) == ["p1 was told by 2 events"]


def test_an_event_of_no_payment_is_found() -> None:
    assert untold([], {("1", "p1"): 1}) == ["p1 was told and is no payment"]


def test_receipts_that_are_missing_lost_or_double_are_found() -> None:
    wanted = {"<m1>": "p1", "<m2>": "p1"}
    assert sorted(unmailed(["p1", "p2"], wanted, {"<m1>": 1})) == [
        "p1 has 2 receipts",
        "the mail <m2> never arrived",
        "the payment p2 has no receipt",
    ]
