"""Wrong values are refused before anything is applied, with a sentence that says what is wrong."""

import pytest

from tests.tools.chart.helm import Helm

_SET = "metrics.prometheusRule."


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("colour=red", "additional properties 'colour' not allowed"),
        ("serve.colour=red", "at '/serve': additional properties 'colour' not allowed"),
        ("serve.replicas=two", "at '/serve/replicas': got string, want integer"),
        ("roles.relay.replicas=-1", "at '/roles/relay/replicas': minimum: got -1, want 0"),
        ("roles.usher.enabled=true", "additional properties 'usher' not allowed"),
        ("image.digest=sha256:abc", "at '/image/digest': 'sha256:abc' does not match pattern"),
        ("image.tag=a b", "at '/image/tag': 'a b' does not match pattern"),
        ("serve.resources.limits.cpu=lots", "'lots' does not match pattern"),
        ("secretSettings={PASSWORD}", "at '/secretSettings/0': value must be one of"),
        ("trustedProxies={*}", "at '/trustedProxies/0': '*' does not match pattern"),
        ("listenAddress=127.0.0.1", "value must be one of '0.0.0.0', '::'"),
        ("serve.podDisruptionBudget.maxUnavailable=0", "minimum: got 0, want 1"),
        # Helm would make 1e+06 of a million.
        ("env.BOXOFFICE_CONNECTIONS_MAX=1000000", "got number, want string"),
        ("env.boxoffice=a", "does not match pattern"),
        ("serve.env.BOXOFFICE_PORT=a", "serve.env: the chart sets BOXOFFICE_PORT itself"),
        (
            "roles.relay.env.BOXOFFICE_SMTP_URL=a",
            "roles.relay.env: BOXOFFICE_SMTP_URL is a secret: put SMTP_URL into the Secret",
        ),
        ("env.BOXOFFICE_DATABASE_URL=a", "env: BOXOFFICE_DATABASE_URL is a secret"),
        ("env.FORWARDED_ALLOW_IPS=a", "FORWARDED_ALLOW_IPS is the value trustedProxies"),
        ("migrate.runtimeRole=web", "migrate.runtimeRole needs migrate.existingSecret"),
        (
            "serve.autoscaling.enabled=true,serve.autoscaling.minReplicas=20",
            "minReplicas (20) is above maxReplicas (10)",
        ),
        ("networkPolicy.https.ports={70000}", "maximum: got 70,000, want 65,535"),
        ("ingress.enabled=true", "ingress.hosts is empty: name the host of the shop"),
        ("httpRoute.enabled=true", "httpRoute.parentRefs is empty: name the Gateway"),
        (f"{_SET}enabled=true", f"{_SET}rules is empty: give it with --set-file"),
        (f"{_SET}enabled=true,{_SET}rules.a=b", f"{_SET}rules.a has no groups"),
    ],
)
def test_a_wrong_value_is_named(helm: Helm, given: str, sentence: str) -> None:
    ended = helm.template("--set", given)
    assert ended.returncode != 0
    assert sentence in ended.stderr


def test_a_rule_without_ports_would_open_all_of_them(helm: Helm) -> None:
    ended = helm.template("--set-json", "networkPolicy.https.ports=[]")
    assert ended.returncode != 0
    assert "at '/networkPolicy/https/ports': minItems: got 0, want 1" in ended.stderr


def test_an_old_cluster_is_refused(helm: Helm) -> None:
    ended = helm.template("--kube-version", "1.28.0")
    assert ended.returncode != 0
    assert "chart requires kubeVersion: >=1.33.0-0" in ended.stderr
