"""The deployment as Kubernetes manifests and Helm values. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from boxoffice_loadtest.model import DeploymentSpec

_NAME = "boxoffice"
_PORT = 8000
_METRICS_PORT = 9_100
_WORD = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_PLAIN = frozenset(_WORD + "0123456789-_./")
_AMBIGUOUS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "~"})
# The time to stop a pod: see docs/operations.md, Signals and drain.
_GRACE_S, _DRAIN_DELAY_MS = 45, 5_000
# The roles that a shop with payment providers, mail and webhooks needs beside `serve`.
_ROLES = ("sweep", "relay", "cashier", "messenger")


def documents(spec: DeploymentSpec) -> list[dict[str, Any]]:
    """Return the manifests; addresses come from a Secret named boxoffice."""
    return [
        _service(), _deployment(spec), _autoscaler(spec), _disruption_budget(),
        *map(_role, _ROLES),
    ]  # fmt: skip


def as_yaml(documents_: Sequence[Mapping[str, Any]], comment: str) -> str:
    """Write documents as YAML."""
    head = "".join(f"# {line}\n" for line in comment.splitlines())
    return head + "---\n".join("".join(f"{line}\n" for line in _lines(one)) for one in documents_)


def values(spec: DeploymentSpec) -> dict[str, Any]:
    """Return the deployment as values of a Helm chart."""
    return {
        "image": {"repository": _NAME, "tag": version(_NAME)},
        "replicaCount": spec.replicas_min,
        "resources": _resources(spec),
        "podAnnotations": _scraped(),
        "autoscaling": {
            "enabled": True,
            "minReplicas": spec.replicas_min,
            "maxReplicas": spec.replicas_max,
            "targetCPUUtilizationPercentage": spec.hpa_target_percent,
        },
        "podDisruptionBudget": {"maxUnavailable": 1},
        "terminationGracePeriodSeconds": _GRACE_S,
        "existingSecret": _NAME,
        "env": {one["name"]: one["value"] for one in _pools(spec)},
    }


def _labels(role: str) -> dict[str, str]:
    return {"app.kubernetes.io/name": _NAME, "app.kubernetes.io/component": role}


def _scraped() -> dict[str, str]:
    """Annotations for the common Prometheus configuration of pods."""
    return {"prometheus.io/scrape": "true", "prometheus.io/port": str(_METRICS_PORT)}


def _meta(name: str, role: str) -> dict[str, Any]:
    return {"name": name, "labels": _labels(role)}


def _service() -> dict[str, Any]:
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _meta(_NAME, "api"),
        "spec": {"selector": _labels("api"), "ports": ports},
    }


def _resources(spec: DeploymentSpec) -> dict[str, Any]:
    return {
        "requests": {"cpu": f"{spec.cpu_request_m}m", "memory": f"{spec.memory_request_mib}Mi"},
        "limits": {"cpu": f"{spec.cpu_limit_m}m", "memory": f"{spec.memory_limit_mib}Mi"},
    }


def _pools(spec: DeploymentSpec) -> list[dict[str, Any]]:
    return [
        {"name": "BOXOFFICE_WORKERS", "value": "1"},
        {"name": "BOXOFFICE_DB_POOL_MAX", "value": str(spec.pool_per_pod)},
        {"name": "BOXOFFICE_VALKEY_POOL_MAX", "value": str(max(4, spec.valkey_per_pod))},
        {"name": "BOXOFFICE_CONNECTIONS_MAX", "value": str(2 * spec.connections_per_pod)},
        {"name": "BOXOFFICE_DRAIN_DELAY_MS", "value": str(_DRAIN_DELAY_MS)},
        {"name": "BOXOFFICE_METRICS_PORT", "value": str(_METRICS_PORT)},
    ]


def _env(more: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    secret = [
        {"name": f"BOXOFFICE_{key}", "valueFrom": {"secretKeyRef": {"name": _NAME, "key": key}}}
        for key in ("DATABASE_URL", "VALKEY_URL")
    ]
    return [*secret, {"name": "BOXOFFICE_HOST", "value": "0.0.0.0"}, *map(dict, more)]  # noqa: S104 — a pod's own


def _container(role: str, args: Sequence[str], env: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "name": role,
        "image": f"{_NAME}:{version(_NAME)}",
        "args": list(args),
        "env": _env(env),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }


def _metrics_port() -> dict[str, Any]:
    """The port for metrics that other machines can reach."""
    return {"name": "metrics", "containerPort": _METRICS_PORT}


def _probe(path: str, period_s: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": "http"},
        "periodSeconds": period_s,
        "timeoutSeconds": 2,
        "failureThreshold": failures,
    }


def _workload(role: str, pod: dict[str, Any], replicas: int | None) -> dict[str, Any]:
    name = _NAME if role == "api" else f"{_NAME}-{role}"
    metadata = {"labels": _labels(role), "annotations": _scraped()}
    # The variables of a service named boxoffice would collide with the settings.
    template = {"metadata": metadata, "spec": {"enableServiceLinks": False, **pod}}
    spec: dict[str, Any] = {"selector": {"matchLabels": _labels(role)}, "template": template}
    if replicas is not None:
        spec["replicas"] = replicas
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _meta(name, role),
        "spec": spec,
    }


def _deployment(spec: DeploymentSpec) -> dict[str, Any]:
    container = {
        **_container("api", ["serve", "--port", str(_PORT)], _pools(spec)),
        "ports": [{"name": "http", "containerPort": _PORT}, _metrics_port()],
        "resources": _resources(spec),
        "startupProbe": _probe("/readyz", 1, 60),
        "readinessProbe": _probe("/readyz", 2, 2),
        "livenessProbe": _probe("/healthz", 10, 6),
    }
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": _labels("api")},
    }
    pod = {
        "terminationGracePeriodSeconds": _GRACE_S,
        "topologySpreadConstraints": [spread],
        "containers": [container],
    }
    made = _workload("api", pod, spec.replicas_min)
    made["spec"]["strategy"] = {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
    }
    return made


def _autoscaler(spec: DeploymentSpec) -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": spec.hpa_target_percent}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": _meta(_NAME, "api"),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": _NAME},
            "minReplicas": spec.replicas_min,
            "maxReplicas": spec.replicas_max,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
            # Load comes in waves: scale down slowly.
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 300}},
        },
    }


def _disruption_budget() -> dict[str, Any]:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": _meta(_NAME, "api"),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": _labels("api")}},
    }


def _role(role: str) -> dict[str, Any]:
    env = [{"name": "BOXOFFICE_ROLE_METRICS_PORT", "value": str(_METRICS_PORT)}]
    container = {
        **_container(role, [role], env),
        "ports": [_metrics_port()],
        "resources": {
            "requests": {"cpu": "50m", "memory": "96Mi"},
            "limits": {"cpu": "500m", "memory": "192Mi"},
        },
    }
    # Two of each, so that one works when a node is lost.
    return _workload(role, {"containers": [container]}, 2)


def _lines(value: Any, depth: int = 0) -> Iterator[str]:
    """Yield a mapping or a list as lines of YAML."""
    pad = "  " * depth
    if isinstance(value, Mapping):
        for key, one in value.items():
            if isinstance(one, (Mapping, list)) and one:
                yield f"{pad}{_scalar(key)}:"
                yield from _lines(one, depth + 1)
            else:
                yield f"{pad}{_scalar(key)}: {_scalar(one)}"
        return
    for one in value:
        if isinstance(one, Mapping) and one:
            first, *rest = _lines(one, depth + 1)
            yield f"{pad}- {first.lstrip()}"
            yield from rest
        else:
            yield f"{pad}- {_scalar(one)}"


def _scalar(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, (Mapping, list)):
        return "{}" if isinstance(value, Mapping) else "[]"
    text = str(value)
    is_plain = bool(text) and set(text) <= _PLAIN and text[0] in _WORD
    if is_plain and text.lower() not in _AMBIGUOUS:
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
