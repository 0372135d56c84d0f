"""Resources name each other by names and ports that exist, and values are what the documents say."""

import json
import re
import tarfile
from pathlib import Path
from typing import Any

import yaml

from boxoffice.http.server.proxies import TrustedProxies
from boxoffice.settings.settings import SECTION_OF
from tests.support.exported import declared_metrics
from tests.tools.chart.helm import (
    ALERTS,
    CHART,
    VALUES,
    Document,
    Helm,
    Rendered,
    container_of,
    selects,
    variables_of,
)

# The command `backup` has them, which no pod of the chart runs.
_NOT_OF_PODS = "backup_"


def _services(rendered: Rendered) -> dict[str, Document]:
    return {one["metadata"]["name"]: one for one in rendered.kind("Service")}


def test_services_have_ports_that_their_pods_declare(renderings: dict[str, Rendered]) -> None:
    for rendered in renderings.values():
        for service in rendered.kind("Service"):
            for _, pod in rendered.pods():
                if selects(service["spec"]["selector"], pod["metadata"]["labels"]):
                    declared = {port["name"] for port in container_of(pod)["ports"]}
                    assert {port["targetPort"] for port in service["spec"]["ports"]} <= declared


def test_routes_lead_to_the_service(renderings: dict[str, Rendered]) -> None:
    production = renderings["production"]
    services = _services(production)
    [ingress], [route] = production.kind("Ingress"), production.kind("HTTPRoute")
    hosts = [rule["host"] for rule in ingress["spec"]["rules"]]
    assert hosts == ["shop.example.com", "tickets.example.com"]
    for rule in ingress["spec"]["rules"]:
        [path] = rule["http"]["paths"]
        backend = path["backend"]["service"]
        named = {port["name"] for port in services[backend["name"]]["spec"]["ports"]}
        assert backend["port"]["name"] in named
    [reference] = route["spec"]["rules"][0]["backendRefs"]
    numbers = {port["port"] for port in services[reference["name"]]["spec"]["ports"]}
    assert reference["port"] in numbers == {8080}


def test_the_autoscaler_owns_the_number_of_pods(renderings: dict[str, Rendered]) -> None:
    production = renderings["production"]
    deployment = production.one("Deployment", "serve")
    scaler = production.one("HorizontalPodAutoscaler", "serve")["spec"]
    assert scaler["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert "replicas" not in deployment["spec"]
    assert renderings["default"].one("Deployment", "serve")["spec"]["replicas"] == 2
    assert not renderings["default"].kind("HorizontalPodAutoscaler")


def test_a_rollout_takes_no_pod_away_before_another_serves(renderings: dict[str, Rendered]) -> None:
    strategy = renderings["default"].one("Deployment", "serve")["spec"]["strategy"]
    assert strategy["rollingUpdate"]["maxUnavailable"] == 0
    for budget in renderings["default"].kind("PodDisruptionBudget"):
        assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_the_monitor_finds_its_service_and_has_the_token(renderings: dict[str, Rendered]) -> None:
    production = renderings["production"]
    [monitor] = production.kind("ServiceMonitor")
    found = [
        one
        for one in production.kind("Service")
        if selects(monitor["spec"]["selector"]["matchLabels"], one["metadata"]["labels"])
    ]
    [service] = found
    [endpoint] = monitor["spec"]["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    token = {"name": "shop", "key": "METRICS_TOKEN"}
    assert endpoint["authorization"] == {"credentials": token}
    assert monitor["metadata"]["labels"]["release"] == "prometheus"


def test_the_alerts_come_out_as_they_went_in(helm: Helm) -> None:
    files = sorted(ALERTS.glob("*.rules.yaml"))
    assert len(files) == 2
    given = [f"metrics.prometheusRule.rules.n{n}={file}" for n, file in enumerate(files)]
    text = helm.rendered(
        *("--set", "metrics.prometheusRule.enabled=true"),
        *(word for one in given for word in ("--set-file", one)),
    )
    [rule] = Rendered.of(text).kind("PrometheusRule")
    groups = [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]
    assert rule["spec"]["groups"] == groups


def test_no_label_of_a_target_hides_one_of_a_metric(renderings: dict[str, Rendered]) -> None:
    """Prometheus keeps the target's, and the alerts would not find the metric's."""
    [monitor] = renderings["production"].kind("ServiceMonitor")
    [endpoint] = monitor["spec"]["endpoints"]
    targets = {one["targetLabel"] for one in endpoint["relabelings"]}
    labels = {label for _, own in declared_metrics().values() for label in own}
    assert "role" in labels
    assert targets == {"component"}
    assert not targets & labels


def test_every_secret_of_a_pod_can_come_from_the_secret() -> None:
    """A new setting that is one needs a row in the chart, and its readers."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    offered = set(schema["properties"]["secretSettings"]["items"]["enum"])
    # By their names, as the settings' own messages hide them; an address may have a password.
    secrets = {one for one in SECTION_OF if re.search(r"_(secrets?|password|token|key)$", one)}
    secrets = {one.upper() for one in secrets if not one.startswith(_NOT_OF_PODS)}
    assert offered == secrets | {"SMTP_URL"}


def test_the_pods_run_as_the_image_expects(renderings: dict[str, Rendered]) -> None:
    lines = (CHART.parents[1] / "Dockerfile").read_text().splitlines()
    [user] = [line.split()[1] for line in lines if line.startswith("USER ")]
    [entry] = [line.split(maxsplit=1)[1] for line in lines if line.startswith("ENTRYPOINT ")]
    for role, pod in renderings["default"].pods():
        security = pod["spec"]["securityContext"]
        assert user == f"{security['runAsUser']}:{security['runAsGroup']}"
        if role != "test":
            assert container_of(pod)["command"] == json.loads(entry)


def test_files_for_tls_are_where_the_documents_say(renderings: dict[str, Rendered]) -> None:
    for role, pod in renderings["production"].pods():
        [tls] = [one for one in pod["spec"]["volumes"] if one["name"] == "tls"]
        sources = [next(iter(one)) for one in tls["projected"]["sources"]]
        assert sources == ["secret", "configMap"]
        if role != "test":
            mounts = {one["name"]: one for one in container_of(pod)["volumeMounts"]}
            assert mounts["tls"]["mountPath"] == "/etc/boxoffice/tls"
            assert mounts["tls"]["readOnly"] is True


def test_trusted_proxies_are_understood(renderings: dict[str, Rendered]) -> None:
    variables = variables_of(renderings["production"].pod("serve"))
    proxies = TrustedProxies(variables["FORWARDED_ALLOW_IPS"])
    assert proxies.trusts("10.9.8.7")
    assert proxies.trusts("fd00::7")
    assert not proxies.trusts("192.0.2.1")


def test_a_setting_of_a_role_wins(helm: Helm) -> None:
    text = helm.rendered(
        *("--set-string", "env.BOXOFFICE_LOG_LEVEL=error"),
        *("--set-string", "roles.relay.env.BOXOFFICE_LOG_LEVEL=debug"),
    )
    levels = {
        role: variables_of(pod)["BOXOFFICE_LOG_LEVEL"]
        for role, pod in Rendered.of(text).pods()
        if role != "test"
    }
    assert levels.pop("relay") == "debug"
    assert set(levels.values()) == {"error"}


def _keys(tree: dict[str, Any], at: str = "") -> set[str]:
    return {
        path
        for key, value in tree.items()
        for path in (
            {f"{at}{key}"} | (_keys(value, f"{at}{key}.") if _is_section(value) else set())
        )
    }


def _is_section(value: object) -> bool:
    """Whether it is a part of the chart's own values rather than of what a user names."""
    return isinstance(value, dict) and bool(value) and not {"requests", "limits"} & set(value)


def _declared(schema: dict[str, Any], definitions: dict[str, Any], at: str = "") -> set[str]:
    found = set()
    for key, own in schema.get("properties", {}).items():
        target = definitions[own["$ref"].rpartition("/")[2]] if "$ref" in own else own
        found.add(f"{at}{key}")
        if not {"requests", "limits"} & set(target.get("properties", {})):
            found |= _declared(target, definitions, f"{at}{key}.")
    return found


def test_every_value_of_the_schema_has_a_default_and_no_other() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    declared = _declared(schema, schema["$defs"]) - {"global"}
    # The roles that a map may name have no default.
    declared = {one for one in declared if not one.startswith("networkPolicy.extraEgress.")}
    assert _keys(yaml.safe_load((CHART / "values.yaml").read_text())) == declared


def test_the_values_of_the_readme_are_accepted(helm: Helm, tmp_path: Path) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (CHART / "README.md").read_text(), flags=re.DOTALL)
    assert len(blocks) == 1
    lines = [line.removeprefix("   ") for line in blocks[0].splitlines()]
    file = tmp_path / "values.yaml"
    file.write_text("\n".join(lines).replace("sha256:…", "sha256:" + "0" * 64))
    rendered = Rendered.of(helm.rendered("--values", file))
    assert variables_of(rendered.pod("migrate"))["BOXOFFICE_RUNTIME_ROLE"] == "shop_runtime"


def test_the_notes_say_what_is_left_to_do(helm: Helm) -> None:
    def notes(*words: str | Path) -> str:
        ended = helm.run("install", "shop", CHART, "--dry-run=client", *words)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.partition("NOTES:")[2]

    first = notes("--set", "ingress.enabled=true,ingress.hosts={shop.example.com}")
    hints = (
        "serve as the owner of the tables",
        "No registry has this image",
        "trustedProxies is empty",
    )
    assert [hint for hint in hints if hint not in first] == []
    production = notes("--values", VALUES["production"])
    assert [hint for hint in hints if hint in production] == []
    assert "never applied to a cluster" in production


def test_the_packed_chart_renders_the_same(helm: Helm, tmp_path: Path) -> None:
    ended = helm.run("package", CHART, "--destination", tmp_path)
    assert ended.returncode == 0, ended.stderr
    [archive] = tmp_path.glob("*.tgz")
    with tarfile.open(archive) as packed:
        names = packed.getnames()
    assert not [name for name in names if "/ci/" in name]
    values = ("--values", VALUES["production"])
    assert helm.rendered(*values, chart=archive) == helm.rendered(*values)
