"""What is foretold, and how it is judged."""

import pytest

from boxoffice_loadtest.model import Estimate, Inference, Prediction, Refusal, Step
from boxoffice_loadtest.runner import validation, cpu_limit
from tests.tools.loadtest import samples

FORETOLD = Estimate(value=500.0, low=450.0, high=550.0)
HELD = cpu_limit.Held(cpu_limit.QUOTA, 0.3)


def _judge(*steps: Step) -> Prediction | Refusal:
    return validation.judge(samples.scenario("check", steps=list(steps)), HELD, FORETOLD, cores=2)


STEPS = [
    samples.step(100, transactions=900.0, wakeups=900.0),
    samples.step(800, transactions=100.0, wakeups=50.0),
    samples.broken(1600, 900, transactions=60.0, wakeups=30.0),
]


def test_the_forecast_is_what_is_left_of_the_share_by_the_cost() -> None:
    found = validation.foretell(samples.inference(), samples.windows(), STEPS, 0.3, 2)
    assert isinstance(found, Estimate)
    # Around the knee each of two processes had 40 transactions and 20 wake-ups in a second.
    left = 0.3 - samples.IDLE_CORES / 2 - 40 * samples.TRANSACTION_S - 20 * samples.WAKEUP_S
    each = sum(
        samples.inference().mix[kind] * samples.COSTS[kind] for kind in samples.inference().mix
    )
    assert found.value == pytest.approx(left / each, rel=1e-3)


def test_nothing_is_foretold_without_costs_or_where_idling_takes_the_share() -> None:
    windows = samples.windows()
    for found in (
        validation.foretell(Inference(), windows, STEPS, 0.3, 2),
        validation.foretell(samples.inference(), windows, [], 0.3, 2),
        validation.foretell(samples.inference(), windows, STEPS, 0.03, 2),
    ):
        assert isinstance(found, Refusal)


def test_the_measurement_lies_where_a_twentieth_is_dropped() -> None:
    full = {"api": 0.29, "generator": 0.4}
    found = _judge(
        samples.step(200, cores={"api": 0.1}),
        samples.step(500, answers_per_s=490, cores=full),
        # A tenth is dropped: half of the way between both stairs.
        samples.step(600, answers_per_s=510, dropped=600, cores=full),
    )
    assert isinstance(found, Prediction)
    assert found.measured_per_s == pytest.approx(500)
    assert found.error == pytest.approx(0)
    assert found.is_within


def test_a_stair_that_is_only_too_slow_ends_at_the_one_before() -> None:
    full = {"api": 0.29}
    found = _judge(
        samples.step(500, answers_per_s=490, cores=full),
        samples.step(600, p95_ms=900.0, cores=full),
    )
    assert isinstance(found, Prediction)
    assert found.measured_per_s == 490


def test_a_miss_is_a_miss() -> None:
    full = {"api": 0.3}
    found = _judge(samples.step(390, cores=full), samples.broken(700, 400, cores=full))
    assert isinstance(found, Prediction)
    assert not found.is_within


@pytest.mark.parametrize(
    ("cores", "busy", "why"),
    [
        ({"api": 0.1}, 0.5, "not_saturated"),
        ({"api": 0.1}, 1.0, "machine_full"),
        ({"api": 0.3, "generator": 1.8}, 1.0, "generator_full"),
    ],
)
def test_a_test_that_did_not_test_it_is_refused(
    cores: dict[str, float], busy: float, why: str
) -> None:
    broken = samples.step(700, cores=cores, busy=busy, dropped=3_000)
    found = _judge(samples.step(300), broken)
    assert isinstance(found, Refusal)
    assert found.why == why


def test_a_process_that_kept_up_to_the_end_was_not_tested() -> None:
    found = _judge(samples.step(300), samples.step(700, cores={"api": 0.3}))
    assert isinstance(found, Refusal)
    assert found.why == "not_saturated"
