"""The keys that sign boards: Ed25519 (RFC 8032), derived from the keys of access tokens.

All processes sign with the same key and need no further secret, and a rotation changes both. Only the
public halves leave a process.
"""

from hashlib import sha256
from typing import Literal

import msgspec

from boxoffice.platform.ids import encode_base64url
from boxoffice.platform.signing import KeyRing, SigningKey

_PURPOSE = b"boxoffice.waiting_room.board/Ed25519"

_encode = msgspec.json.Encoder().encode


class BoardKeyOut(msgspec.Struct, frozen=True, kw_only=True):
    """A public key of boards (RFC 8037); `kid` is its thumbprint (RFC 7638)."""

    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    alg: Literal["EdDSA"]
    use: Literal["sig"]
    kid: str
    x: str


class BoardKeysOut(msgspec.Struct, frozen=True):
    """The public keys of boards as a JWK Set (RFC 7517), the newest first."""

    keys: list[BoardKeyOut]


class BoardKey:
    """A pair of keys; `public` is what others verify with."""

    def __init__(self, seed: bytes) -> None:
        from nacl.signing import SigningKey as KeyPair  # noqa: PLC0415 - loaded by the first board

        self._pair = KeyPair(seed)
        x = _base64url(bytes(self._pair.verify_key))
        kid = _thumbprint(x)
        self.public = BoardKeyOut(kty="OKP", crv="Ed25519", alg="EdDSA", use="sig", kid=kid, x=x)
        header = {"alg": "EdDSA", "kid": kid, "b64": False, "crit": ["b64"]}
        self._header = encode_base64url(_encode(header))

    def sign(self, body: bytes) -> str:
        """Return a JWS of `body` with detached content (RFC 7515, appendix F), unencoded (RFC 7797).

        The signature is of the header, a dot and the body. The same key and body have the same one.
        """
        signature = self._pair.sign(self._header + b"." + body).signature
        return f"{self._header.decode('ascii')}..{_base64url(signature)}"


class BoardKeys:
    """The keys of boards of a process, as its `KeyRing` has them."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring
        self._derived: dict[str, BoardKey] = {}

    def signing(self) -> BoardKey:
        """Return the key that signs now; raise `Unavailable` while no key is loaded."""
        return self._derive(self._ring.signing_key(0.0))

    def public(self) -> BoardKeysOut:
        """Return the public half of each key that verifies, before it signs for the first time too."""
        return BoardKeysOut([self._derive(key).public for key in self._ring.verifying()])

    def _derive(self, key: SigningKey) -> BoardKey:
        derived = self._derived.get(key.kid)
        if derived is None:
            known = self._derived.items()
            self._derived = {kid: one for kid, one in known if kid in self._ring.keys}
            derived = self._derived[key.kid] = BoardKey(key.derive(_PURPOSE))
        return derived


def _thumbprint(x: str) -> str:
    # RFC 7638, section 3.2, and RFC 8037, section 2: the required members in the order of their names.
    required = _encode({"crv": "Ed25519", "kty": "OKP", "x": x})
    return _base64url(sha256(required).digest())


def _base64url(data: bytes) -> str:
    return encode_base64url(data).decode("ascii")
