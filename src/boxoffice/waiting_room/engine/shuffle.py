"""The draw of the lobby: a permutation that anybody can recompute for one number, without the others.

Pure. Up to `SORTED_MAX` numbers are sorted by a keyed hash, which makes every order equally likely.
More are permuted by a Feistel network over a grid that is hardly larger than their number, as in Black
and Rogaway, Ciphers with Arbitrary Finite Domains (2002): who falls outside walks on until inside.
"""

from functools import lru_cache
from hashlib import blake2b, sha256
from math import isqrt

SORTED_MAX = 1_024
ROUNDS = 12
SEED_BYTES = 32
ALGORITHM = "boxoffice-draw-1"


def commitment(seed: bytes) -> str:
    """Return what is published before the draw: the SHA-256 of the seed, in hexadecimal."""
    return sha256(seed).hexdigest()


def place_of(seed: bytes, size: int, number: int) -> int:
    """Return the place of `number` in the order; both count from 1.

    Who came when `size` had been drawn already keeps the number as the place.
    """
    if not 1 <= number <= size:
        return number
    if size <= SORTED_MAX:
        return _sorted_places(seed, size)[number - 1]
    at = number - 1
    while True:
        at = _permute(seed, size, at)
        if at < size:
            return at + 1


@lru_cache(maxsize=64)
def _sorted_places(seed: bytes, size: int) -> tuple[int, ...]:
    order = sorted(range(size), key=lambda at: (_hash(seed, at), at))
    places = [0] * size
    for place, at in enumerate(order, start=1):
        places[at] = place
    return tuple(places)


def _permute(seed: bytes, size: int, at: int) -> int:
    """Return where the network sends `at`, of a grid of `rows` × `columns` that has all of `size`."""
    columns = isqrt(size - 1) + 1
    rows = -(-size // columns)
    row, column = divmod(at, columns)
    for number in range(ROUNDS):
        if number % 2:
            column = (column + _round(seed, number, row)) % columns
        else:
            row = (row + _round(seed, number, column)) % rows
    return row * columns + column


def _round(seed: bytes, number: int, half: int) -> int:
    digest = blake2b(
        half.to_bytes(8, "big"), key=seed, salt=number.to_bytes(16, "big"), digest_size=8
    )
    return int.from_bytes(digest.digest(), "big")


def _hash(seed: bytes, at: int) -> bytes:
    return blake2b(at.to_bytes(8, "big"), key=seed, digest_size=16).digest()
