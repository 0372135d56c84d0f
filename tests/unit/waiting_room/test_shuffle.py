"""The draw: a reproducible permutation without bias."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from hashlib import sha256

import pytest

from boxoffice.waiting_room.engine import shuffle
from boxoffice.waiting_room.engine.shuffle import SORTED_MAX, commitment, place_of


def _seed(number: int) -> bytes:
    return sha256(b"draw %d" % number).digest()


def _p_value(counts: Sequence[int], expected: float) -> float:
    """Return how likely a fair draw is as uneven: chi-squared, after Wilson and Hilferty (1931)."""
    freedom = len(counts) - 1
    chi2 = sum((count - expected) ** 2 / expected for count in counts)
    scaled = (chi2 / freedom) ** (1 / 3)
    z = (scaled - (1 - 2 / (9 * freedom))) / math.sqrt(2 / (9 * freedom))
    return 0.5 * math.erfc(z / math.sqrt(2))


@pytest.mark.parametrize(
    "size", [1, 2, 3, 10, 100, SORTED_MAX, SORTED_MAX + 1, 1_089, 4_096, 10_007]
)
def test_every_number_has_one_place(size: int) -> None:
    places = [place_of(_seed(size), size, number) for number in range(1, size + 1)]
    assert sorted(places) == list(range(1, size + 1))


def test_a_million_can_be_drawn_one_at_a_time() -> None:
    size = 1_000_000
    places = {place_of(_seed(1), size, number) for number in range(1, size, 250)}
    assert len(places) == len(range(1, size, 250))
    assert min(places) < size / 100 < size - size / 100 < max(places)


def test_late_joins_stay_behind() -> None:
    assert place_of(_seed(1), 10, 11) == 11
    assert place_of(_seed(1), 0, 1) == 1


def test_the_hash_commits_to_the_seed() -> None:
    assert commitment(_seed(1)) == sha256(_seed(1)).hexdigest()
    assert commitment(_seed(1)) != commitment(_seed(2))


def _command(draw: Callable[[bytes, int, int], int]) -> list[int]:
    """Count the orders of four people over many seeds."""
    found = Counter(
        tuple(draw(_seed(number), 4, person) for person in range(1, 5)) for number in range(12_000)
    )
    return [*found.values(), *[0] * (24 - len(found))]


def test_every_order_of_a_small_lobby_is_equally_likely() -> None:
    assert _p_value(_command(place_of), 12_000 / 24) > 0.001


def _places(draw: Callable[[bytes, int, int], int], size: int, person: int) -> list[int]:
    """Count the fiftieth of the order in which one user ends up, over many seeds."""
    cells = [0] * 50
    for number in range(10_000):
        cells[(draw(_seed(number), size, person) - 1) * 50 // size] += 1
    return cells


@pytest.mark.parametrize("person", [1, 2, 1_500, 3_000])
def test_every_place_of_a_large_lobby_is_equally_likely(person: int) -> None:
    assert _p_value(_places(place_of, 3_000, person), 200) > 0.001


def test_neighbours_are_not_drawn_together() -> None:
    """The distance between two neighbours is uniform."""
    size = 3_000
    cells = [0] * 50
    for number in range(10_000):
        first, second = (place_of(_seed(number), size, person) for person in (1, 2))
        cells[(second - first) % size * 50 // size] += 1
    assert _p_value(cells, 200) > 0.001


def test_an_unfair_draw_is_rejected() -> None:
    """Negative control: a rotation gives every place to every user, but few orders; halves likewise."""

    def rotated(seed: bytes, size: int, number: int) -> int:
        return (number + seed[0]) % size + 1

    def lucky(seed: bytes, size: int, number: int) -> int:
        place = place_of(seed, size, number)
        return min(place, place_of(seed[::-1], size, number)) if seed[0] < 64 else place

    assert _p_value(_command(rotated), 12_000 / 24) < 0.001
    assert _p_value(_places(lucky, 3_000, 1), 200) < 0.001


def test_the_documented_algorithm_is_the_implementation() -> None:
    """A second implementation, after docs/waiting-room.md."""
    from hashlib import blake2b  # noqa: PLC0415 — as a user who verifies a draw would

    seed, size = _seed(7), 300

    def key(number: int) -> bytes:
        return blake2b((number - 1).to_bytes(8, "big"), key=seed, digest_size=16).digest()

    order = sorted(range(1, size + 1), key=key)
    assert [place_of(seed, size, number) for number in order] == list(range(1, size + 1))
    assert shuffle.ALGORITHM == "boxoffice-draw-1"
