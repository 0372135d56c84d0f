"""How the pods were sized: the values of the chart that the load test wrote."""

from importlib import import_module
from pathlib import Path
from typing import Any

from boxoffice.doctor.facts import Fleet
from boxoffice.errors import SettingsInvalid


def fleet_of(values: Path, pods: int | None, workers: int | None) -> Fleet:
    """Read a file of values, or replace its `pods` and `workers`; raise `SettingsInvalid`."""
    try:
        yaml = import_module("yaml")
    except ImportError as error:
        raise SettingsInvalid("--values needs PyYAML (pip install PyYAML)") from error
    try:
        serve = _mapping(_mapping(yaml.safe_load(values.read_text(encoding="utf-8")))["serve"])
        scaling = _mapping(serve.get("autoscaling") or {})
        most = scaling.get("maxReplicas") if scaling.get("enabled") else None
        own = int(most or serve.get("replicas") or 1), int(serve.get("workers") or 1)
        sized = {str(name): str(value) for name, value in _mapping(serve.get("env") or {}).items()}
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        raise SettingsInvalid(f"{values} has no values of the chart: {error}") from error
    return Fleet(pods or own[0], workers or own[1], sized)


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("a mapping is expected")
    return value
