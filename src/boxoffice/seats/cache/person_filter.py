"""A Bloom filter of the people who have had a reservation in a schedule."""

from collections.abc import Iterable

_BITS_PER_SEAT = 64
_BITS_MAX = 1 << 32


class PersonFilter:
    """Two bits per person. It has no false negatives, and about one false positive in a thousand
    while there are no more people than seats.
    """

    def __init__(self, seats: int) -> None:
        size = 64
        while size < min(seats * _BITS_PER_SEAT, _BITS_MAX):
            size *= 2
        self._bits = bytearray(size // 8)
        self._mask = size - 1

    def __contains__(self, person: int) -> bool:
        bits, mask = self._bits, self._mask
        one, two = person & mask, person >> 32 & mask
        return bool(bits[one >> 3] >> (one & 7) & bits[two >> 3] >> (two & 7) & 1)

    def include(self, people: Iterable[int]) -> None:
        """Add people, each as `person_bits`."""
        bits, mask = self._bits, self._mask
        for person in people:
            one, two = person & mask, person >> 32 & mask
            bits[one >> 3] |= 1 << (one & 7)
            bits[two >> 3] |= 1 << (two & 7)
