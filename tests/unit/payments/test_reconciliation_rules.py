"""The comparison with a statement: each kind of difference, and what is none."""

import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxoffice.payments.providers.port import Movement, StatementLine
from boxoffice.payments.reconciliation.rules import (
    AwaitedRefund,
    Books,
    StatementTotal,
    StatementWindow,
    compare,
    day_window,
    totals,
)

SEOUL = ZoneInfo("Asia/Seoul")
DAY = day_window(date(2026, 11, 29), SEOUL)
NOON = DAY.since + timedelta(hours=12)
LATER = DAY.until + timedelta(days=1)


def moved(key: str = "k1", **fields: Any) -> Movement:
    given_fields = {
        "kind": "capture",
        "amount_minor": 100_000,
        "currency": "KRW",
        "happened_at": NOON,
        **fields,
    }
    return Movement(key, **given_fields)


def line(
    movement: Movement, order_id: str | None = "order", payment_key: str = "pk"
) -> StatementLine:
    return StatementLine(movement, order_id, payment_key)


def books(*movements: Movement, awaited: Sequence[AwaitedRefund] = ()) -> Books:
    return Books(movements, awaited, {"order", "pk"})


def kinds(
    lines: Sequence[StatementLine], ours: Books, expected_before: datetime = LATER
) -> list[str]:
    return [f"{one.kind}:{one.key}" for one in compare(lines, ours, DAY, expected_before)]


def test_equal_books_have_no_findings() -> None:
    both = [moved("a"), moved("b", kind="refund", amount_minor=40_000)]
    assert kinds([line(one) for one in both], books(*both)) == []


def test_a_capture_that_is_not_booked_heals() -> None:
    assert kinds([line(moved())], books()) == ["missing_here:k1"]


def test_a_booking_that_is_not_in_the_statement_heals() -> None:
    (found,) = compare([], books(moved()), DAY, LATER)
    assert (found.kind, found.here_minor, found.there_minor) == ("missing_there", 100_000, None)


def test_a_young_booking_may_be_late_in_the_statement() -> None:
    assert kinds([], books(moved()), expected_before=NOON) == []
    assert kinds([], books(moved()), expected_before=NOON + timedelta(seconds=1)) != []


def test_another_amount_waits_for_an_operator() -> None:
    (found,) = compare([line(moved(amount_minor=99_999))], books(moved()), DAY, LATER)
    assert (found.kind, found.there_minor, found.here_minor) == ("amount", 99_999, 100_000)


def test_another_direction_is_another_amount() -> None:
    assert kinds([line(moved(kind="refund"))], books(moved())) == ["amount:k1"]


def test_another_currency_waits_for_an_operator() -> None:
    assert kinds([line(moved(currency="JPY"))], books(moved())) == ["currency:k1"]


def test_a_refund_that_is_not_ours_was_made_at_the_provider() -> None:
    refund = moved(kind="refund", amount_minor=30_000)
    assert kinds([line(refund)], books()) == ["foreign_cancel:k1"]


def test_a_refund_whose_answer_was_lost_heals_once() -> None:
    refunds = [moved(key, kind="refund", amount_minor=30_000) for key in ("r1", "r2")]
    awaited = [AwaitedRefund("pk", 30_000)]
    assert kinds([line(one) for one in refunds], books(awaited=awaited)) == [
        "missing_here:r1",
        "foreign_cancel:r2",
    ]


@pytest.mark.parametrize("awaited", [AwaitedRefund("pk", 29_999), AwaitedRefund("other", 30_000)])
def test_a_refund_of_another_payment_or_amount_is_not_awaited(awaited: AwaitedRefund) -> None:
    refund = moved(kind="refund", amount_minor=30_000)
    assert kinds([line(refund)], books(awaited=[awaited])) == ["foreign_cancel:k1"]


@pytest.mark.parametrize("kind", ["dispute", "dispute_won", "refund_failed"])
def test_a_dispute_or_a_failed_refund_that_is_not_booked_heals(kind: str) -> None:
    assert kinds([line(moved(kind=kind))], books()) == ["missing_here:k1"]


@pytest.mark.parametrize("kind", ["capture", "refund", "dispute"])
def test_an_order_that_we_do_not_know_waits_for_an_operator(kind: str) -> None:
    assert kinds([line(moved(kind=kind), "elsewhere", "other")], books()) == ["unknown_order:k1"]


def test_an_order_is_known_by_either_name() -> None:
    assert kinds([line(moved(), None, "pk")], books()) == ["missing_here:k1"]
    assert kinds([line(moved(), "order", "other")], books()) == ["missing_here:k1"]
    assert kinds([line(moved(), None, "other")], books()) == ["unknown_order:k1"]


def test_a_repeated_line_counts_once() -> None:
    assert kinds([line(moved())] * 3, books(moved())) == []
    assert kinds([line(moved())] * 3, books()) == ["missing_here:k1"]
    assert totals([line(moved())] * 3, [moved()], DAY) == [
        StatementTotal("capture", "KRW", 100_000, 100_000)
    ]


def test_a_repeated_line_with_another_amount_is_found() -> None:
    lines = [line(moved()), line(moved(amount_minor=1))]
    assert kinds(lines, books(moved())) == ["amount:k1"]


def test_midnight_is_that_of_the_provider() -> None:
    assert DAY.since == datetime(2026, 11, 28, 15, tzinfo=UTC)
    last, first = DAY.until - timedelta(microseconds=1), DAY.until
    assert kinds([line(moved(happened_at=last))], books()) == ["missing_here:k1"]
    assert kinds([line(moved(happened_at=first))], books()) == []
    assert kinds([line(moved(happened_at=DAY.since))], books()) == ["missing_here:k1"]


def test_what_is_dated_on_two_days_is_no_difference() -> None:
    second = timedelta(seconds=1)
    there, here = moved(happened_at=DAY.until + second), moved(happened_at=DAY.until - second)
    assert kinds([line(there)], books(here)) == []
    assert kinds([line(here)], books(there)) == []


def test_the_reading_is_wider_than_the_window() -> None:
    wide = DAY.widened(timedelta(hours=1))
    assert (DAY.since - wide.since, wide.until - DAY.until) == (timedelta(hours=1),) * 2


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [("Europe/Berlin", date(2026, 3, 29), 23), ("Europe/Berlin", date(2026, 10, 25), 25)],
)
def test_a_day_may_have_23_or_25_hours(zone: str, day: date, hours: int) -> None:
    window = day_window(day, ZoneInfo(zone))
    assert window.until - window.since == timedelta(hours=hours)


def test_totals_are_signed_and_by_currency() -> None:
    ours = [moved("a"), moved("b", kind="refund", amount_minor=30_000)]
    lines = [line(ours[0]), line(moved("c", currency="JPY", amount_minor=5))]
    assert totals(lines, ours, DAY) == [
        StatementTotal("capture", "JPY", 5, 0),
        StatementTotal("capture", "KRW", 100_000, 100_000),
        StatementTotal("refund", "KRW", 0, -30_000),
    ]


movements = st.lists(
    st.builds(
        Movement,
        key=st.sampled_from("abcdef"),
        kind=st.sampled_from(["capture", "refund", "dispute"]),
        amount_minor=st.integers(1, 3),
        currency=st.sampled_from(["KRW", "JPY"]),
        happened_at=st.integers(-30, 30).map(lambda hours: NOON + timedelta(hours=hours)),
    ),
    max_size=8,
    unique_by=lambda one: one.key,
)


@given(movements, movements, st.integers(0, 99))
def test_the_order_of_lines_does_not_matter(
    there: list[Movement], here: list[Movement], seed: int
) -> None:
    lines = [line(one) for one in there]
    shuffled = random.Random(seed).sample(lines * 2, k=2 * len(lines))
    assert compare(lines, books(*here), DAY, LATER) == compare(shuffled, books(*here), DAY, LATER)


@given(movements, movements)
def test_two_half_days_find_what_the_day_finds(here: list[Movement], there: list[Movement]) -> None:
    lines = [line(one) for one in there]
    halves = [StatementWindow(DAY.since, NOON), StatementWindow(NOON, DAY.until)]
    found = [one for half in halves for one in compare(lines, books(*here), half, LATER)]
    assert found == compare(lines, books(*here), DAY, LATER)


@given(movements, movements)
def test_without_findings_the_sums_agree(here: list[Movement], there: list[Movement]) -> None:
    """All movements lie in the window."""
    ever = StatementWindow(NOON - timedelta(days=9), NOON + timedelta(days=9))
    lines = [line(one) for one in there]
    if not compare(lines, books(*here), ever, LATER + timedelta(days=9)):
        signed = [sum(t.there_minor - t.here_minor for t in totals(lines, here, ever))]
        assert signed == [0]
    same = compare([line(one) for one in here], books(*here), ever, ever.until)
    assert same == []
