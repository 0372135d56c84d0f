"""How the stairs are climbed."""

from pathlib import Path

import pytest

from boxoffice_loadtest.runner import plan
from boxoffice_loadtest.runner.plan import Options, Staircase, next_rate

STAIRS = Staircase(first_per_s=100, factor=2, seconds=1, between=2, steps_max=20)


def _climb(
    capacity: float, stairs: Staircase = STAIRS, stumbles: tuple[int, ...] = ()
) -> list[float]:
    climbed: list[tuple[float, bool]] = []
    while (rate := next_rate(stairs, climbed)) is not None:
        climbed.append((rate, rate <= capacity and len(climbed) not in stumbles))
    return [rate for rate, _ in climbed]


def test_the_stairs_double_until_one_breaks_twice_then_halve_the_gap() -> None:
    assert _climb(450) == [100, 200, 400, 800, 800, 600, 600, 500, 500]


def test_a_stumble_is_forgiven() -> None:
    assert _climb(450, stumbles=(1,))[:5] == [100, 200, 200, 400, 800]


def test_a_shop_that_cannot_do_the_first_stair_is_tried_with_less() -> None:
    assert _climb(60) == [100, 100, 50, 75, 75]


def test_the_number_of_stairs_is_bounded() -> None:
    assert len(_climb(1e9)) == STAIRS.steps_max


@pytest.mark.parametrize("quick", [True, False])
def test_even_a_quick_run_has_enough_stairs_for_a_knee(quick: bool) -> None:
    stairs = plan.staircase(Options(out=Path(), is_quick=quick))
    assert len(_climb(1e9, stairs)) >= 4


def test_scenarios_are_played_in_order_and_a_soak_only_when_asked_for() -> None:
    assert Options(out=Path()).chosen == ("lookup", "reserve", "pay", "onsale", "spike", "steps")
    assert Options(out=Path(), scenarios=("soak", "lookup")).chosen == ("lookup", "soak")
    assert Options(out=Path(), url="http://x").chosen == plan.FOR_RUNNING


def test_the_forecast_is_tested_in_a_full_run_of_our_own() -> None:
    assert Options(out=Path()).is_checked
    assert not Options(out=Path(), is_quick=True).is_checked
    assert not Options(out=Path(), url="http://x").is_checked
    assert Options(out=Path(), is_quick=True, check=True).is_checked


@pytest.mark.parametrize(
    ("cores", "processes", "share"), [(2, 2, 0.1), (8, 2, 0.4), (32, 2, 1.0), (4, 1, 0.4)]
)
def test_on_a_small_machine_the_api_gets_a_tenth(cores: int, processes: int, share: float) -> None:
    assert plan.share_in_staircase(cores, processes) == pytest.approx(share)


@pytest.mark.parametrize(("seconds", "kept"), [(8.0, 7.0), (4.0, 3.0), (2.0, 1.5)])
def test_the_first_moments_of_a_stair_do_not_count(seconds: float, kept: float) -> None:
    assert plan.kept_s(seconds) == kept
