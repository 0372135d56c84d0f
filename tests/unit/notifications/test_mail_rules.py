"""Amounts, lines and calendar entries of mail."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxoffice.notifications.mail import rules
from boxoffice.notifications.mail.texts import TEXTS


@pytest.mark.parametrize(
    ("amount_minor", "currency", "shown"),
    [
        (165_000, "KRW", "KRW 165,000"),
        (0, "KRW", "KRW 0"),
        (1_234_567, "EUR", "EUR 12,345.67"),
        (5, "USD", "USD 0.05"),
        (1_500, "KWD", "KWD 1.500"),
        (12, "CLF", "CLF 0.0012"),
    ],
)
def test_an_amount_has_the_decimals_of_its_currency(
    amount_minor: int, currency: str, shown: str
) -> None:
    assert rules.money(amount_minor, currency) == shown


@given(st.text())
def test_a_line_is_one(text: str) -> None:
    line = rules.one_line(text)
    assert len(line.splitlines()) <= 1
    line.encode()


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_folded_line_unfolds_and_is_short(text: str) -> None:
    line = "SUMMARY:" + rules._escaped(text)
    folded = rules._folded(line)
    assert folded.replace("\r\n ", "") == line
    assert all(len(part.encode()) <= 75 for part in folded.split("\r\n"))
    assert "\r" not in line
    assert "\n" not in line


def test_both_languages_have_the_same_texts() -> None:
    assert TEXTS["ko"].keys() == TEXTS["en"].keys()
    assert all(len(TEXTS[one]["weekdays"].split()) == 7 for one in TEXTS)
