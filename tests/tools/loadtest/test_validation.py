"""The prediction, and its validation."""

import pytest

from boxoffice_loadtest.analysis.prediction import evaluate, predict
from boxoffice_loadtest.model import (
    CapacityAnalysis,
    Estimate,
    Inconclusive,
    Prediction,
    StepResult,
)
from tests.tools.loadtest import samples

PREDICTED = Estimate(value=500.0, low=450.0, high=550.0)


def _evaluate(*steps: StepResult) -> Prediction | Inconclusive:
    result = samples.scenario("validation", steps=list(steps))
    return evaluate(result, 0.3, "quota", PREDICTED, cores=2)


STEPS = [
    samples.step(100, transactions=900.0, wakeups=900.0),
    samples.step(800, transactions=100.0, wakeups=50.0),
    samples.failed_step(1600, 900, transactions=60.0, wakeups=30.0),
]


def test_the_prediction_is_the_cpu_left_for_requests_by_their_cost() -> None:
    found = predict(samples.analysis(), samples.windows(), STEPS, 0.3, 2)
    assert isinstance(found, Estimate)
    # Around the knee each of two processes had 40 transactions and 20 wake-ups in a second.
    left = 0.3 - samples.IDLE_CORES / 2 - 40 * samples.TRANSACTION_S - 20 * samples.WAKEUP_S
    each = sum(
        samples.analysis().mix[kind] * samples.COSTS[kind] for kind in samples.analysis().mix
    )
    assert found.value == pytest.approx(left / each, rel=1e-3)


def test_nothing_is_predicted_without_costs_or_if_idling_takes_the_share() -> None:
    windows = samples.windows()
    for found in (
        predict(CapacityAnalysis(), windows, STEPS, 0.3, 2),
        predict(samples.analysis(), windows, [], 0.3, 2),
        predict(samples.analysis(), windows, STEPS, 0.03, 2),
    ):
        assert isinstance(found, Inconclusive)


def test_the_measurement_is_where_a_twentieth_is_missing() -> None:
    full = {"api": 0.29, "generator": 0.4}
    found = _evaluate(
        samples.step(200, cores={"api": 0.1}),
        samples.step(500, answers_per_s=490, cores=full),
        # A tenth is missing: halfway between both steps.
        samples.step(600, answers_per_s=510, dropped_iterations=600, cores=full),
    )
    assert isinstance(found, Prediction)
    assert found.measured_per_s == pytest.approx(500)
    assert found.error == pytest.approx(0)
    assert found.is_within


def test_a_step_that_is_only_too_slow_counts_as_the_one_before() -> None:
    full = {"api": 0.29}
    found = _evaluate(
        samples.step(500, answers_per_s=490, cores=full),
        samples.step(600, p95_ms=900.0, cores=full),
    )
    assert isinstance(found, Prediction)
    assert found.measured_per_s == 490


def test_a_miss_is_a_miss() -> None:
    full = {"api": 0.3}
    found = _evaluate(samples.step(390, cores=full), samples.failed_step(700, 400, cores=full))
    assert isinstance(found, Prediction)
    assert not found.is_within


@pytest.mark.parametrize(
    ("cores", "cpu_busy", "reason"),
    [
        ({"api": 0.1}, 0.5, "not_saturated"),
        ({"api": 0.1}, 1.0, "machine_full"),
        ({"api": 0.3, "generator": 1.8}, 1.0, "generator_full"),
    ],
)
def test_a_process_that_was_not_saturated_validates_nothing(
    cores: dict[str, float], cpu_busy: float, reason: str
) -> None:
    failed_step = samples.step(700, cores=cores, cpu_busy=cpu_busy, dropped_iterations=3_000)
    found = _evaluate(samples.step(300), failed_step)
    assert isinstance(found, Inconclusive)
    assert found.reason == reason


def test_a_process_that_sustained_every_step_was_not_saturated() -> None:
    found = _evaluate(samples.step(300), samples.step(700, cores={"api": 0.3}))
    assert isinstance(found, Inconclusive)
    assert found.reason == "not_saturated"
