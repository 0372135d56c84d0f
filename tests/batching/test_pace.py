"""The pace of batches, and what it says of a line."""

import pytest

from boxoffice.batching.pace import Pace


def test_batches_that_overlap_share_their_time() -> None:
    pace = Pace(5)
    for at in range(500):
        pace.ended(at, at + 1.0, 10)
    assert pace.per_command_s == pytest.approx(0.1, rel=0.01)
    # Each began beside the one before; only the half second after that one's end is its own.
    for at in range(1_000, 2_000):
        pace.ended(at / 2, at / 2 + 1.0, 10)
    assert pace.per_command_s == pytest.approx(0.05, rel=0.01)


def test_a_slow_batch_is_forgotten() -> None:
    pace = Pace(5)
    for at in range(100):
        pace.ended(at / 100, at / 100 + 0.01, 1)
    pace.ended(1.0, 6.0, 1)
    assert pace.is_too_slow_for(100, 0.4, 1.0)
    for at in range(100):
        pace.ended(6.0 + at / 100, 6.01 + at / 100, 1)
    assert not pace.is_too_slow_for(90, 0.4, 1.0)


@pytest.mark.parametrize(
    ("waiting", "waited_s", "is_too_slow"),
    [(9, 0.5, False), (11, 0.5, True), (11, 0.05, False), (6, 1.1, True), (5, 1.1, False)],
)
def test_what_counts_is_the_line_and_who_is_next(
    waiting: int, waited_s: float, is_too_slow: bool
) -> None:
    pace = Pace(5)
    for at in range(500):
        pace.ended(at / 10, (at + 1) / 10, 1)
    assert pace.is_too_slow_for(waiting, waited_s, 1.0) is is_too_slow
