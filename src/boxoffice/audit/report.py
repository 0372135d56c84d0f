"""The report of an audit as text and as JSON. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec


@dataclass(frozen=True)
class Check:
    """One invariant: its count of violations, and a few of the violating rows."""

    name: str
    description: str
    violations: int
    samples: Sequence[dict[str, Any]]

    @property
    def ok(self) -> bool:
        """Whether it has no violation."""
        return self.violations == 0


@dataclass(frozen=True)
class Report:
    """All checks of one snapshot."""

    checks: Sequence[Check]

    @property
    def ok(self) -> bool:
        """Whether every invariant holds; False for a report without checks."""
        return bool(self.checks) and all(check.ok for check in self.checks)

    @property
    def broken(self) -> list[Check]:
        """The checks with violations."""
        return [check for check in self.checks if not check.ok]


def render_check(check: Check) -> Iterator[str]:
    """Yield the line of one check, then one per sample of a violation."""
    if check.ok:
        yield f"ok      {check.name}  {check.description}"
        return
    yield f"BROKEN  {check.name}  {check.violations}×  {check.description}"
    for sample in check.samples:
        yield "        " + "  ".join(f"{name}={value}" for name, value in sample.items())


def render_summary(report: Report) -> str:
    """Return the closing line."""
    if report.ok:
        return f"All {len(report.checks)} invariants hold."
    return f"{len(report.broken)} of {len(report.checks)} invariants are broken."


def render(report: Report) -> list[str]:
    """Return the report as lines of text."""
    lines = [line for check in report.checks for line in render_check(check)]
    return [*lines, render_summary(report)]


def as_json(report: Report) -> str:
    """Return the report as JSON: `ok`, and the `checks` with their violations and samples."""
    return msgspec.json.encode({"ok": report.ok, "checks": report.checks}).decode()
