"""docs/monitoring.md describes what the code exports, with type and labels."""

import re
from pathlib import Path

from tests.support.exported import declared_metrics

PAGE = Path(__file__).parents[2] / "docs" / "monitoring.md"
ROW = re.compile(r"^\| `(boxoffice_\w+)` \| ([CGH]) \| (.*?) ?\| .+ \|$", flags=re.MULTILINE)
LETTERS = {"C": "counter", "G": "gauge", "H": "histogram"}


def test_the_page_has_every_metric_with_its_type_and_labels() -> None:
    rows = {
        name: (LETTERS[letter], tuple(re.findall(r"`(\w+)`", labels)))
        for name, letter, labels in ROW.findall(PAGE.read_text(encoding="utf-8"))
    }
    assert rows == declared_metrics()


def test_names_follow_the_conventions_of_prometheus() -> None:
    units = re.compile(r"_(ms|milliseconds|minutes|kb|percent)(_|$)")
    wrong = [
        name
        for name, (kind, _) in declared_metrics().items()
        if units.search(name) or (kind != "counter" and name.endswith("_total"))
    ]
    assert wrong == []
