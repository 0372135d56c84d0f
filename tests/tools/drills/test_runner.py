"""The runner of drills: what passes, what fails, and what does not run."""

import os
from pathlib import Path

import pytest

from drills.drill import Drill, DrillReport, DrillVerdict
from drills.runner import chosen, play
from drills.scenarios import ALL


async def _good(report: DrillReport, folder: Path) -> None:
    assert os.listdir(folder) == []
    report.measure("gap", 1.5, "s")
    report.check("nothing is lost", holds=True, seen=0)


async def _bad(report: DrillReport, folder: Path) -> None:
    report.check("nothing is lost", holds=False, seen=f"3 in {folder.name}")


async def _raises(report: DrillReport, folder: Path) -> None:
    report.check("nothing is lost", holds=True, seen=folder)
    raise OSError("no such server")


async def _empty(report: DrillReport, folder: Path) -> None:
    """Checks nothing."""


@pytest.mark.parametrize(
    ("played", "verdict"),
    [
        (_good, DrillVerdict.PASS),
        (_bad, DrillVerdict.FAIL),
        (_raises, DrillVerdict.FAIL),
        (_empty, DrillVerdict.FAIL),
    ],
)
async def test_a_drill_passes_only_if_its_checks_hold(
    played: object, verdict: DrillVerdict
) -> None:
    drill = Drill("one", "One drill", 0.1, played)  # type: ignore[arg-type]  # the four of them
    result = await play(drill, lambda _: None)
    assert result.verdict is verdict
    assert ("no such server" in result.detail) is (played is _raises)


async def test_a_drill_without_its_programs_does_not_run_and_names_them() -> None:
    drill = Drill("one", "One drill", 0.1, _good, programs=("sh", "no-such-program"))
    result = await play(drill, lambda _: None)
    assert (result.verdict, result.detail) == (DrillVerdict.NOT_RUN, "needs no-such-program")


def test_drills_are_chosen_by_name() -> None:
    drills = [Drill("one", "1", 0.1, _good), Drill("two", "2", 0.1, _good)]
    assert [drill.name for drill in chosen(drills, "two")] == ["two"]
    assert [drill.name for drill in chosen(drills, "")] == ["one", "two"]
    with pytest.raises(KeyError, match="three"):
        chosen(drills, "one,three")


def test_each_drill_has_a_name_of_its_own() -> None:
    names = [drill.name for drill in ALL]
    assert len(names) == len(set(names))
