"""What a text may mean: numbers with a mistake, seats as people say them, words of names."""

import unicodedata

import pytest

from boxoffice.backoffice.search.rules import SeatPlace, terms, words
from boxoffice.order_numbers.rules import check_sign

NUMBER = "4KX792MQ" + check_sign("4KX792MQ")


@pytest.mark.parametrize(
    "typed",
    [
        NUMBER,
        NUMBER.lower(),
        f"{NUMBER[:4]}-{NUMBER[4:8]}-{NUMBER[8]}",
        NUMBER[:2] + "7" + NUMBER[3:],
        NUMBER[:4] + NUMBER[5] + NUMBER[4] + NUMBER[6:],
        NUMBER[:3] + NUMBER[4:],
        NUMBER[:8],
    ],
)
def test_a_number_is_meant_also_with_one_mistake(typed: str) -> None:
    assert NUMBER in terms(typed).numbers
    assert len(terms(typed).numbers) < 25


@pytest.mark.parametrize(
    ("typed", "prefix"),
    [
        ("4k", ""),
        ("4kx", "4KX"),
        ("4KX7-9", "4KX79"),
        ("kim", ""),
        ("baker", "BAKER"),
        ("A-12", ""),
    ],
)
def test_a_beginning_of_a_number_has_a_digit_or_five_letters(typed: str, prefix: str) -> None:
    assert terms(typed).number_prefix == prefix


def test_a_number_of_letters_alone_is_meant_with_one_mistake_too() -> None:
    bodies = ("VRSWGZF" + sign for sign in "ABCDEFGHJKMN")
    number = next(body + check_sign(body) for body in bodies if check_sign(body).isalpha())
    assert number in terms(number[:3] + number[4:]).numbers
    assert number in terms(number[:8]).numbers


def test_words_alone_mean_no_number_with_a_mistake() -> None:
    assert terms("Kim Minjun").numbers == ()


@pytest.mark.parametrize(
    ("typed", "place"),
    [
        ("A-1-12", SeatPlace(("A-1-12", "a-1-12"))),
        ("a 1 12", SeatPlace(("a 1 12", "A 1 12", "a-1-12", "A-1-12"))),
        ("A-12", SeatPlace(("A-12", "a-12"), ("A", "a"), 12)),
        ("a12", SeatPlace(("a12", "A12", "a-12", "A-12"), ("a", "A"), 12)),
        ("kim84", None),
        ("kim minjun", None),
        ("12", None),
        ("minjun-12345", None),
    ],
)
def test_a_seat_is_read_as_people_write_it(typed: str, place: SeatPlace | None) -> None:
    assert terms(typed).place == place


@pytest.mark.parametrize("typed", ["A구역 1열 12번", "section A row 1 seat 12", "A/1/12"])
def test_a_seat_in_words_has_its_id(typed: str) -> None:
    place = terms(typed).place
    assert place is not None
    assert "A-1-12" in place.seat_ids


def test_words_are_small_without_accents_and_hangul_in_letters() -> None:
    assert words("René O.  RENE") == ("rene", "o")
    assert words("Ｋｉｍ@x") == ("kim", "x")
    assert words("김민") == (unicodedata.normalize("NFD", "김민"),)
    assert words("a b c d e f") == ("a", "b", "c", "d")
    assert words("a") == words(" @ ") == ()


def test_patterns_find_signs_themselves() -> None:
    assert terms("50%\\x").patterns == ["% 50\\%\\\\x%", "%", "%", "%"]
