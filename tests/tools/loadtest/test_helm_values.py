"""The manifests are valid for Kubernetes and have the figures of the report."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from boxoffice.settings import load
from boxoffice_loadtest import output
from boxoffice_loadtest.analysis import sizing
from boxoffice_loadtest.model import DeploymentSpec
from boxoffice_loadtest.report import helm_values
from tests.tools.loadtest import samples


@pytest.fixture
def spec() -> DeploymentSpec:
    """The deployment of the made-up run."""
    found = sizing.sized(samples.run(), 5_000.0, None, 2).deployment
    assert found is not None
    return found


@pytest.fixture
def documents(spec: DeploymentSpec, tmp_path: Path) -> dict[str, dict[str, Any]]:
    """The manifests as PyYAML reads them, by kind and name."""
    output.write(sizing.sized(samples.run(), 5_000.0, None, 2), tmp_path, "en")
    read = list(yaml.safe_load_all((tmp_path / "kubernetes.yaml").read_text()))
    assert read == helm_values.documents(spec)
    return {f"{one['kind']} {one['metadata']['name']}": one for one in read}


def test_they_are_valid(spec: DeploymentSpec) -> None:
    assert output.validate(helm_values.documents(spec)).startswith("valid 1.")


@pytest.mark.parametrize(
    ("kind", "change"),
    [("Deployment", {"replicas": "many"}), ("HorizontalPodAutoscaler", {"maxReplica": 3})],
)
def test_the_check_can_fail(spec: DeploymentSpec, kind: str, change: dict[str, object]) -> None:
    made = helm_values.documents(spec)
    next(one for one in made if one["kind"] == kind)["spec"].update(change)
    assert output.validate(made).startswith(f"invalid {kind}")


def test_everything_that_a_sale_needs_is_there(documents: dict[str, dict[str, Any]]) -> None:
    assert set(documents) == {
        "Service boxoffice",
        "Deployment boxoffice",
        "HorizontalPodAutoscaler boxoffice",
        "PodDisruptionBudget boxoffice",
        "Deployment boxoffice-sweep",
        "Deployment boxoffice-relay",
        "Deployment boxoffice-cashier",
        "Deployment boxoffice-messenger",
    }


def test_no_pod_gets_the_links_of_services(documents: dict[str, dict[str, Any]]) -> None:
    pods = [
        one["spec"]["template"]["spec"] for one in documents.values() if "template" in one["spec"]
    ]
    assert len(pods) == 5
    assert [pod["enableServiceLinks"] for pod in pods] == [False] * 5


def test_the_figures_are_those_of_the_report(
    spec: DeploymentSpec, documents: dict[str, dict[str, Any]]
) -> None:
    deployment = documents["Deployment boxoffice"]["spec"]
    assert deployment["replicas"] == spec.replicas_min >= 2
    [container] = deployment["template"]["spec"]["containers"]
    assert container["resources"] == {
        "requests": {"cpu": f"{spec.cpu_request_m}m", "memory": f"{spec.memory_request_mib}Mi"},
        "limits": {"cpu": f"{spec.cpu_limit_m}m", "memory": f"{spec.memory_limit_mib}Mi"},
    }
    scaler = documents["HorizontalPodAutoscaler boxoffice"]["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (spec.replicas_min, spec.replicas_max)
    target = scaler["metrics"][0]["resource"]["target"]["averageUtilization"]
    assert target == spec.hpa_target_percent
    paths = {
        container[f"{one}Probe"]["httpGet"]["path"] for one in ("startup", "readiness", "liveness")
    }
    assert paths == {"/readyz", "/healthz"}


def test_the_pods_understand_their_settings(documents: dict[str, dict[str, Any]]) -> None:
    [container] = documents["Deployment boxoffice"]["spec"]["template"]["spec"]["containers"]
    env = {one["name"]: one["value"] for one in container["env"] if "value" in one}
    settings = load(env)
    assert settings.database.db_pool_max == int(env["BOXOFFICE_DB_POOL_MAX"])
    # A pod must have time to drain before it is killed.
    grace_s = documents["Deployment boxoffice"]["spec"]["template"]["spec"][
        "terminationGracePeriodSeconds"
    ]
    assert (
        grace_s * 1000
        >= settings.server.drain_delay_ms + 2 * settings.server.drain_timeout_ms + 5_000
    )


def test_every_pod_is_scraped_on_a_port_that_answers_other_machines(
    documents: dict[str, dict[str, Any]],
) -> None:
    names = {"": "metrics_port", "-sweep": "role_metrics_port", "-relay": "role_metrics_port"}
    for suffix, name in names.items():
        template = documents[f"Deployment boxoffice{suffix}"]["spec"]["template"]
        [container] = template["spec"]["containers"]
        env = {one["name"]: one["value"] for one in container["env"] if "value" in one}
        port = load(env).get(name)
        assert port
        notes = template["metadata"]["annotations"]
        assert (notes["prometheus.io/scrape"], notes["prometheus.io/port"]) == ("true", str(port))
        assert {"name": "metrics", "containerPort": port} in container["ports"]


def test_selectors_choose_the_pods_of_the_api_alone(documents: dict[str, dict[str, Any]]) -> None:
    labels = documents["Deployment boxoffice"]["spec"]["template"]["metadata"]["labels"]
    assert documents["Service boxoffice"]["spec"]["selector"] == labels
    assert documents["PodDisruptionBudget boxoffice"]["spec"]["selector"]["matchLabels"] == labels
    for role in ("sweep", "relay"):
        other = documents[f"Deployment boxoffice-{role}"]["spec"]["template"]["metadata"]["labels"]
        assert other != labels


def test_values_have_the_same_figures(spec: DeploymentSpec) -> None:
    values = yaml.safe_load(helm_values.as_yaml([helm_values.values(spec)], "a comment"))
    assert values["replicaCount"] == values["autoscaling"]["minReplicas"] == spec.replicas_min
    assert values["autoscaling"]["maxReplicas"] == spec.replicas_max
    assert values["resources"]["requests"]["memory"] == f"{spec.memory_request_mib}Mi"
    assert values["env"]["BOXOFFICE_DB_POOL_MAX"] == str(spec.pool_per_pod)


@pytest.mark.parametrize(
    "value",
    [
        "1",
        "10.0.0.1",
        "true",
        "no",
        "",
        "a: b",
        "- a",
        'say "hi"',
        "back\\slash",
        "a#b",
        None,
        3,
        0.5,
    ],
)
def test_yaml_is_read_back_as_it_was_meant(value: object) -> None:
    nested: dict[str, Any] = {"key": value, "list": [value, {"a": value, "b": [value]}], "no": {}}
    assert yaml.safe_load(helm_values.as_yaml([nested], "")) == nested
