"""The scenarios that run, and the rates of the steps."""

from pathlib import Path

import pytest

from boxoffice_loadtest.analysis.steps import StepPlan, next_rate
from boxoffice_loadtest.runner import plan
from boxoffice_loadtest.runner.plan import Options

PLAN = StepPlan(first_per_s=100, factor=2, seconds=1, refinements=2, steps_max=20)


def _rates(
    capacity: float, step_plan: StepPlan = PLAN, hiccups: tuple[int, ...] = ()
) -> list[float]:
    done: list[tuple[float, bool]] = []
    while (rate := next_rate(step_plan, done)) is not None:
        done.append((rate, rate <= capacity and len(done) not in hiccups))
    return [rate for rate, _ in done]


def test_rates_double_until_a_step_fails_twice_then_halve_the_gap() -> None:
    assert _rates(450) == [100, 200, 400, 800, 800, 600, 600, 500, 500]


def test_a_hiccup_is_forgiven() -> None:
    assert _rates(450, hiccups=(1,))[:5] == [100, 200, 200, 400, 800]


def test_after_a_failed_first_step_the_rate_is_lower() -> None:
    assert _rates(60) == [100, 100, 50, 75, 75]


def test_the_number_of_steps_is_bounded() -> None:
    assert len(_rates(1e9)) == PLAN.steps_max


@pytest.mark.parametrize("quick", [True, False])
def test_even_a_quick_run_has_enough_steps_for_a_knee(quick: bool) -> None:
    quick_plan = plan.step_plan(Options(out=Path(), is_quick=quick))
    assert len(_rates(1e9, quick_plan)) >= 4


def test_scenarios_run_in_order_and_a_soak_only_by_name() -> None:
    assert Options(out=Path()).chosen == ("lookup", "reserve", "pay", "onsale", "spike", "steps")
    assert Options(out=Path(), scenarios=("soak", "lookup")).chosen == ("lookup", "soak")
    assert Options(out=Path(), url="http://x").chosen == plan.FOR_RUNNING_TARGET


def test_the_prediction_is_validated_in_full_runs_of_the_embedded_shop() -> None:
    assert Options(out=Path()).is_validated
    assert not Options(out=Path(), is_quick=True).is_validated
    assert not Options(out=Path(), url="http://x").is_validated
    assert Options(out=Path(), is_quick=True, validate=True).is_validated


@pytest.mark.parametrize(
    ("cores", "processes", "share"), [(2, 2, 0.1), (8, 2, 0.4), (32, 2, 1.0), (4, 1, 0.4)]
)
def test_on_a_small_machine_the_api_gets_a_tenth_of_it(
    cores: int, processes: int, share: float
) -> None:
    assert plan.cpu_share_for_steps(cores, processes) == pytest.approx(share)


@pytest.mark.parametrize(("seconds", "kept"), [(8.0, 7.0), (4.0, 3.0), (2.0, 1.5)])
def test_the_start_of_a_step_does_not_count(seconds: float, kept: float) -> None:
    assert plan.measured_s(seconds) == kept
