"""Figures of a part of a flood."""

from typing import Any

import pytest

from faults.interference.hold_flood import HoldFloodResult
from faults.interference.hold_flood_runner import unexpected


def result(**seen: Any) -> HoldFloodResult:
    """Return a flood of a second: nothing in the first half, ten holds per tick in the second."""
    about = {
        "begin_s": 100.0,
        "wall_s": 1.0,
        "cpu_s": 0.5,
        "offered": 60,
        "accepted": 50,
        "accepted_p50_s": 0.01,
        "accepted_p99_s": 0.02,
        "refused_p99_s": 0.0,
        "statuses": {"201": 50, "503": 10},
        "without_retry_after": 0,
        "cut": 0,
        "unanswered": 0,
        "unsent": 40,
        "connections": 5,
        "accepted_by_tick": [0] * 5 + [10] * 5,
        "refused_by_tick": [0] * 9 + [10],
    }
    return HoldFloodResult(**{**about, **seen})


@pytest.mark.parametrize(
    ("begin_s", "end_s", "per_s"),
    [(100.0, 101.0, 50.0), (100.0, 100.5, 0.0), (100.52, 101.0, 100.0), (100.25, 100.75, 50.0)],
)
def test_a_part_counts_its_whole_ticks(begin_s: float, end_s: float, per_s: float) -> None:
    assert result().between_per_s(begin_s, end_s) == pytest.approx(per_s, abs=1e-6)


def test_refusals_of_a_part_are_counted() -> None:
    assert result().refused_between(100.0, 100.9) == 0
    assert result().refused_between(100.5, 101.0) == 10


@pytest.mark.parametrize(("begin_s", "end_s"), [(99.0, 100.5), (100.5, 102.0), (100.51, 100.55)])
def test_a_part_outside_of_the_flood_is_refused(begin_s: float, end_s: float) -> None:
    with pytest.raises(ValueError, match="did not cover"):
        result().between_per_s(begin_s, end_s)


def test_unsent_requests_count_as_offered() -> None:
    assert result().offered_per_s == 100.0


@pytest.mark.parametrize("seen", [{"cut": 1}, {"without_retry_after": 1}, {"unanswered": 1}])
def test_unexpected_responses_are_reported(seen: dict[str, int]) -> None:
    assert not unexpected(result(), frozenset({"201", "503"}))
    assert unexpected(result(), frozenset({"201"}))
    assert unexpected(result(**seen), frozenset({"201", "503"}))
