"""What an expression of PromQL reads: names of metrics with the labels that it asks of them."""

import re
from collections.abc import Iterable
from typing import NamedTuple

_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
_SELECTED = re.compile(r"([a-zA-Z_:][\w:]*)\s*(?:\{([^}]*)\})?")
_MATCHER = re.compile(r"([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)")
_GROUPED = re.compile(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)")
# What Prometheus adds to each series of a target, and histograms to theirs.
OF_TARGETS = frozenset({"instance", "job"})


class Reading(NamedTuple):
    """A metric and the labels by which an expression selects it."""

    metric: str
    labels: frozenset[str]


def readings(expression: str) -> list[Reading]:
    """Return what `expression` reads of our metrics and recording rules."""
    bare = _TEXT.sub('""', expression)
    return [
        Reading(name, frozenset(_MATCHER.findall(matchers or "")))
        for name, matchers in _SELECTED.findall(bare)
        if name.startswith(("boxoffice_", "boxoffice:"))
    ]


def grouped_by(expression: str) -> set[str]:
    """Return the labels by which `expression` groups."""
    bare = _TEXT.sub('""', expression)
    return {name.strip() for names in _GROUPED.findall(bare) for name in names.split(",") if name}


def faults(
    expression: str, exported: dict[str, frozenset[str]], recorded: Iterable[str]
) -> list[str]:
    """Return what `expression` reads and nothing exports or records: metrics, and labels of them."""
    found, known = [], set(OF_TARGETS)
    read = readings(expression)
    for metric, labels in read:
        if metric in recorded:
            continue
        if metric not in exported:
            found.append(metric)
            continue
        known |= exported[metric]
        found += [f"{metric}{{{one}}}" for one in sorted(labels - exported[metric] - OF_TARGETS)]
    if not read:
        found.append(f"no metric in {expression!r}")
    return found + [f"by ({one})" for one in sorted(grouped_by(expression) - known)]
