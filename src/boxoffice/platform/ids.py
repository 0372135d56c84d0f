"""Identifiers: UUIDv7 inside, opaque strings outside, and fingerprints of requests.

The public id of a part of a schedule contains the schedule's id, so that a look-up goes to one shard:
the 32 bytes of both UUIDs in URL-safe base64 (RFC 4648, section 5), 43 characters.
"""

from binascii import a2b_base64, b2a_base64
from collections.abc import Callable
from hashlib import blake2b
from typing import Any, NamedTuple
from uuid import UUID

import uuid_utils
from asyncpg.pgproto import pgproto

_PUBLIC_LENGTH = 43
_TO_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_FROM_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_new_uuid: Callable[[Any], UUID] = pgproto.UUID


def encode_base64url(packed: bytes) -> bytes:
    """Return bytes as base64url without padding (RFC 4648, section 5)."""
    return b2a_base64(packed, newline=False).translate(_TO_URL_SAFE).rstrip(b"=")


def decode_base64url(text: str) -> bytes:
    """Return the bytes of base64url text without padding; raise `ValueError`."""
    padded = text + "=" * (-len(text) % 4)
    return a2b_base64(padded.encode("ascii").translate(_FROM_URL_SAFE))


def fast_uuid(form: bytes | str) -> UUID:
    """Return a UUID from its 16 bytes or its text; raise `ValueError`.

    The driver's type is the standard one to all who use it. It is made, hashed, compared and sent at a
    sixth of the cost.
    """
    return _new_uuid(form)


class ScopedId(NamedTuple):
    """An id within a schedule."""

    schedule_id: UUID
    own_id: UUID

    def __str__(self) -> str:
        """Return the public, opaque string."""
        packed = self.schedule_id.bytes + self.own_id.bytes
        return encode_base64url(packed).decode("ascii")


def new_id() -> UUID:
    """Return a new UUIDv7 (RFC 9562); its time part is for index locality only."""
    return _new_uuid(uuid_utils.uuid7().bytes)


def first_id_since(at_s: float) -> UUID:
    """Return the lowest UUIDv7 of a time in seconds since the Unix epoch."""
    return UUID(int=max(0, int(at_s * 1000)) << 80)


def parse_uuid(text: str) -> UUID | None:
    """Return the UUID whose canonical form is `text`, or None."""
    try:
        value = fast_uuid(text)
    except ValueError:
        return None
    return value if str(value) == text else None


def parse_scoped(text: str) -> ScopedId | None:
    """Return the id that `text` encodes, or None if it is not canonical."""
    if len(text) != _PUBLIC_LENGTH or not text.isascii():
        return None
    try:
        packed = decode_base64url(text)
    except ValueError:
        return None
    if len(packed) != 32:
        return None
    scoped = ScopedId(fast_uuid(packed[:16]), fast_uuid(packed[16:]))
    # Spare bits and characters that the decoder skips would give one id several spellings.
    return scoped if str(scoped) == text else None


def fingerprint_of(*parts: str) -> bytes:
    """Return the 16-byte digest of `parts`, in their order, to compare requests under one key."""
    digest = blake2b(digest_size=16)
    for part in parts:
        encoded = part.encode()
        # guard: fingerprint_parts_are_separated => digest.update(encoded)
        digest.update(len(encoded).to_bytes(4, "big") + encoded)
    return digest.digest()
