"""Retries are spread at the rate at which commands are decided."""

import pytest

from boxoffice.batching.retry_after import RetryAfterScheduler


def retry_after_s(scheduler: RetryAfterScheduler, since_s: float, count: int) -> list[int]:
    """Return `count` values given out at `since_s`, at eight commands per second."""
    return [scheduler.next_s(since_s, 0.125) for _ in range(count)]


def test_retries_are_spread_by_throughput() -> None:
    scheduler = RetryAfterScheduler(latest_s=60.0, share_min=0.1)
    given_s = retry_after_s(scheduler, 0.0, 80)
    assert given_s == sorted(given_s)
    # Eight in each second, in which eight are decided.
    assert {given_s.count(second) for second in range(1, 11)} == {8}


def test_retries_are_spread_further_in_a_longer_overload() -> None:
    scheduler = RetryAfterScheduler(latest_s=1_000.0, share_min=0.1)
    for second in range(100):
        assert scheduler.next_s(float(second), 0.125) >= 1
    given_s = retry_after_s(scheduler, 100.0, 100)
    # A tenth of eight in each second.
    assert given_s[-1] - given_s[0] == pytest.approx(99 / 0.8, abs=1)


def test_no_retry_is_later_than_the_latest_time() -> None:
    scheduler = RetryAfterScheduler(latest_s=5.0, share_min=0.1)
    assert max(retry_after_s(scheduler, 0.0, 1_000)) == 5
    # What was given out beyond it does not pile up.
    assert retry_after_s(scheduler, 3.0, 1) == [3]


def test_an_overload_that_is_over_is_forgotten() -> None:
    scheduler = RetryAfterScheduler(latest_s=5.0, share_min=0.1)
    for second in range(20):
        retry_after_s(scheduler, float(second), 10)
    assert retry_after_s(scheduler, 19.0 + 5.1, 1) == [1]


def test_before_the_first_batch_retries_are_not_spread() -> None:
    scheduler = RetryAfterScheduler(latest_s=5.0, share_min=0.1)
    assert {scheduler.next_s(0.0, 0.0) for _ in range(100)} == {1}
