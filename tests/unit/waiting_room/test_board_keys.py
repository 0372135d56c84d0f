"""Signatures of boards, verified as a stranger does: by the public keys alone."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from boxoffice.errors import Unavailable
from boxoffice.platform.ids import decode_base64url
from boxoffice.platform.signing import KeyRing, SigningKey
from boxoffice.waiting_room.board.keys import BoardKey, BoardKeys
from tests.programs import debian_program
from tests.support.board_signature import is_verified, kid_of

NOW = 1_000_000_000.0
REFRESH_S = 15.0
BODY = b'{"schedule_id":"00000000-0000-0000-0000-000000000001","called":400}'


class Table:
    """A table of token keys and a clock; `keys()` returns the board keys of one more process."""

    def __init__(self, *rows: SigningKey) -> None:
        self.rows: Sequence[SigningKey] = rows
        self.at = NOW

    async def keys(self) -> BoardKeys:
        async def load() -> Sequence[SigningKey]:
            return self.rows

        ring = KeyRing(load, lambda: self.at, REFRESH_S)
        await ring.refresh()
        return BoardKeys(ring)


def row(
    kid: str, letter: bytes, created_at: float = NOW - 1_000, until: float | None = None
) -> SigningKey:
    return SigningKey(kid=kid, secret=letter * 32, created_at=created_at, verifies_until=until)


def published(keys: BoardKeys) -> dict[str, Any]:
    """Return the JWK Set as a client gets it."""
    found = json.loads(msgspec.json.encode(keys.public()))
    assert isinstance(found, dict)
    return found


async def test_a_stranger_verifies_the_exact_bytes() -> None:
    keys = await Table(row("one", b"a")).keys()
    signature = keys.signing().sign(BODY)
    assert is_verified(BODY, signature, published(keys))
    changed = BODY.replace(b"400", b"401")
    assert not is_verified(changed, signature, published(keys))
    assert not is_verified(BODY + b" ", signature, published(keys))
    other = keys.signing().sign(changed)
    assert not is_verified(BODY, other, published(keys))
    swapped = f"{signature.partition('..')[0]}..{other.partition('..')[2]}"
    assert not is_verified(BODY, swapped, published(keys))


@pytest.mark.parametrize(
    "spelt",
    ["", "..", "?..?", "e30..{1}", "{0}..", "{0}..e30", "{0}.{1}", "{0}.e30.{1}", "{1}..{0}"],
)
async def test_what_is_no_signature_verifies_nothing(spelt: str) -> None:
    keys = await Table(row("one", b"a")).keys()
    header, _, signed = keys.signing().sign(BODY).partition("..")
    assert not is_verified(BODY, spelt.format(header, signed), published(keys))


def test_keys_and_their_names_are_those_of_the_standard() -> None:
    """RFC 8037, appendix A, has a seed, its public key and the thumbprint."""
    made = BoardKey(decode_base64url("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")).public
    assert made.x == "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    assert made.kid == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_a_seed_is_of_one_purpose() -> None:
    """RFC 5869, appendix A.1: the first 32 bytes of HKDF-Expand."""
    known = "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5"
    of_the_standard = msgspec.structs.replace(row("one", b"a"), secret=bytes.fromhex(known))
    made = of_the_standard.derive(bytes(range(0xF0, 0xFA)))
    assert made.hex() == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
    secret = row("one", b"a")
    assert secret.derive(b"boxoffice.another") != secret.derive(b"boxoffice.other")


def _status_of(command: Sequence[str], folder: Path) -> int:
    return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode


# The head of an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410).
_KEY_HEAD = bytes.fromhex("302a300506032b6570032100")


async def test_another_implementation_verifies_too(tmp_path: Path) -> None:
    """OpenSSL does not share a line with the library that signs."""
    keys = await Table(row("one", b"a")).keys()
    header, _, signed = keys.signing().sign(BODY).partition("..")
    (key,) = published(keys)["keys"]
    (tmp_path / "key").write_bytes(_KEY_HEAD + decode_base64url(key["x"]))
    (tmp_path / "signature").write_bytes(decode_base64url(signed))
    verify = [
        debian_program("openssl"), "pkeyutl", "-verify", "-rawin", "-pubin", "-keyform", "DER",
        "-inkey", "key", "-sigfile", "signature", "-in", "signed",
    ]  # fmt: skip
    for body, code in ((BODY, 0), (BODY + b" ", 1)):
        (tmp_path / "signed").write_bytes(header.encode() + b"." + body)
        assert _status_of(verify, tmp_path) == code


async def test_every_process_has_the_same_keys_and_signatures() -> None:
    table = Table(row("one", b"a"), row("two", b"b", NOW - 500))
    first, second = await table.keys(), await table.keys()
    assert first.signing().sign(BODY) == second.signing().sign(BODY)
    assert published(first) == published(second)
    # A foreign shop has other keys.
    foreign = await Table(row("one", b"c")).keys()
    assert not is_verified(BODY, foreign.signing().sign(BODY), published(first))


async def test_only_public_halves_are_published() -> None:
    keys = await Table(row("one", b"a")).keys()
    (key,) = published(keys)["keys"]
    assert set(key) == {"kty", "crv", "alg", "use", "kid", "x"}
    # Neither the id nor the secret of the key that signs access tokens.
    assert key["kid"] != "one"
    assert b"a" * 8 not in msgspec.json.encode(keys.public())


async def test_a_new_key_is_published_before_it_signs_and_the_old_one_verifies_until_its_end() -> (
    None
):
    old = row("old", b"a", until=NOW + 3_600)
    keys = await (table := Table(old, row("new", b"b", NOW - 1))).keys()
    before = keys.signing().sign(BODY)
    assert len(published(keys)["keys"]) == 2
    table.at = NOW + 2 * REFRESH_S
    after = keys.signing().sign(BODY)
    assert kid_of(before) != kid_of(after)
    assert kid_of(after) == published(keys)["keys"][0]["kid"]
    assert all(is_verified(BODY, one, published(keys)) for one in (before, after))
    table.at = NOW + 3_600
    assert [is_verified(BODY, one, published(keys)) for one in (before, after)] == [False, True]


async def test_a_key_that_is_deleted_is_not_published() -> None:
    table = Table(row("leaked", b"a"))
    keys = await table.keys()
    forged = keys.signing().sign(BODY)
    table.rows = [row("new", b"b", NOW)]
    after = await table.keys()
    assert not is_verified(BODY, forged, published(after))
    assert is_verified(BODY, after.signing().sign(BODY), published(after))


async def test_without_a_key_there_is_no_signature() -> None:
    keys = await Table().keys()
    with pytest.raises(Unavailable):
        keys.signing()
    assert published(keys) == {"keys": []}
