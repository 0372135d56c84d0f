"""The draw of the lobby: a seeded permutation that can be computed for a single number. Pure.

Up to `SORTED_MAX` numbers are sorted by a keyed hash, which makes every order equally likely. More are
permuted by a Feistel network over a grid hardly larger than their count, with cycle walking (Black and
Rogaway, Ciphers with Arbitrary Finite Domains, 2002).
"""

from functools import lru_cache
from hashlib import blake2b, sha256
from math import isqrt

SORTED_MAX = 1_024
ROUNDS = 12
SEED_BYTES = 32
ALGORITHM = "boxoffice-draw-1"


def commitment(seed: bytes) -> str:
    """Return the SHA-256 of the seed in hexadecimal, which is published before the draw."""
    return sha256(seed).hexdigest()


def place_of(seed: bytes, size: int, number: int) -> int:
    """Return the place of `number` in the order; both count from 1.

    A number above `size` joined after the draw; its place is the number.
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
    """Permute `at` over a grid of `rows` × `columns` that covers `size`."""
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
