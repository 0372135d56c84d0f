"""docs/monitoring.md describes what the code exports, with type and labels."""

import importlib
import pkgutil
import re
from pathlib import Path

from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

import boxoffice

PAGE = Path(__file__).parents[2] / "docs" / "monitoring.md"
ROW = re.compile(r"^\| `(boxoffice_\w+)` \| ([CGH]) \| (.*?) ?\| .+ \|$", flags=re.MULTILINE)
LETTERS = {"C": "counter", "G": "gauge", "H": "histogram"}


def exported() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return type and labels of every metric of the product, by name."""
    for module in pkgutil.walk_packages(boxoffice.__path__, "boxoffice."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found = {}
    for metric in list(REGISTRY._collector_to_names):
        if isinstance(metric, MetricWrapperBase) and metric._name.startswith("boxoffice_"):
            suffix = "_total" if metric._type == "counter" else ""
            found[metric._name + suffix] = (str(metric._type), tuple(metric._labelnames))
    return found


def test_the_page_has_every_metric_with_its_type_and_labels() -> None:
    rows = {
        name: (LETTERS[letter], tuple(re.findall(r"`(\w+)`", labels)))
        for name, letter, labels in ROW.findall(PAGE.read_text(encoding="utf-8"))
    }
    assert rows == exported()


def test_names_follow_the_conventions_of_prometheus() -> None:
    units = re.compile(r"_(ms|milliseconds|minutes|kb|percent)(_|$)")
    wrong = [
        name
        for name, (kind, _) in exported().items()
        if units.search(name) or (kind != "counter" and name.endswith("_total"))
    ]
    assert wrong == []
