"""Order numbers as people write them: groups, case, confused letters, and mistakes that are found."""

import pytest

from boxoffice.order_numbers import rules

NUMBER = "4KX792MQ" + rules.check_sign("4KX792MQ")


def test_a_number_is_shown_in_groups() -> None:
    assert rules.shown("4KX792MQX") == "4KX7-92MQ-X"
    assert rules.shown(None) is None


@pytest.mark.parametrize(
    "typed",
    [
        NUMBER,
        rules.shown(NUMBER),
        f"  {NUMBER.lower()} ",
        f"{NUMBER[:4]} {NUMBER[4:]}",
        f"{NUMBER[:4]}–{NUMBER[4:8]}_{NUMBER[8:]}",
        "".join(chr(ord(sign) + 0xFEE0) for sign in NUMBER),
    ],
)
def test_a_number_is_read_as_people_write_it(typed: str) -> None:
    assert rules.read(typed) == NUMBER


def test_letters_that_are_in_no_number_are_what_they_look_like() -> None:
    assert rules.normal("oO-iI-lL-uU") == "001111VV"
    zeros = "0" * 8 + rules.check_sign("0" * 8)
    assert rules.read("oOoO-oOoO-o") == zeros


def test_one_wrong_character_and_two_in_each_others_place_are_found() -> None:
    for place, right in enumerate(NUMBER):
        for wrong in set(rules.SIGNS) - {right}:
            assert rules.read(NUMBER[:place] + wrong + NUMBER[place + 1 :]) is None
        for before in range(place):
            signs = list(NUMBER)
            signs[place], signs[before] = signs[before], signs[place]
            assert right == NUMBER[before] or rules.read("".join(signs)) is None


@pytest.mark.parametrize("typed", ["", NUMBER[:8], NUMBER + "0", "hello!", "4KX7*92MQH", "서울"])
def test_what_is_no_number_is_not_read(typed: str) -> None:
    assert rules.read(typed) is None


@pytest.mark.parametrize(
    ("typed", "can_begin"), [("4kx", True), ("o", True), ("", False), ("a@b", False), ("한", False)]
)
def test_what_can_begin_a_number(typed: str, *, can_begin: bool) -> None:
    assert rules.is_part(rules.normal(typed)) is can_begin
