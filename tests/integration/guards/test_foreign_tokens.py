"""Tokens that are encoded otherwise than ours are verified by the library, by the same rules."""

import pytest

from boxoffice.accounts.tokens import TokenAuthority
from tests.integration.accounts.conftest import who
from tests.unit.accounts.test_tokens import (
    HEADER,
    NOW,
    OTHER,
    PERSON,
    SETTINGS,
    Keys,
    claims,
    key,
    refused,
    signed,
)

LONG_SECRET = b"s" * 64


@pytest.fixture
def table() -> Keys:
    """One key, long enough for every algorithm of the family."""
    keys = Keys()
    keys.keys = [key("one", LONG_SECRET)]
    return keys


@pytest.fixture
async def authority(table: Keys) -> TokenAuthority:
    """An authority with that key."""
    made = TokenAuthority(SETTINGS.accounts, table.load, table.now)
    await made.refresh()
    return made


def _foreign(**changed: object) -> str:
    return signed(HEADER, claims(**changed), LONG_SECRET, spelling=OTHER)


async def test_one_algorithm_counts_though_the_key_would_do_for_others(
    authority: TokenAuthority,
) -> None:
    assert who(authority.verify(_foreign())) == (PERSON, "buyer")
    for algorithm, digest in (("HS384", "sha384"), ("HS512", "sha512")):
        header = HEADER | {"alg": algorithm}
        assert refused(authority, signed(header, claims(), LONG_SECRET, digest, OTHER))


async def test_one_spelling_of_a_signature_counts(authority: TokenAuthority) -> None:
    token = _foreign()
    twin = token[:-1] + chr(ord(token[-1]) + 1)
    for other in (token + "=", token + "==", twin):
        assert refused(authority, other), other
    assert who(authority.verify(token)) == (PERSON, "buyer")


async def test_a_key_that_is_over_verifies_nothing(table: Keys, authority: TokenAuthority) -> None:
    table.keys = [key("one", LONG_SECRET, verifies_until=NOW + 60)]
    await authority.refresh()
    table.at = NOW + 59
    assert who(authority.verify(_foreign())) == (PERSON, "buyer")
    table.at = NOW + 60
    assert refused(authority, _foreign())
    assert refused(authority, _foreign(iat=int(NOW) + 1)), "one that was never seen"
