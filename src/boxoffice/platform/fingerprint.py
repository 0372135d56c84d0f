"""Fingerprints of request bodies, to compare those under one idempotency key."""

from hashlib import blake2b


def fingerprint_of(*parts: str) -> bytes:
    """Return the 16-byte digest of `parts`, in their order."""
    digest = blake2b(digest_size=16)
    for part in parts:
        encoded = part.encode()
        # guard: fingerprint_parts_are_separated => digest.update(encoded)
        digest.update(len(encoded).to_bytes(4, "big") + encoded)
    return digest.digest()
