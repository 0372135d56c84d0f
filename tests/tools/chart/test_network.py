"""Pods connect to what their role needs, and take connections from whom the values name."""

from collections import Counter

from tests.tools.chart.helm import Document, Rendered, component_of, container_of, selects

_DNS = {("UDP", 53), ("TCP", 53)}
_POSTGRES, _VALKEY = ("TCP", 5432), ("TCP", 6379)
_HTTPS, _SMTP = ("TCP", 443), ("TCP", 587)
# By the code: whose modules open which connections.
_NEEDS = {
    "serve": {_POSTGRES, _VALKEY, _HTTPS},
    "sweep": {_POSTGRES},
    "relay": {_POSTGRES, _VALKEY},
    "messenger": {_POSTGRES, _HTTPS, _SMTP},
    "cashier": {_POSTGRES, _VALKEY, _HTTPS},
    "archive": {_POSTGRES},
    "auditor": {_POSTGRES},
    "migrate": {_POSTGRES},
    "test": {("TCP", 8000)},
}


def _policies(rendered: Rendered, pod: Document) -> list[Document]:
    labels = pod["metadata"]["labels"]
    return [
        one
        for one in rendered.kind("NetworkPolicy")
        if selects(one["spec"]["podSelector"]["matchLabels"], labels)
    ]


def _ports(rules: list[Document]) -> set[tuple[str, int | str]]:
    return {(port["protocol"], port["port"]) for rule in rules for port in rule.get("ports", [])}


def test_each_role_connects_to_what_it_needs(renderings: dict[str, Rendered]) -> None:
    default = renderings["default"]
    opened = {}
    for role, pod in default.pods():
        allowing = [one for one in _policies(default, pod) if one["spec"].get("egress")]
        [policy] = allowing
        assert component_of(policy["metadata"]) == role
        opened[role] = _ports(policy["spec"]["egress"]) - _DNS
    assert opened == _NEEDS


def test_what_no_rule_allows_is_denied(renderings: dict[str, Rendered]) -> None:
    for name in ("default", "production", "ipv6"):
        rendered = renderings[name]
        for role, pod in rendered.pods():
            policies = _policies(rendered, pod)
            assert all(one["spec"]["policyTypes"] == ["Ingress", "Egress"] for one in policies)
            # A policy of its own, and the one without rules.
            assert len(policies) == 2, role
            assert sum("egress" not in one["spec"] for one in policies) == 1, role


def test_no_rule_of_egress_is_open_to_all_ports(renderings: dict[str, Rendered]) -> None:
    for rendered in renderings.values():
        for one in rendered.kind("NetworkPolicy"):
            assert all(rule.get("ports") for rule in one["spec"].get("egress", []))


def test_https_and_mail_leave_for_public_addresses_only(renderings: dict[str, Rendered]) -> None:
    policy = renderings["default"].one("NetworkPolicy", "messenger")
    closed = {
        range_
        for rule in policy["spec"]["egress"]
        if _ports([rule]) & {_HTTPS, _SMTP}
        for peer in rule["to"]
        for range_ in peer["ipBlock"]["except"]
    }
    # The address at which clouds hand out credentials is one of them.
    assert {"169.254.0.0/16", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"} <= closed


def test_incoming_connections_reach_declared_ports(renderings: dict[str, Rendered]) -> None:
    for name in ("default", "production"):
        rendered = renderings[name]
        for one in rendered.kind("Deployment"):
            role = component_of(one["metadata"])
            ports = {port["name"] for port in container_of(one["spec"]["template"])["ports"]}
            rules = rendered.one("NetworkPolicy", role)["spec"]["ingress"]
            assert {port for _, port in _ports(rules)} == ports
            metrics = [rule for rule in rules if ("TCP", "metrics") in _ports([rule])]
            assert all(rule["from"] for rule in metrics)


def test_the_named_peers_and_the_test_reach_serve(renderings: dict[str, Rendered]) -> None:
    production = renderings["production"]
    [http] = [
        rule
        for rule in production.one("NetworkPolicy", "serve")["spec"]["ingress"]
        if ("TCP", "http") in _ports([rule])
    ]
    kinds = Counter(next(iter(peer)) for peer in http["from"])
    assert kinds == {"podSelector": 1, "namespaceSelector": 1}
    [tester] = [
        peer["podSelector"]["matchLabels"] for peer in http["from"] if "podSelector" in peer
    ]
    assert selects(tester, production.pod("test")["metadata"]["labels"])
    sent = _ports(production.one("NetworkPolicy", "sweep")["spec"]["egress"])
    assert sent == _DNS | {("TCP", 6432), ("TCP", 4318)}
