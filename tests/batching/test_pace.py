"""The pace of batches, and what it says of a line."""

import pytest

from boxoffice.batching.pace import Pace


def test_batches_that_overlap_share_their_time() -> None:
    pace = Pace()
    pace.ended(0.0, 1.0, 10)
    assert pace.per_command_s == pytest.approx(0.1)
    # It began beside the first one; only the half second after that one's end is its own.
    for at in range(1, 500):
        pace.ended(0.5 + at / 2, 1.0 + at / 2, 10)
    assert pace.per_command_s == pytest.approx(0.05, rel=0.01)


def test_a_slow_batch_is_forgotten() -> None:
    pace = Pace()
    pace.ended(0.0, 5.0, 1)
    assert pace.is_too_slow_for(10, 0.4, 1.0)
    for at in range(200):
        pace.ended(5.0 + at / 100, 5.01 + at / 100, 50)
    assert not pace.is_too_slow_for(1_000, 0.4, 1.0)


@pytest.mark.parametrize(
    ("waiting", "waited_s", "is_too_slow"),
    [(9, 0.5, False), (11, 0.5, True), (11, 0.05, False), (0, 1.1, True)],
)
def test_what_counts_is_the_line_and_who_is_next(
    waiting: int, waited_s: float, is_too_slow: bool
) -> None:
    pace = Pace()
    pace.ended(0.0, 0.1, 1)
    assert pace.is_too_slow_for(waiting, waited_s, 1.0) is is_too_slow
