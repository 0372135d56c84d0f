"""The arithmetic of the fit, on windows whose costs are known."""

import random

import msgspec
import pytest

from boxoffice_loadtest.analysis import costs
from boxoffice_loadtest.model import Window
from tests.tools.loadtest import samples


def test_costs_that_are_exact_are_found_exactly() -> None:
    found = costs.fit("api", samples.windows())
    for kind, cost_s in samples.COSTS.items():
        assert found.per_request[kind].value == pytest.approx(cost_s, rel=1e-3)
    assert found.idle.value == pytest.approx(samples.IDLE_CORES, rel=1e-3)
    assert found.per_transaction is not None
    assert found.per_transaction.value == pytest.approx(samples.TRANSACTION_S, rel=1e-3)
    assert found.per_wakeup is not None
    assert found.per_wakeup.value == pytest.approx(samples.WAKEUP_S, rel=1e-3)
    assert found.error_share < 1e-4


def test_the_wakeups_of_the_api_cost_nobody_else() -> None:
    assert costs.fit("postgres", samples.windows()).per_wakeup is None


def _noisy(seed: int) -> list[Window]:
    """Return the windows with every figure of CPU off by up to a tenth."""
    chance = random.Random(seed)
    return [
        msgspec.structs.replace(
            one, cpu_s={name: used * chance.uniform(0.9, 1.1) for name, used in one.cpu_s.items()}
        )
        for one in samples.windows(60)
    ]


def test_intervals_keep_the_truth_under_noise_about_as_often_as_they_say() -> None:
    kept = []
    for seed in range(12):
        found = costs.fit("api", _noisy(seed))
        assert 0.01 < found.error_share < 0.1
        for kind, cost_s in samples.COSTS.items():
            estimate = found.per_request[kind]
            kept.append(estimate.low <= cost_s <= estimate.high)
    assert sum(kept) / len(kept) > 0.8


def test_noise_widens_the_intervals() -> None:
    exact, noisy = costs.fit("api", samples.windows(60)), costs.fit("api", _noisy(88))
    for kind, estimate in exact.per_request.items():
        other = noisy.per_request[kind]
        assert other.high - other.low > estimate.high - estimate.low


def test_nothing_costs_less_than_nothing() -> None:
    # Ordinary least squares would give the second column a negative cost.
    rows, targets = [[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]], [3.0, 2.0, 1.0]
    assert costs.nonnegative(rows, targets) == pytest.approx([2.0, 0.0], abs=1e-6)


def test_a_kind_with_few_requests_has_no_cost() -> None:
    few = [samples.window({"lookup": 100, "pay": 1}, 20 + n) for n in range(20)]
    assert costs.kinds_in(few) == ["lookup"]


def test_the_cost_of_a_mix_is_that_of_its_parts() -> None:
    mix = {"lookup": 0.5, "refused": 0.5}
    cost = costs.cost_of("api", samples.windows(), mix, transactions=0.2)
    wanted = 0.5 * samples.COSTS["lookup"] + 0.5 * samples.COSTS["refused"]
    assert cost.value == pytest.approx(wanted + 0.2 * samples.TRANSACTION_S, rel=1e-3)


def test_a_line_through_points() -> None:
    found = costs.line([(0.0, 10.0), (100.0, 12.0), (200.0, 14.0), (300.0, 16.0)])
    assert found is not None
    assert (found.intercept, found.slope) == pytest.approx((10.0, 0.02))
    assert found.low == pytest.approx(found.high)


def test_a_line_with_noise_has_an_interval_around_its_slope() -> None:
    found = costs.line([(0.0, 10.0), (100.0, 12.5), (200.0, 13.5), (300.0, 16.0)])
    assert found is not None
    assert found.low < 0.02 < found.high
    assert costs.line([(0.0, 1.0), (1.0, 2.0)]) is None


def test_two_windows_give_no_interval() -> None:
    [estimate, *_] = costs.jackknife([[1.0], [1.0]], [2.0, 2.0], list)
    assert estimate.value == pytest.approx(2.0)
    assert estimate.high == float("inf")
