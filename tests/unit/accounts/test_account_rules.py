"""What addresses, passwords and roles must look like."""

import re
import unicodedata
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxoffice.accounts import rules
from boxoffice.accounts.passwords.common_passwords import common_passwords
from boxoffice.errors import Invalid, PasswordCommon


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("a@b.example", "a@b.example"),
        ("  Kim.Minsu+Seats@Example.TEST ", "kim.minsu+seats@example.test"),
        ("root@localhost", "root@localhost"),
        ("{tag}@example.test", "{tag}@example.test"),
    ],
)
def test_an_address_has_one_spelling(typed: str, meant: str) -> None:
    assert rules.normal_email(typed) == meant
    assert rules.normal_email(meant) == meant


@pytest.mark.parametrize(
    "typed",
    [
        "",
        " ",
        "a",
        "@",
        "a@",
        "@b.example",
        "a@b@c.example",
        "a b@c.example",
        "a@-b.example",
        "a@b..example",
        "a@b.example\n",
        "\ta@b.example",
        "a@b.example\x00",
        "\ud800@b.example",
        "민수@b.example",
        "\u212a@b.example",
        "a" * 250 + "@b.kr",
    ],
)
def test_what_is_no_address_is_refused(typed: str) -> None:
    with pytest.raises(Invalid):
        rules.normal_email(typed)


@pytest.mark.parametrize("password", ["12345678", "열려라 참깨 좌석", "🎫" * 128, "        "])
def test_any_script_makes_a_password(password: str) -> None:
    assert rules.accepted_password(password) == unicodedata.normalize("NFC", password)
    assert re.search(rules.PASSWORD_PATTERN, password)


@pytest.mark.parametrize(
    "password",
    ["", "1234567", "x" * 129, "nul\x00inside", "line\nbreak", "12345678\n", "\ud800" * 8],
)
def test_other_passwords_are_refused(password: str) -> None:
    with pytest.raises(Invalid):
        rules.accepted_password(password)


def test_a_password_is_the_same_on_every_keyboard() -> None:
    composed = "비밀번호입니다요"
    decomposed = unicodedata.normalize("NFD", composed)
    assert composed != decomposed
    assert rules.accepted_password(composed) == rules.normal_password(decomposed)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_length_counts_in_normal_form(form: Literal["NFC", "NFD"]) -> None:
    syllables = "힣" * rules.PASSWORD_CHARS_MAX
    typed = unicodedata.normalize(form, syllables)
    assert rules.accepted_password(typed) == syllables
    for wrong in ("가" * 7, syllables + "가", "x" * 100_000):
        with pytest.raises(Invalid):
            rules.accepted_password(unicodedata.normalize(form, wrong))


@given(st.text(max_size=130))
def test_how_it_is_composed_decides_nothing(text: str) -> None:
    def judged(typed: str) -> str | None:
        try:
            return rules.accepted_password(typed)
        except Invalid:
            return None

    forms = {judged(unicodedata.normalize(form, text)) for form in ("NFC", "NFD")}
    assert len({judged(text), *forms}) == 1


@pytest.mark.parametrize("space", ["\u00a0", "\u2003", "\u202f", "\u3000"])
def test_every_space_is_one_space(space: str) -> None:
    assert rules.normal_password(f"열려라{space}참깨") == "열려라 참깨"
    assert rules.accepted_password(f"열려라{space}참깨 8") == "열려라 참깨 8"


def test_what_was_hashed_before_is_tried_after_the_normal_form() -> None:
    assert rules.password_spellings("plain ascii") == ("plain ascii",)
    assert rules.password_spellings("각\u3000é") == ("각 é", "각\u3000é")
    decomposed = unicodedata.normalize("NFD", "각\u3000é")
    assert rules.password_spellings(decomposed) == ("각 é", "각\u3000é", decomposed)


@pytest.mark.parametrize(
    "password",
    [
        "password",
        "PassWord",
        "ｐａｓｓｗｏｒｄ",
        " password1 ",
        "12345678",
        "qwertyuiop",
        "boxoffice",
        "BoxOffice",
        "kim.minsu",
        "Kim.Minsu@example.test",
        "김민수와 친구들",
        "김민수와 친구들 ",
        # The list has been made without what its makers recognize by its pattern.
        "        ",
        "\u3000" * 9,
        "aaaaaaaaaaaa",
        "가가가가가가가가",
        "１１１１１１１１１１",
        "abcdefgh",
        "hgfedcba",
        "123456789012",
        "0987654321",
        "aaaabbbb",
        "1234abcd",
        "aaaa1111",
        "abcabcabc",
        "1212121212",
        "kim!kim!",
        # People see the same, or nearly.
        "pass\u200bword",
        "pass word 1",
        "i love you",
    ],
)
def test_what_would_be_guessed_first_is_refused(password: str) -> None:
    with pytest.raises(PasswordCommon) as caught:
        rules.require_uncommon(
            password, "kim.minsu@example.test", "김민수와 친구들", common_passwords()
        )
    assert caught.value.extra["errors"] == [{"path": "$.password", "message": PasswordCommon.title}]


@pytest.mark.parametrize(
    "password",
    [
        "열려라 참깨 8",
        "encore-encore",
        "kim.minsu2",
        "passwordpassw",
        "abcdefgz",
        "12345678 horses",
        "aabbccddxy",
        "ABCdefghx1",
    ],
)
def test_other_words_raise_nothing(password: str) -> None:
    rules.require_uncommon(password, "kim.minsu@example.test", "김민수", common_passwords())


def test_the_list_of_common_passwords_is_as_it_was_made() -> None:
    common = common_passwords()
    assert len(common) == 11_611
    assert all(len(word) >= rules.PASSWORD_CHARS_MIN for word in common)
    # What is compared with it is folded: anything that is not would never be found.
    assert {unicodedata.normalize("NFKC", word).casefold().strip() for word in common} == common


def test_roles_are_known_or_refused() -> None:
    assert [rules.known_role(role) for role in ("buyer", "organizer")] == ["buyer", "organizer"]
    with pytest.raises(Invalid, match="admin"):
        rules.known_role("admin")


@given(st.from_regex(rules.EMAIL_PATTERN))
def test_what_the_schema_admits_the_rule_admits(typed: str) -> None:
    # Python's $ also stands before a final line end, which JSON Schema's does not.
    if len(typed) <= rules.EMAIL_CHARS_MAX and not typed.endswith("\n"):
        assert rules.normal_email(typed) == typed.strip(" ").lower()
