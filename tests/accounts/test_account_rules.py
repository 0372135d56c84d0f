"""What addresses, passwords and roles must look like."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxoffice.accounts import rules
from boxoffice.errors import Invalid


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


def test_roles_are_known_or_refused() -> None:
    assert [rules.known_role(role) for role in ("buyer", "organizer")] == ["buyer", "organizer"]
    with pytest.raises(Invalid, match="admin"):
        rules.known_role("admin")


@given(st.from_regex(rules.EMAIL_PATTERN))
def test_what_the_schema_admits_the_rule_admits(typed: str) -> None:
    # Python's $ also stands before a final line end, which JSON Schema's does not.
    if len(typed) <= rules.EMAIL_CHARS_MAX and not typed.endswith("\n"):
        assert rules.normal_email(typed) == typed.strip(" ").lower()
