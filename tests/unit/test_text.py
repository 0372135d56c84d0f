"""Text that people type: one spelling, nothing that cannot be seen, one key for what looks the same."""

import re
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from boxoffice.platform.text import (
    LINE_PATTERN,
    PARAGRAPH_PATTERN,
    TYPED_PER_CHAR_MAX,
    TextFault,
    composed,
    normal_label,
    normal_line,
    normal_paragraph,
    same_to_people,
    spellings,
)

ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.text(
    st.sampled_from("aÅ가각ᄀ\u0301 \u00a0\u3000\u200d\u200b\ufe0f❤\n\t\r\u0085\u3164"), max_size=8
)


def fault(normal: Callable[[str], str], text: str) -> str:
    with pytest.raises(TextFault) as caught:
        normal(text)
    return caught.value.reason


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("봄의 노래", "봄의 노래"),
        (unicodedata.normalize("NFD", "봄의 노래"), "봄의 노래"),
        ("  A\u00a0\u3000 B ", "A B"),
        ("cafe\u0301", "café"),
        ("👨\u200d👩\u200d👧 ❤\ufe0f\u200d🔥", "👨\u200d👩\u200d👧 ❤\ufe0f\u200d🔥"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("葛\U000e0100城", "葛\U000e0100城"),
    ],
)
def test_a_line_has_one_spelling(typed: str, kept: str) -> None:
    assert normal_line(typed) == kept
    assert normal_line(kept) == kept


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("\u00a0", "empty"),
        ("\u3000\u2003", "empty"),
        ("\u200b", "empty"),
        ("\u200d", "empty"),
        ("\ufe0f", "empty"),
        ("\ufeff", "empty"),
        ("\u3164", "empty"),
        ("\u115f\u1160", "empty"),
        ("\uffa0", "empty"),
        ("\u2800\u2800", "empty"),
        ("\U000e0041", "empty"),
        ("\u0085", "control"),
        ("A\u0085", "control"),
        ("A\u2028B", "control"),
        ("A\nB", "control"),
        ("\tA", "control"),
        ("A\x00", "control"),
        ("\ud800", "control"),
        ("A\uffff", "control"),
        ("A\u200bB", "invisible"),
        ("A\ufeff", "invisible"),
        ("A\u202eB", "invisible"),
        ("\u2066A\u2069", "invisible"),
        ("A\u00adB", "invisible"),
        ("A\u3164", "invisible"),
        ("A\u200d", "invisible"),
        ("\u200dA", "invisible"),
        ("A \u200d B", "invisible"),
        ("A\u200d\u200dB", "invisible"),
        ("A \ufe0f", "invisible"),
        ("🏴\U000e0067\U000e007f", "invisible"),
    ],
)
def test_what_cannot_be_seen_is_refused(text: str, reason: str) -> None:
    assert fault(normal_line, text) == reason
    assert fault(normal_label, text) == reason


def test_a_label_has_no_joiners() -> None:
    assert normal_label(" Ｒ석 ") == "Ｒ석"
    assert fault(normal_label, "A\u200cB") == "invisible"
    assert normal_label("❤\ufe0f") == "❤\ufe0f"


def test_a_paragraph_has_lines() -> None:
    typed = unicodedata.normalize("NFD", "\r\n각  각\r\n\t끝\r \n")
    assert normal_paragraph(typed) == "각  각\n\t끝"
    assert normal_paragraph(" \n\u00a0") == ""
    assert fault(normal_paragraph, "A\u202eB") == "invisible"
    assert fault(normal_paragraph, "A\u0085B") == "control"
    assert fault(normal_paragraph, "\u200b") == "empty"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("가", unicodedata.normalize("NFD", "가")),
        ("A", "Ａ"),
        ("a", "A"),
        ("ｶﾞ", "ガ"),
        ("STRASSE", "straße"),
        ("①", "1"),
        ("A  B", "A\u00a0B"),
        ("A\u200bB", "AB"),
        ("❤\ufe0f", "❤"),
        ("ㄱ", "ᄀ"),
    ],
)
def test_what_people_take_for_the_same_has_one_key(one: str, other: str) -> None:
    assert same_to_people(one) == same_to_people(other)


@pytest.mark.parametrize(("one", "other"), [("A", "Α"), ("가", "각"), ("1", "01"), ("AB", "A B")])
def test_what_they_tell_apart_has_two(one: str, other: str) -> None:
    assert same_to_people(one) != same_to_people(other)


@given(ANY)
def test_whatever_is_typed_has_one_spelling_or_none(text: str) -> None:
    for normal in (normal_line, normal_paragraph, normal_label):
        told = set()
        for typed in spellings(text):
            try:
                told.add(normal(typed))
            except TextFault as error:
                told.add(error.reason + "!")
        assert len(told) == 1
        (kept,) = told
        if not kept.endswith("!"):
            assert normal(kept) == kept == composed(kept)
            assert normal is normal_paragraph or same_to_people(kept) == same_to_people(text)


@given(ANY)
@example("\r\u200da")
@example("a\u200d\r")
def test_the_schema_says_what_is_refused(text: str) -> None:
    for pattern, normal in ((LINE_PATTERN, normal_line), (PARAGRAPH_PATTERN, normal_paragraph)):
        try:
            normal(text)
            accepted = True
        except TextFault:
            accepted = False
        matches = re.search(pattern, text) is not None
        # A paragraph of nothing but spaces is an empty one, which needs no words in a schema.
        assert matches == accepted or (accepted and normal(text) == "")


def test_a_text_in_its_longest_form_is_within_what_may_be_typed() -> None:
    longest = max(
        len(unicodedata.normalize("NFD", chr(code)))
        for code in range(0x110000)
        if unicodedata.normalize("NFC", chr(code)) == chr(code)
    )
    assert longest <= TYPED_PER_CHAR_MAX
