"""Runs drills one after the other; one that raises has failed, and the next ones run all the same."""

import os
import tempfile
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from drills.drill import Drill, DrillReport, DrillVerdict


@dataclass(frozen=True, slots=True)
class DrillResult:
    """How one drill went: `detail` says why it failed or did not run."""

    name: str
    title: str
    verdict: DrillVerdict
    seconds: float
    report: DrillReport
    detail: str = ""


async def play(drill: Drill, say: Callable[[str], None]) -> DrillResult:
    """Run one drill in a folder of its own, which is removed afterwards."""
    report = DrillReport(say)
    if why := drill.hindrance():
        return DrillResult(drill.name, drill.title, DrillVerdict.NOT_RUN, 0, report, why)
    started = perf_counter()
    detail = ""
    with tempfile.TemporaryDirectory(prefix="boxoffice-drill-") as folder:
        # Servers of another user have to reach what they are given in it.
        os.chmod(folder, 0o755)  # noqa: S103 - nothing secret is in it
        try:
            await drill.play(report, Path(folder))
        except Exception:  # a drill that raises has failed
            detail = traceback.format_exc(limit=-6)
    verdict = verdict_of(report, detail)
    return DrillResult(drill.name, drill.title, verdict, perf_counter() - started, report, detail)


def verdict_of(report: DrillReport, detail: str) -> DrillVerdict:
    """A drill passes if it ended, checked something, and each check holds."""
    if detail or not report.checks or not all(check.holds for check in report.checks):
        return DrillVerdict.FAIL
    return DrillVerdict.PASS


def chosen(drills: Sequence[Drill], only: str) -> list[Drill]:
    """The drills of these names, in their own order; all of them for an empty text.

    Raises:
        KeyError: a name that no drill has.
    """
    names = [name.strip() for name in only.split(",") if name.strip()]
    if unknown := set(names) - {drill.name for drill in drills}:
        raise KeyError(", ".join(sorted(unknown)))
    return [drill for drill in drills if not names or drill.name in names]
