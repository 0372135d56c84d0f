"""What the chart renders: all roles, hardened, found by their selectors, with names of their own."""

import shutil
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from boxoffice.cli import main, roles
from boxoffice.settings import Settings, load
from tests.tools.chart.helm import (
    CHART,
    VALUES,
    Document,
    Helm,
    Rendered,
    component_of,
    container_of,
    hooks_of,
    secrets_of,
    selects,
    variables_of,
)

ROLES = {one.__name__ for one in main.COMMANDS if one.__module__ == roles.__name__}
_SECRETS = {
    "DATABASE_URL": "postgresql://shop:secret@db/shop",
    "VALKEY_URL": "rediss://valkey",
    "METRICS_TOKEN": "a-token-of-32-characters-or-more",
    "SMTP_URL": "smtp://mail",
    "S3_ACCESS_KEY": "access",
    "S3_SECRET_KEY": "secret",
    "TOSS_SECRET_KEY": "test_sk_" + "a" * 24,
    "TOSS_CLIENT_KEY": "test_ck_" + "a" * 24,
    "STRIPE_SECRET_KEY": "sk_test_" + "a" * 24,
    "STRIPE_PUBLISHABLE_KEY": "pk_test_" + "a" * 24,
    "STRIPE_WEBHOOK_SECRETS": "whsec_" + "a" * 24,
}


@pytest.fixture(params=sorted(VALUES))
def rendered(request: pytest.FixtureRequest, renderings: dict[str, Rendered]) -> Rendered:
    """Each rendering in turn."""
    return renderings[request.param]


@pytest.fixture
def production(renderings: dict[str, Rendered]) -> Rendered:
    """Every option that has another default."""
    return renderings["production"]


def test_helm_finds_nothing_to_say(helm: Helm) -> None:
    for path in VALUES.values():
        ended = helm.run("lint", "--strict", CHART, "--values", path)
        assert ended.returncode == 0, ended.stdout


def test_the_chart_has_the_version_of_the_release() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == version("boxoffice")


def test_every_role_runs(renderings: dict[str, Rendered]) -> None:
    for name in ("default", "production", "ipv6"):
        running = {component_of(one["metadata"]) for one in renderings[name].kind("Deployment")}
        assert running == ROLES
    for role in ROLES:
        container = container_of(renderings["default"].pod(role))
        assert [*container["command"], *container["args"]] == ["boxoffice", role]


def test_no_name_stands_twice(rendered: Rendered) -> None:
    names = Counter((one["kind"], one["metadata"]["name"]) for one in rendered.documents)
    assert names.most_common(1)[0][1] == 1
    assert {one["metadata"]["namespace"] for one in rendered.documents} == {"tickets"}


def test_every_container_may_do_nothing_but_its_work(rendered: Rendered) -> None:
    for role, pod in rendered.pods():
        spec, container = pod["spec"], container_of(pod)
        assert spec["automountServiceAccountToken"] is False, role
        assert spec["enableServiceLinks"] is False, role
        assert spec["securityContext"]["runAsNonRoot"] is True, role
        assert spec["securityContext"]["runAsUser"] >= 10_000, role
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, role
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
        }, role
        for bound in ("requests", "limits"):
            assert set(container["resources"][bound]) == {"cpu", "memory", "ephemeral-storage"}
        assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"], role  # noqa: S108 - of the pod
        assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & set(spec), role


def test_no_account_has_a_token(rendered: Rendered) -> None:
    accounts = {one["metadata"]["name"]: one for one in rendered.kind("ServiceAccount")}
    assert all(one["automountServiceAccountToken"] is False for one in accounts.values())
    assert {pod["spec"]["serviceAccountName"] for _, pod in rendered.pods()} <= set(accounts)


def test_every_role_has_probes_on_ports_that_it_declares(rendered: Rendered) -> None:
    for one in rendered.kind("Deployment"):
        container = container_of(one["spec"]["template"])
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        env = variables_of(one["spec"]["template"])
        is_serve = component_of(one["metadata"]) == "serve"
        metrics = "BOXOFFICE_METRICS_PORT" if is_serve else "BOXOFFICE_ROLE_METRICS_PORT"
        assert ports["metrics"] == int(env[metrics])
        assert ("http" in ports) is is_serve
        probes = {
            name: (found["httpGet"]["path"], found["httpGet"]["port"])
            for name in ("startup", "readiness", "liveness")
            for found in (container[f"{name}Probe"],)
        }
        assert probes == {
            "startup": ("/readyz", "http" if is_serve else "metrics"),
            "readiness": ("/readyz", "metrics"),
            "liveness": ("/healthz", "metrics"),
        }


def _settings(pod: Document) -> Settings:
    """Read a pod's variables as its process does."""
    secrets = {name: _SECRETS[key] for name, (_, key) in secrets_of(pod).items()}
    return load({**secrets, **variables_of(pod)})


def test_pods_understand_their_settings(rendered: Rendered) -> None:
    for role, pod in _own(rendered):
        settings = _settings(pod)
        assert settings.database.database_url == _SECRETS["DATABASE_URL"], role


def test_a_pod_has_time_to_drain(rendered: Rendered) -> None:
    pod = rendered.pod("serve")
    server = _settings(pod).server
    # docs/operations.md, Signals and drain.
    needs_s = (server.drain_delay_ms + 2 * server.drain_timeout_ms) / 1000 + 10
    assert needs_s < pod["spec"]["terminationGracePeriodSeconds"] <= needs_s + 6


def test_selectors_find_their_pods_and_no_others(rendered: Rendered) -> None:
    labels = {role: pod["metadata"]["labels"] for role, pod in rendered.pods()}

    def found(selector: dict[str, str]) -> set[str]:
        return {role for role, own in labels.items() if selects(selector, own)}

    for one in rendered.kind("Deployment", "PodDisruptionBudget"):
        role = component_of(one["metadata"])
        assert found(one["spec"]["selector"]["matchLabels"]) == {role}
    for one in rendered.kind("Deployment"):
        for spread in one["spec"]["template"]["spec"]["topologySpreadConstraints"]:
            assert found(spread["labelSelector"]["matchLabels"]) == {component_of(one["metadata"])}
    for one in rendered.kind("Service"):
        is_metrics = one["spec"].get("clusterIP") == "None"
        running = set(labels) - {"migrate", "test"}
        assert found(one["spec"]["selector"]) == (running if is_metrics else {"serve"})


def test_every_running_role_has_a_budget_that_lets_a_node_be_drained(
    renderings: dict[str, Rendered],
) -> None:
    default = renderings["default"].kind("PodDisruptionBudget")
    assert {component_of(one["metadata"]) for one in default} == ROLES
    assert {one["spec"]["maxUnavailable"] for one in default} == {1}
    share = renderings["production"].one("PodDisruptionBudget", "serve")
    assert share["spec"]["maxUnavailable"] == "25%"


def test_a_digest_wins_over_a_tag(production: Rendered, renderings: dict[str, Rendered]) -> None:
    images = {container_of(pod)["image"] for _, pod in production.pods()}
    digest = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    assert images == {f"registry.example.com/tickets/boxoffice@{digest}"}
    images = {container_of(pod)["image"] for _, pod in renderings["default"].pods()}
    assert images == {f"localhost/boxoffice:{version('boxoffice')}"}


def test_each_role_gets_the_secrets_that_it_needs(production: Rendered) -> None:
    keys = {role: {key for _, key in secrets_of(pod).values()} for role, pod in _own(production)}
    both, token = {"DATABASE_URL", "VALKEY_URL"}, {"METRICS_TOKEN"}
    provider = {"TOSS_SECRET_KEY", "TOSS_CLIENT_KEY", "STRIPE_SECRET_KEY"}
    provider |= {"STRIPE_PUBLISHABLE_KEY", "STRIPE_WEBHOOK_SECRETS"}
    assert keys == {
        "serve": both | token | provider | {"S3_ACCESS_KEY", "S3_SECRET_KEY"},
        "cashier": both | token | provider,
        "messenger": both | token | {"SMTP_URL"},
        "migrate": both,
        **dict.fromkeys(("sweep", "relay", "archive", "auditor"), both | token),
    }


def test_the_owner_of_the_tables_migrates_and_serves_nothing(production: Rendered) -> None:
    secrets = {role: secrets_of(pod)["BOXOFFICE_DATABASE_URL"][0] for role, pod in _own(production)}
    assert secrets.pop("migrate") == "shop-owner"
    assert set(secrets.values()) == {"shop"}
    variables = {role: variables_of(pod) for role, pod in _own(production)}
    named = {role for role, own in variables.items() if "BOXOFFICE_RUNTIME_ROLE" in own}
    assert named == {"migrate"}


def test_settings_of_a_role_win_over_those_of_all(production: Rendered) -> None:
    cashier, sweep = variables_of(production.pod("cashier")), variables_of(production.pod("sweep"))
    assert cashier["BOXOFFICE_CASHIER_CONCURRENT_MAX"] == "32"
    assert "BOXOFFICE_CASHIER_CONCURRENT_MAX" not in sweep
    assert sweep["BOXOFFICE_PUBLIC_URL"] == cashier["BOXOFFICE_PUBLIC_URL"]


def test_what_runs_before_the_release_needs_nothing_of_it(rendered: Rendered) -> None:
    """At the first install the account, policies and Secrets of the release do not exist yet."""
    before = [one for one in rendered.documents if "pre-install" in hooks_of(one)]
    assert all(hooks_of(one) == {"pre-install", "pre-upgrade"} for one in before)
    jobs = [one for one in before if one["kind"] == "Job"]
    assert len(jobs) == len(rendered.kind("Job")) <= 1
    assert not rendered.kind("Secret", "ConfigMap")
    for job in jobs:
        account = job["spec"]["template"]["spec"]["serviceAccountName"]
        [made] = [one for one in before if one["kind"] == "ServiceAccount"]
        assert made["metadata"]["name"] == account
        assert _weight(made) < _weight(job)
        policies = [one for one in before if one["kind"] == "NetworkPolicy"]
        assert all(_weight(one) < _weight(job) for one in policies)
        assert len(policies) == (1 if rendered.kind("NetworkPolicy") else 0)


def _weight(document: Document) -> int:
    return int(document["metadata"]["annotations"]["helm.sh/hook-weight"])


def _own(rendered: Rendered) -> list[tuple[str, Document]]:
    return [(role, pod) for role, pod in rendered.pods() if role != "test"]


def test_two_releases_in_a_namespace_share_nothing(helm: Helm) -> None:
    values = ("--values", VALUES["default"])
    blue, green = (Rendered.of(helm.rendered(*values, release=f"boxoffice-{colour}"))
                   for colour in ("blue", "green"))  # fmt: skip
    names = [
        {(one["kind"], one["metadata"]["name"]) for one in each.documents} for each in (blue, green)
    ]
    assert len(names[0]) == len(blue.documents)
    assert not names[0] & names[1]
    for one in blue.kind("Deployment", "PodDisruptionBudget"):
        chosen = one["spec"]["selector"]["matchLabels"]
        assert not any(selects(chosen, pod["metadata"]["labels"]) for _, pod in green.pods())
    secrets = [secrets_of(each.pod("serve"))["BOXOFFICE_DATABASE_URL"][0] for each in (blue, green)]
    assert secrets == ["boxoffice-blue", "boxoffice-green"]


def test_long_names_stay_names(helm: Helm) -> None:
    long = Rendered.of(
        helm.rendered(release="a-release-with-a-name-of-fifty-three-characters-long-"[:52])
    )
    assert max(len(one["metadata"]["name"]) for one in long.documents) <= 63
    assert all(
        len(value) <= 63 for _, pod in long.pods() for value in pod["metadata"]["labels"].values()
    )


def test_pods_are_scraped_in_one_way(renderings: dict[str, Rendered], production: Rendered) -> None:
    def annotated(rendered: Rendered) -> set[str]:
        return {
            role
            for role, pod in rendered.pods()
            if "prometheus.io/scrape" in pod["metadata"].get("annotations", {})
        }

    assert annotated(renderings["default"]) == ROLES
    assert annotated(renderings["bare"]) == annotated(production) == set()


def test_a_chart_can_contain_this_one_twice(helm: Helm, tmp_path: Path) -> None:
    parent = tmp_path / "shops"
    for name in ("seoul", "busan"):
        shutil.copytree(CHART, parent / "charts" / name)
        file = parent / "charts" / name / "Chart.yaml"
        file.write_text(file.read_text().replace("name: boxoffice", f"name: {name}"))
    (parent / "Chart.yaml").write_text("{apiVersion: v2, name: shops, version: 0.1.0}")
    (parent / "values.yaml").write_text("global: {colour: red}\nseoul: {serve: {replicas: 3}}")
    both = Rendered.of(helm.rendered(chart=parent))
    names = Counter((one["kind"], one["metadata"]["name"]) for one in both.documents)
    assert set(names.values()) == {1}
    for one in both.kind("Deployment"):
        chosen = one["spec"]["selector"]["matchLabels"]
        assert sum(selects(chosen, pod["metadata"]["labels"]) for _, pod in both.pods()) == 1
