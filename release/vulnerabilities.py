"""The look for known vulnerabilities, which says so where it could not look.

`pip-audit` skips a part that its service does not answer for, and then reports that no vulnerability is
known. Here each part has to have been looked up, else the check has not been made.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import msgspec


class Vulnerability(msgspec.Struct):
    """A known fault of a part, and the versions without it."""

    id: str
    fix_versions: list[str] = []


class AuditedPart(msgspec.Struct):
    """One part as `pip-audit` reports it; `skip_reason` where it was not looked up."""

    name: str
    version: str = ""
    vulns: list[Vulnerability] = []
    skip_reason: str = ""


class _Audit(msgspec.Struct):
    dependencies: list[AuditedPart]


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found; `not_looked_up`: parts without an answer, `failure`: why there was none."""

    vulnerable: tuple[AuditedPart, ...] = ()
    not_looked_up: tuple[AuditedPart, ...] = ()
    looked_up: int = 0
    failure: str = ""

    @property
    def is_made(self) -> bool:
        """Whether the check was made: each part was looked up, and there was one."""
        return not self.failure and not self.not_looked_up and self.looked_up > 0


def look(program: Path, lock: Path, timeout_s: float) -> Findings:
    """Look up each part of a lock file by `pip-audit`."""
    command = [
        str(program), "--requirement", str(lock), "--disable-pip", "--require-hashes",
        "--format", "json", "--progress-spinner", "off",
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        return Findings(failure=f"no answer within {timeout_s:g} s")
    except OSError as error:
        return Findings(failure=f"pip-audit does not run: {error}")
    return read(done.stdout) if done.stdout else Findings(failure=done.stderr.strip()[-500:])


def read(report: str) -> Findings:
    """Return what a report of `pip-audit` says."""
    try:
        parts = msgspec.json.decode(report, type=_Audit).dependencies
    except msgspec.DecodeError as error:
        return Findings(failure=f"the report cannot be read: {error}")
    skipped = tuple(part for part in parts if part.skip_reason)
    vulnerable = tuple(part for part in parts if part.vulns)
    return Findings(vulnerable, skipped, len(parts) - len(skipped))
