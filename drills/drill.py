"""What a drill is, and what it writes down."""

import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

_SYSTEM = "/usr/sbin:/sbin:/usr/local/sbin"


class DrillVerdict(StrEnum):
    """How a drill ended."""

    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"
    NOT_RUN = "not run"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value: `name`, the number with its unit in words, and its target if any."""

    name: str
    value: float
    unit: str
    target: str = ""


@dataclass(frozen=True, slots=True)
class DrillCheck:
    """One statement that has to hold, and what was seen."""

    statement: str
    holds: bool
    seen: str = ""


@dataclass(slots=True)
class DrillReport:
    """What a drill measured and checked; `say` shows progress."""

    say: Callable[[str], None]
    figures: list[Figure] = field(default_factory=list)
    checks: list[DrillCheck] = field(default_factory=list)

    def measure(self, name: str, value: float, unit: str, *, target: str = "") -> None:
        self.figures.append(Figure(name, value, unit, target))

    def check(self, statement: str, *, holds: bool, seen: object = "") -> None:
        self.checks.append(DrillCheck(statement, holds, str(seen)))


@dataclass(frozen=True, slots=True)
class Drill:
    """One drill. `programs` are looked for on PATH and in the system's folders before it starts.

    `unfit` says what else this machine or its user lacks, as root, or nothing. `play` gets the report
    and an empty folder, and stops what it started, also when it is cancelled.
    """

    name: str
    title: str
    minutes: float
    play: Callable[[DrillReport, Path], Awaitable[None]]
    programs: tuple[str, ...] = ()
    unfit: Callable[[], str] = str

    def hindrance(self) -> str:
        """Return why the drill cannot run here, or an empty text."""
        missing = [name for name in self.programs if program(name) is None]
        return f"needs {', '.join(missing)}" if missing else self.unfit()


def program(name: str) -> str | None:
    """The path of a program, or None."""
    return shutil.which(name) or shutil.which(name, path=_SYSTEM)
