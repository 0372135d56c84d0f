"""The mean time per command, and the wait that it predicts."""

import pytest

from boxoffice.batching.queue import ThroughputEstimator


def test_batches_that_overlap_share_their_time() -> None:
    estimator = ThroughputEstimator(5)
    for at in range(500):
        estimator.observe(at, at + 1.0, 10)
    assert estimator.per_command_s == pytest.approx(0.1, rel=0.01)
    # Each began beside the one before; only the half second after that one's end is its own.
    for at in range(1_000, 2_000):
        estimator.observe(at / 2, at / 2 + 1.0, 10)
    assert estimator.per_command_s == pytest.approx(0.05, rel=0.01)


def test_a_slow_batch_is_forgotten() -> None:
    estimator = ThroughputEstimator(5)
    for at in range(100):
        estimator.observe(at / 100, at / 100 + 0.01, 1)
    estimator.observe(1.0, 6.0, 1)
    assert estimator.is_too_slow_for(100, 0.4, 1.0)
    for at in range(100):
        estimator.observe(6.0 + at / 100, 6.01 + at / 100, 1)
    assert not estimator.is_too_slow_for(90, 0.4, 1.0)


@pytest.mark.parametrize(
    ("waiting", "waited_s", "is_too_slow"),
    [(9, 0.5, False), (11, 0.5, True), (11, 0.05, False), (6, 1.1, True), (5, 1.1, False)],
)
def test_the_queue_and_its_head_count(waiting: int, waited_s: float, is_too_slow: bool) -> None:
    estimator = ThroughputEstimator(5)
    for at in range(500):
        estimator.observe(at / 10, (at + 1) / 10, 1)
    assert estimator.is_too_slow_for(waiting, waited_s, 1.0) is is_too_slow
