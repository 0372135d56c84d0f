"""A gzip stream (RFC 1952) of parts that are compressed separately, so that unchanged ones are reused.

Each part ends on a byte boundary and refers to nothing before it. The checksum of the stream is
combined from those of the parts, as zlib's `crc32_combine` does.
"""

import struct
import zlib
from collections.abc import Sequence
from typing import NamedTuple

# A map changes many times a second during a sale, and the fastest level already saves nine tenths.
_LEVEL = 1
# No time stamp, so that equal contents have equal bytes on every pod; last byte: unknown system.
_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"
# An empty final block (RFC 1951, section 3.2.6).
_LAST_BLOCK = b"\x03\x00"
_TRAILER = struct.Struct("<II")
_POLYNOMIAL = 0xEDB8_8320
_BITS = 32


class Part(NamedTuple):
    """A compressed part, with the checksum and length of its content."""

    packed: bytes
    crc: int
    length: int


def compress(content: bytes) -> Part:
    """Compress one part."""
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = compressor.compress(content) + compressor.flush(zlib.Z_FULL_FLUSH)
    return Part(packed, zlib.crc32(content), len(content))


def stream(parts: Sequence[Part]) -> bytes:
    """Return the gzip stream of all parts."""
    crc = length = 0
    for part in parts:
        crc = _after_zeros(crc, part.length) ^ part.crc
        length += part.length
    trailer = _TRAILER.pack(crc, length & 0xFFFF_FFFF)
    return b"".join((_HEAD, *(part.packed for part in parts), _LAST_BLOCK, trailer))


def _times(matrix: Sequence[int], vector: int) -> int:
    product = 0
    for row in matrix:
        if vector & 1:
            product ^= row
        vector >>= 1
        if not vector:
            break
    return product


def _squares() -> list[list[int]]:
    """Return the effect of 1, 2, 4, … zero bytes on a checksum, as matrices over GF(2)."""
    matrix = [_POLYNOMIAL, *(1 << at for at in range(_BITS - 1))]  # one zero bit
    powers = []
    for _ in range(_BITS + 3):
        matrix = [_times(matrix, row) for row in matrix]
        powers.append(matrix)
    return powers[2:]  # from eight bits on


_SQUARES = _squares()


def _after_zeros(crc: int, zeros: int) -> int:
    power = 0
    while crc and zeros:
        if zeros & 1:
            crc = _times(_SQUARES[power], crc)
        zeros >>= 1
        power += 1
    return crc
