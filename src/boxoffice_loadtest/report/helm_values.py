"""The deployment as values of the Helm chart in deploy/chart/boxoffice. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from boxoffice_loadtest.model import DeploymentSpec

_WORD = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_PLAIN = frozenset(_WORD + "0123456789-_./")
_AMBIGUOUS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "~"})
_VALKEY_POOL_MIN = 4


def values(spec: DeploymentSpec) -> dict[str, Any]:
    """Return what the run measured; image, Secret and edge are the operator's."""
    return {
        "serve": {
            "replicas": spec.replicas_min,
            "workers": 1,
            "resources": {
                "requests": _quantities(spec.cpu_request_m, spec.memory_request_mib),
                "limits": _quantities(spec.cpu_limit_m, spec.memory_limit_mib),
            },
            "autoscaling": {
                "enabled": True,
                "minReplicas": spec.replicas_min,
                "maxReplicas": spec.replicas_max,
                "targetCPUUtilizationPercentage": spec.hpa_target_percent,
            },
            "env": {
                "BOXOFFICE_DB_POOL_MAX": str(spec.pool_per_pod),
                "BOXOFFICE_VALKEY_POOL_MAX": str(max(_VALKEY_POOL_MIN, spec.valkey_per_pod)),
                "BOXOFFICE_CONNECTIONS_MAX": str(2 * spec.connections_per_pod),
            },
        },
    }


def _quantities(cpu_m: int, memory_mib: int) -> dict[str, str]:
    return {"cpu": f"{cpu_m}m", "memory": f"{memory_mib}Mi"}


def as_yaml(mapping: Mapping[str, Any], comment: str) -> str:
    """Write mappings of texts, numbers and truth values as YAML, below a comment."""
    head = "".join(f"# {line}\n" for line in comment.splitlines())
    return head + "".join(f"{line}\n" for line in _lines(mapping))


def _lines(mapping: Mapping[str, Any], depth: int = 0) -> Iterator[str]:
    pad = "  " * depth
    for key, one in mapping.items():
        if isinstance(one, Mapping):
            yield f"{pad}{_scalar(key)}:"
            yield from _lines(one, depth + 1)
        else:
            yield f"{pad}{_scalar(key)}: {_scalar(one)}"


def _scalar(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    text = str(value)
    is_plain = bool(text) and set(text) <= _PLAIN and text[0] in _WORD
    if is_plain and text.lower() not in _AMBIGUOUS:
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
