"""The deployment as values of the Helm chart in deploy/chart/boxoffice. Pure."""

from typing import Any

from boxoffice_loadtest.model import DeploymentSpec

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
