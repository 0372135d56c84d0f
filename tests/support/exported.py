"""The metrics that the code of the product declares."""

import importlib
import pkgutil

from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

import boxoffice


def declared_metrics() -> dict[str, tuple[str, tuple[str, ...]]]:
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
