"""Prices of offers: integers, never below zero, and parts that add up."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxoffice.offers import rules
from boxoffice.offers.rules import (
    PriceType,
    Reduction,
    SalesChannel,
    SeatPair,
    Terms,
    TermsInvalid,
    seat_price,
)
from boxoffice.payments.refunds import policy
from boxoffice.payments.refunds.policy import RefundableTicket

_MINOR = st.integers(0, 9_000_000_000_000)
_REDUCTIONS = st.builds(Reduction, st.integers(0, 100), _MINOR)


@given(_MINOR, _REDUCTIONS, _REDUCTIONS, _MINOR)
def test_a_price_is_never_negative_and_its_parts_add_up(
    full: int, kind: Reduction, discount: Reduction, fee: int
) -> None:
    price = seat_price(full, "x", kind, discount, fee)
    assert 0 <= price.price_minor <= full
    assert 0 <= price.discount_minor <= price.price_minor
    assert price.fee_minor == (fee if price.price_minor > price.discount_minor else 0)
    assert price.paid_minor == price.price_minor - price.discount_minor + price.fee_minor


@given(st.lists(st.tuples(_MINOR, _REDUCTIONS, _REDUCTIONS, st.integers(0, 10_000)), min_size=1))
def test_what_is_refunded_and_kept_is_what_was_paid(
    seats: list[tuple[int, Reduction, Reduction, int]],
) -> None:
    prices = [seat_price(full, "", kind, off, fee) for full, kind, off, fee in seats]
    tickets = [
        RefundableTicket(str(at), one.price_minor - one.discount_minor, one.fee_minor)
        for at, one in enumerate(prices)
    ]
    now = datetime(2030, 1, 1, tzinfo=UTC)
    for days in (1, 5, 8, 20):
        quote = policy.quote(
            policy.DEFAULT,
            tickets,
            now - timedelta(days=9),
            now + timedelta(days=days),
            now,
            ZoneInfo("Asia/Seoul"),
        )
        assert quote is not None
        assert quote.refund_minor + quote.fee_minor == sum(one.paid_minor for one in prices)
        assert all(line.refund_minor >= 0 for line in quote.lines)


def test_reductions_in_per_cent_are_rounded_down() -> None:
    assert Reduction(33).of(1_001) == 1_001 - 330
    assert Reduction(0, 2_000).of(1_001) == 0
    assert Reduction(100).of(7) == 0


def test_a_code_is_compared_as_people_read_it() -> None:
    schedule_id = uuid4()
    digest = rules.code_hash(schedule_id, "ABCD-EF01-2345-6789")
    assert digest == rules.code_hash(schedule_id, " abcd efo1-2345 6789 ")
    assert digest == rules.code_hash(schedule_id, "ABCDEFOL23456789")
    assert digest != rules.code_hash(uuid4(), "ABCD-EF01-2345-6789")
    assert digest != rules.code_hash(schedule_id, "ABCD-EF01-2345-6788")
    assert rules.suffix("abcd-hello") == "ELLO"
    assert rules.grouped("ABCDEFGH") == "ABCD-EFGH"


@pytest.mark.parametrize("code", ["", "ab", "x" * 41, "100%", "a b_c"])
def test_a_shared_code_is_of_letters_and_digits(code: str) -> None:
    with pytest.raises(TermsInvalid):
        rules.check_shared_code(code)
    rules.check_shared_code("fan-2026")


def _type(code: str, grades: tuple[str, ...] | None = None) -> PriceType:
    return PriceType(code, code, code, "", "", Reduction(), grades)


@pytest.mark.parametrize(
    ("terms", "says"),
    [
        (Terms(None, 0, (_type("a"), _type("a")), ()), "price type 'a'"),
        (Terms(None, 0, (_type("a", ("Z",)),), ()), "grade 'Z'"),
        (
            Terms(None, 0, (), (SalesChannel("x", "", None, True), SalesChannel("y", "", 1, True))),
            "default",
        ),
        (Terms(None, 0, (), (SalesChannel("x", "", 4, False),)), "5 seats"),
        (Terms(None, 0, (), (SalesChannel("x", "", 1, False),) * 2), "channel 'x'"),
    ],
)
def test_terms_that_make_no_sense_are_refused(terms: Terms, says: str) -> None:
    with pytest.raises(TermsInvalid, match=says):
        rules.check_terms(terms, ["R", "S"], {"x": 5})


def test_a_seat_is_in_one_pair_and_exists() -> None:
    seats = frozenset({"a", "b", "c"})
    rules.check_pairs([SeatPair("a", "b")], seats)
    for pairs in (
        [SeatPair("a", "a")],
        [SeatPair("a", "b"), SeatPair("b", "c")],
        [SeatPair("a", "z")],
    ):
        with pytest.raises(TermsInvalid):
            rules.check_pairs(pairs, seats)
