"""Identifiers: UUIDv7 inside, opaque strings outside, and fingerprints of requests.

The public id of a part of a schedule contains the schedule's id, so that a look-up goes to one shard:
the 32 bytes of both UUIDs in URL-safe base64 (RFC 4648, section 5), 43 characters.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b
from typing import NamedTuple
from uuid import UUID

from uuid_utils.compat import uuid7

_PUBLIC_LENGTH = 43


class ScopedId(NamedTuple):
    """An id within a schedule."""

    schedule_id: UUID
    own_id: UUID

    def __str__(self) -> str:
        """Return the public, opaque string."""
        packed = self.schedule_id.bytes + self.own_id.bytes
        return urlsafe_b64encode(packed)[:_PUBLIC_LENGTH].decode("ascii")


def new_id() -> UUID:
    """Return a new UUIDv7 (RFC 9562); its time part is for index locality only."""
    return uuid7()


def first_id_since(at_s: float) -> UUID:
    """Return the lowest UUIDv7 of a time in seconds since the Unix epoch."""
    return UUID(int=max(0, int(at_s * 1000)) << 80)


def parse_uuid(text: str) -> UUID | None:
    """Return the UUID whose canonical form is `text`, or None."""
    try:
        value = UUID(text)
    except ValueError:
        return None
    return value if str(value) == text else None


def parse_scoped(text: str) -> ScopedId | None:
    """Return the id that `text` encodes, or None if it is not canonical."""
    if len(text) != _PUBLIC_LENGTH or not text.isascii():
        return None
    try:
        packed = urlsafe_b64decode(text + "=")
    except ValueError:
        return None
    if len(packed) != 32:
        return None
    scoped = ScopedId(UUID(bytes=packed[:16]), UUID(bytes=packed[16:]))
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
