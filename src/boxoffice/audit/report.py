"""What an audit found, for people and for programs. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec


@dataclass(frozen=True)
class Check:
    """One invariant: how often it is broken, and a few of the rows that break it."""

    name: str
    description: str
    violations: int
    samples: Sequence[dict[str, Any]]

    @property
    def ok(self) -> bool:
        """Whether nothing breaks it."""
        return self.violations == 0


@dataclass(frozen=True)
class Report:
    """All checks of one snapshot."""

    checks: Sequence[Check]

    @property
    def ok(self) -> bool:
        """Whether every invariant holds; a report without checks says nothing, so it is not."""
        return bool(self.checks) and all(check.ok for check in self.checks)

    @property
    def broken(self) -> list[Check]:
        """The checks that found something."""
        return [check for check in self.checks if not check.ok]


def render_check(check: Check) -> Iterator[str]:
    """Yield the line of one check, and one more per sample where it is broken."""
    if check.ok:
        yield f"ok      {check.name}  {check.description}"
        return
    yield f"BROKEN  {check.name}  {check.violations}×  {check.description}"
    for sample in check.samples:
        yield "        " + "  ".join(f"{name}={value}" for name, value in sample.items())


def render_verdict(report: Report) -> str:
    """Return the closing line."""
    if report.ok:
        return f"All {len(report.checks)} invariants hold."
    return f"{len(report.broken)} of {len(report.checks)} invariants are broken."


def render(report: Report) -> list[str]:
    """Return the whole report as lines for people."""
    lines = [line for check in report.checks for line in render_check(check)]
    return [*lines, render_verdict(report)]


def as_json(report: Report) -> str:
    """Return the report as JSON: `ok`, and the `checks` with their violations and samples."""
    return msgspec.json.encode({"ok": report.ok, "checks": report.checks}).decode()
