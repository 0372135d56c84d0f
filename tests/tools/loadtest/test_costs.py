"""The fit, on windows with known costs."""

import random
from itertools import combinations

import msgspec
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from boxoffice_loadtest.analysis import costs, least_squares
from boxoffice_loadtest.model import LoadWindow
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


def test_only_the_api_has_a_cost_per_wakeup() -> None:
    assert costs.fit("postgres", samples.windows()).per_wakeup is None


def _noisy(seed: int) -> list[LoadWindow]:
    """Return the windows with every figure of CPU off by up to a tenth."""
    chance = random.Random(seed)
    return [
        msgspec.structs.replace(
            one, cpu_s={name: used * chance.uniform(0.9, 1.1) for name, used in one.cpu_s.items()}
        )
        for one in samples.windows(60)
    ]


def test_intervals_hold_the_true_cost_under_noise_about_as_often_as_they_say() -> None:
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


def test_no_cost_is_negative() -> None:
    # Ordinary least squares would give the second column a negative cost.
    rows, targets = [[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]], [3.0, 2.0, 1.0]
    assert least_squares.nonnegative(rows, targets) == pytest.approx([2.0, 0.0], abs=1e-6)


def test_a_kind_with_few_requests_has_no_cost() -> None:
    few = [samples.window({"lookup": 100, "pay": 1}, 20 + n) for n in range(20)]
    assert costs.kinds_in(few) == ["lookup"]


def test_the_cost_of_a_mix_is_that_of_its_parts() -> None:
    mix = {"lookup": 0.5, "refused": 0.5}
    cost = costs.cost_of_mix("api", samples.windows(), mix, transactions=0.2)
    wanted = 0.5 * samples.COSTS["lookup"] + 0.5 * samples.COSTS["refused"]
    assert cost.value == pytest.approx(wanted + 0.2 * samples.TRANSACTION_S, rel=1e-3)


def test_a_line_through_points() -> None:
    found = least_squares.line([(0.0, 10.0), (100.0, 12.0), (200.0, 14.0), (300.0, 16.0)])
    assert found is not None
    assert (found.intercept, found.slope) == pytest.approx((10.0, 0.02))
    assert found.low == pytest.approx(found.high)


def test_a_line_with_noise_has_an_interval_around_its_slope() -> None:
    found = least_squares.line([(0.0, 10.0), (100.0, 12.5), (200.0, 13.5), (300.0, 16.0)])
    assert found is not None
    assert found.low < 0.02 < found.high
    assert least_squares.line([(0.0, 1.0), (1.0, 2.0)]) is None


def test_two_windows_give_no_interval() -> None:
    [estimate, *_] = least_squares.jackknife([[1.0], [1.0]], [2.0, 2.0], list)
    assert estimate.value == pytest.approx(2.0)
    assert estimate.high == float("inf")


_CELLS = st.integers(0, 9).map(float)


@st.composite
def _problems(draw: st.DrawFn) -> tuple[list[list[float]], list[float]]:
    """Small problems, with columns that repeat or are zero among them."""
    width = draw(st.integers(1, 4))
    rows = draw(st.lists(st.lists(_CELLS, min_size=width, max_size=width), min_size=3, max_size=8))
    targets = draw(st.lists(st.integers(-9, 9).map(float), min_size=len(rows), max_size=len(rows)))
    return rows, targets


def _squares(rows: list[list[float]], targets: list[float], x: list[float]) -> float:
    return sum((least_squares.dot(row, x) - y) ** 2 for row, y in zip(rows, targets, strict=True))


def _reference(rows: list[list[float]], targets: list[float]) -> float:
    """Return the least sum of squares with x ≥ 0, by trying every set of columns that are not 0."""
    best = sum(y**2 for y in targets)
    width = len(rows[0])
    for size in range(1, width + 1):
        for columns in combinations(range(width), size):
            part = [[row[j] for j in columns] for row in rows]
            x = least_squares.unconstrained(part, targets)
            if min(x) >= 0:
                best = min(best, _squares(part, targets, x))
    return best


@given(_problems())
def test_the_nonnegative_fit_is_as_good_as_trying_all_columns(
    problem: tuple[list[list[float]], list[float]],
) -> None:
    rows, targets = problem
    x = least_squares.nonnegative(rows, targets)
    assert min(x) >= 0
    assert _squares(rows, targets, x) == pytest.approx(_reference(rows, targets), abs=1e-5)


# The third column has no pivot, and the fourth one needs the row that is left.
@example(([[0.0, 1.0, 1.0, 1.0], [1.0, 0.0, 1.0, 2.0], [0.0, 0.0, 0.0, 1.0]], [0.0, 0.0, 1.0]))
@given(_problems())
def test_the_residual_of_the_unconstrained_fit_is_orthogonal_to_every_column(
    problem: tuple[list[list[float]], list[float]],
) -> None:
    rows, targets = problem
    assume(any(any(row) for row in rows))
    x = least_squares.unconstrained(rows, targets)
    residual = [least_squares.dot(row, x) - y for row, y in zip(rows, targets, strict=True)]
    for column in zip(*rows, strict=True):
        assert least_squares.dot(column, residual) == pytest.approx(0.0, abs=1e-5)
