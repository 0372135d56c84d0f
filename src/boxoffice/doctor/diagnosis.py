"""A diagnosis, and the report of all of them as text and as JSON. Pure."""

from collections.abc import Iterable, Iterator
from enum import StrEnum

import msgspec


class Level(StrEnum):
    """How bad it is. `UNSEEN`: not looked at, because it is not set or cannot be seen from here."""

    OK = "ok"
    UNSEEN = "unseen"
    WARN = "warn"
    FAIL = "fail"


class Diagnosis(msgspec.Struct, frozen=True):
    """What was looked at, what was seen, and what to do about it."""

    check: str
    level: Level
    seen: str
    advice: str = ""


def render(findings: Iterable[Diagnosis]) -> Iterator[str]:
    """Yield a line per finding, with the advice below it."""
    for one in findings:
        yield f"{one.level.upper():7} {one.check}: {one.seen}"
        if one.advice:
            yield f"        → {one.advice}"


def summary(findings: Iterable[Diagnosis]) -> str:
    """Return the closing line."""
    levels = [one.level for one in findings]
    counts = [f"{levels.count(level)} {level}" for level in Level]
    return f"{len(levels)} checks: {', '.join(counts)}."


def is_fit(findings: Iterable[Diagnosis]) -> bool:
    """Whether nothing failed."""
    return all(one.level is not Level.FAIL for one in findings)
