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


async def test_a_drill_whose_user_lacks_something_does_not_run_and_says_what() -> None:
    drill = Drill("one", "One drill", 0.1, _raises, unfit=lambda: "needs root")
    result = await play(drill, lambda _: None)
    assert (result.verdict, result.detail) == (DrillVerdict.NOT_RUN, "needs root")


async def test_no_drill_fails_for_an_ordinary_user_because_it_needs_root(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    # This PgBouncer is too old, so the drill would unpack one; and each program is there.
    monkeypatch.setattr("drills.scenarios.pooler.can_track", lambda _argv: False)
    monkeypatch.setattr("drills.drill.program", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr("drills.scenarios.pooler.program", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr("drills.containers.program", lambda name: f"/usr/bin/{name}")
    needs_root = {drill.name for drill in ALL if "root" in drill.hindrance()}
    assert needs_root == {"compose", "python_3_13", "pooler"}
    for drill in ALL:
        if drill.name in needs_root:
            result = await play(drill, lambda _: None)
            assert result.verdict is DrillVerdict.NOT_RUN


def test_a_drill_says_that_its_parts_are_not_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    by_name = {drill.name: drill for drill in ALL}
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    assert by_name["postgres_failover"].unfit().startswith("needs Patroni: make drills installs it")
    monkeypatch.setattr("drills.scenarios.upgrade._ROOT", tmp_path)
    assert by_name["upgrade"].unfit().startswith("needs the history of git with")


def test_drills_are_chosen_by_name() -> None:
    drills = [Drill("one", "1", 0.1, _good), Drill("two", "2", 0.1, _good)]
    assert [drill.name for drill in chosen(drills, "two")] == ["two"]
    assert [drill.name for drill in chosen(drills, "")] == ["one", "two"]
    with pytest.raises(KeyError, match="three"):
        chosen(drills, "one,three")


def test_each_drill_has_a_name_of_its_own() -> None:
    names = [drill.name for drill in ALL]
    assert len(names) == len(set(names))
