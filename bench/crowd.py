"""The simulated users of `bench.waiting_room`: 14 million in flat arrays, without an object each."""

import random
from array import array
from collections.abc import Sequence
from hashlib import blake2b
from uuid import UUID

from boxoffice.platform.ids import fast_uuid

_ABSENT = b"\x00"
_PRESENT = b"\x01"


class Crowd:
    """Users by number, from 1; an account is computed from the number, as random as a UUID.

    Absent are the users who left, numbers of the HTTP sample, and numbers that were not issued.
    """

    def __init__(self, seed: int) -> None:
        self._key = seed.to_bytes(8, "big")
        # Number 0 is none.
        self._is_present = bytearray(_ABSENT)

    @property
    def last(self) -> int:
        """The highest number."""
        return len(self._is_present) - 1

    def account(self, number: int) -> bytes:
        """Return the 16 bytes of an account."""
        return blake2b(number.to_bytes(8, "big"), key=self._key, digest_size=16).digest()

    def user_id(self, number: int) -> UUID | None:
        """Return the account of a present user."""
        return fast_uuid(self.account(number)) if self._is_present[number] else None

    def is_present(self, number: int) -> bool:
        """Whether a user waits with this number."""
        return bool(self._is_present[number])

    def add(self, count: int) -> None:
        """Add users with the next numbers."""
        self._is_present += _PRESENT * count

    def skip(self, count: int) -> None:
        """Leave the next numbers without a simulated user."""
        self._is_present += _ABSENT * count

    def remove(self, number: int) -> None:
        """Let a user leave."""
        self._is_present[number] = 0

    def sample(self, rng: random.Random, count: int) -> list[int]:
        """Return `count` different present users."""
        found: set[int] = set()
        while len(found) < count:
            number = rng.randint(1, self.last)
            if self._is_present[number]:
                found.add(number)
        return sorted(found)


class Places:
    """Numbers by place, in 4 bytes each."""

    def __init__(self, size: int) -> None:
        self._by_place = array("I", bytes(4 * (size + 1)))

    def set(self, place: int, number: int) -> None:
        """Give a place to a number; raise `IndexError` for one that does not exist."""
        self._by_place[place] = number

    def append(self, number: int) -> None:
        """Give the next place to a number."""
        self._by_place.append(number)

    @property
    def is_permutation(self) -> bool:
        """Whether each place from 1 has a number, if as many numbers were set as there are places."""
        return self._by_place[0] == 0 and self._by_place.count(0) == 1

    def between(self, before: int, last: int) -> Sequence[int]:
        """Return the numbers of the places above `before` up to `last`."""
        return self._by_place[before + 1 : last + 1]
