"""The pace of batches, and what it says of a line."""

import pytest

from boxoffice.batching.pace import Comebacks, Pace


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


def comebacks_s(comebacks: Comebacks, since_s: float, count: int) -> list[int]:
    """Refuse so many at that time, where eight commands a second are decided."""
    return [comebacks.next_s(since_s, 0.125) for _ in range(count)]


def test_comebacks_are_as_far_apart_as_there_is_room() -> None:
    comebacks = Comebacks(latest_s=60.0, share_min=0.1)
    told_s = comebacks_s(comebacks, 0.0, 80)
    assert told_s == sorted(told_s)
    # Eight in each second, in which eight are decided.
    assert {told_s.count(second) for second in range(1, 11)} == {8}


def test_the_longer_there_is_no_room_the_fewer_come_back_at_a_time() -> None:
    comebacks = Comebacks(latest_s=1_000.0, share_min=0.1)
    for second in range(100):
        assert comebacks.next_s(float(second), 0.125) >= 1
    told_s = comebacks_s(comebacks, 100.0, 100)
    # A tenth of eight in each second.
    assert told_s[-1] - told_s[0] == pytest.approx(99 / 0.8, abs=1)


def test_nobody_is_sent_away_for_longer_than_the_latest_time() -> None:
    comebacks = Comebacks(latest_s=5.0, share_min=0.1)
    assert max(comebacks_s(comebacks, 0.0, 1_000)) == 5
    # What was given out beyond it does not pile up.
    assert comebacks_s(comebacks, 3.0, 1) == [3]


def test_an_overload_that_is_over_is_forgotten() -> None:
    comebacks = Comebacks(latest_s=5.0, share_min=0.1)
    for second in range(20):
        comebacks_s(comebacks, float(second), 10)
    assert comebacks_s(comebacks, 19.0 + 5.1, 1) == [1]


def test_before_the_first_batch_everybody_may_come_back_at_once() -> None:
    comebacks = Comebacks(latest_s=5.0, share_min=0.1)
    assert {comebacks.next_s(0.0, 0.0) for _ in range(100)} == {1}
