"""The list of scenarios: described in the documentation, with results, and split into rounds."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from faults.__main__ import app
from faults.report.result import Result
from faults.runner import chosen, rounds, take
from faults.scenario import Observations, trials_of
from faults.scenarios import ALL

ROOT = Path(__file__).parents[4]
PAGE = ROOT / "docs" / "faults.md"
RESULTS = ROOT / "faults" / "RESULTS.md"


def test_the_list_describes_every_scenario() -> None:
    ran = CliRunner().invoke(app, ["--list"])
    assert ran.output.splitlines() == [
        f"{one.name} ({one.component.value}, {one.trials} trials): {one.does} → {one.expects}"
        for one in ALL
    ]


def test_the_page_names_the_group_of_every_scenario() -> None:
    page = PAGE.read_text(encoding="utf-8")
    table = "".join(line for line in page.splitlines() if line.startswith("| "))
    groups = re.findall(r"`(\w+)(…?)`", table)
    for one in ALL:
        assert any(
            one.name.startswith(name) if is_prefix else one.name == name
            for name, is_prefix in groups
        ), one.name


def test_every_scenario_has_a_result() -> None:
    text = RESULTS.read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w+)` \(\d+\) \|", text, re.MULTILINE)
    assert sorted(listed) == sorted(scenario.name for scenario in ALL)


def test_every_scenario_is_described() -> None:
    assert len({scenario.name for scenario in ALL}) == len(ALL)
    for scenario in ALL:
        assert scenario.does, scenario.name
        assert scenario.expects, scenario.name
        assert 1 <= scenario.quick_trials <= scenario.trials


def test_a_share_of_the_trials_is_never_none_and_never_more_than_all() -> None:
    for scenario in ALL:
        assert trials_of(scenario, 1.0, is_quick=False) == scenario.trials
        assert trials_of(scenario, 0.0, is_quick=False) == scenario.quick_trials
        assert trials_of(scenario, 1.0, is_quick=True) == scenario.quick_trials


@pytest.mark.parametrize(("trials", "size"), [(1, 30), (30, 30), (31, 30), (150, 25), (7, 3)])
def test_rounds_have_all_trials_and_none_is_too_long(trials: int, size: int) -> None:
    shares = rounds(trials, size)
    assert sum(shares) == trials
    assert max(shares) <= size
    assert max(shares) - min(shares) <= 1


def test_an_unknown_scenario_is_named() -> None:
    with pytest.raises(KeyError, match="no_such_row"):
        chosen(ALL, ["no_such_row"])


@pytest.mark.parametrize("rounds_seen", [(0.7, 0.95), (0.95, 0.7)])
@pytest.mark.parametrize(
    ("name", "worst"),
    [
        ("goodput_share", 0.7),
        ("deaf_goodput_share_min", 0.7),
        ("goodput_kept_percent", 0.7),
        ("accepted_p99_ms", 0.95),
    ],
)
def test_of_several_rounds_the_worst_figure_counts(
    rounds_seen: tuple[float, float], name: str, worst: float
) -> None:
    result, both = Result(name="overload", component="clients"), Observations()
    for figure in rounds_seen:
        take(result, Observations(figures={name: figure}))
        both.add(Observations(figures={name: figure}))
    assert result.figures == both.figures == {name: worst}
