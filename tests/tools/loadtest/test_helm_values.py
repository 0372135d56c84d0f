"""The values for the chart have the figures of the report, and the chart renders them."""

import json
from pathlib import Path

import pytest

from boxoffice.settings import load
from boxoffice_loadtest import output
from boxoffice_loadtest.analysis import sizing
from boxoffice_loadtest.model import DeploymentSpec
from boxoffice_loadtest.report import helm_values
from tests.tools.chart.helm import Helm, Rendered, container_of, variables_of
from tests.tools.loadtest import samples


@pytest.fixture
def spec() -> DeploymentSpec:
    """The deployment of the made-up run."""
    found = sizing.sized(samples.run(), 5_000.0, None, 2).deployment
    assert found is not None
    return found


@pytest.fixture
def file(spec: DeploymentSpec, tmp_path: Path) -> Path:
    """The file that a run writes."""
    output.write(sizing.sized(samples.run(), 5_000.0, None, 2), tmp_path, "en")
    written = tmp_path / "values.json"
    assert json.loads(written.read_bytes()) == helm_values.values(spec)
    return written


@pytest.fixture
def rendered(helm: Helm, file: Path) -> Rendered:
    """What the chart makes of the file, as it is."""
    return Rendered.of(helm.rendered("--values", file))


def test_the_chart_has_the_figures_of_the_report(spec: DeploymentSpec, rendered: Rendered) -> None:
    resources = container_of(rendered.pod("serve"))["resources"]
    for bound, cpu_m, memory_mib in (
        ("requests", spec.cpu_request_m, spec.memory_request_mib),
        ("limits", spec.cpu_limit_m, spec.memory_limit_mib),
    ):
        assert resources[bound]["cpu"] == f"{cpu_m}m"
        assert resources[bound]["memory"] == f"{memory_mib}Mi"
    scaler = rendered.one("HorizontalPodAutoscaler", "serve")["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (spec.replicas_min, spec.replicas_max)
    target = scaler["metrics"][0]["resource"]["target"]["averageUtilization"]
    assert target == spec.hpa_target_percent
    assert "replicas" not in rendered.one("Deployment", "serve")["spec"]


def test_the_pods_understand_their_pools(spec: DeploymentSpec, rendered: Rendered) -> None:
    settings = load(variables_of(rendered.pod("serve")))
    assert settings.database.db_pool_max == spec.pool_per_pod
    assert settings.server.connections_max == 2 * spec.connections_per_pod
    assert settings.server.workers == 1
