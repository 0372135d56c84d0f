"""Every metric in rules and panels is exported by a running role, with the labels asked of it."""

import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from prometheus_client.parser import text_string_to_metric_families

from boxoffice.settings import Settings
from dashboards.boards import BOARDS
from dashboards.panels import encoded, expressions
from tests.support import promql
from tests.support.exported import declared_metrics
from tests.support.shop import START_TIMEOUT_S, Pod, Role, free_port
from tests.tools.monitoring.test_alerts import rules

ROLES = ("sweep", "relay", "messenger", "cashier", "archive", "auditor")
# Who exports what else than `serve` does; the rest is the role's own.
OWN = {
    "sweep": {"boxoffice_sweep_lag_seconds"},
    "relay": {"boxoffice_outbox_age_seconds"},
    "messenger": {"boxoffice_mails_overdue_seconds", "boxoffice_webhooks_overdue_seconds"},
    "cashier": {"boxoffice_cashier_work_age_seconds", "boxoffice_provider_available"},
    "archive": {"boxoffice_archived_total"},
    "auditor": {"boxoffice_audit_age_seconds", "boxoffice_audit_violated_checks"},
}
EVERYWHERE = {
    "boxoffice_build_info",
    "boxoffice_db_pool_wait_seconds",
    "boxoffice_event_loop_lag_seconds",
    "boxoffice_start_time_seconds",
}


def _get(address: str) -> str | None:
    try:
        with urllib.request.urlopen(address, timeout=20) as answer:  # noqa: S310 — our own
            return str(answer.read(), "utf-8")
    except OSError:
        return None


@contextmanager
def installation(settings: Settings) -> Iterator[dict[str, str]]:
    """Run one process of each role; lend the addresses of their metrics by role."""
    with ExitStack() as stack:
        pod = Pod(settings)
        stack.callback(pod.stop)
        at = {"serve": f"http://127.0.0.1:{pod.port}/metrics"}
        for name in ROLES:
            port = free_port()
            at[name] = f"http://127.0.0.1:{port}/metrics"
            role = Role(name, settings, role_metrics_port=port, lag_check_interval_ms=100)
            stack.callback(role.stop)
        pod.wait_until_ready()
        yield at


def _scraped(address: str, role: str) -> dict[str, frozenset[str]]:
    """Return the labels of what a role exports, by name, once its first rounds are done."""
    until = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < until:
        text = _get(address)
        if text is not None and (role == "serve" or f'round_age_seconds{{role="{role}"}}' in text):
            return _labels(text)
        time.sleep(0.05)
    raise RuntimeError(f"{role} exports no round")


def _labels(text: str) -> dict[str, frozenset[str]]:
    """Return the labels of each series by the names that an expression uses, such as `…_bucket`."""
    declared = declared_metrics()
    found: dict[str, frozenset[str]] = {}
    for family in text_string_to_metric_families(text):
        name = family.name + ("_total" if family.type == "counter" else "")
        if name not in declared:
            continue
        labels = frozenset(declared[name][1])
        found[name] = labels
        if family.type == "histogram":
            found |= {f"{name}_count": labels, f"{name}_sum": labels}
            found[f"{name}_bucket"] = labels | {"le"}
        for sample in family.samples:
            assert set(sample.labels) <= found[sample.name], sample
    return found


def test_every_metric_in_rules_and_panels_is_exported_with_its_labels(settings: Settings) -> None:
    with installation(settings) as at:
        scraped = {role: _scraped(address, role) for role, address in at.items()}
    for role, own in OWN.items():
        assert own - set(scraped[role]) == set(), role
        assert own & set(scraped["serve"]) == set(), "of another role only"
    for role, names in scraped.items():
        assert EVERYWHERE - set(names) == set(), role
    exported: dict[str, frozenset[str]] = {}
    for names in scraped.values():
        exported |= names
    assert set(declared_metrics()) - set(exported) == set(), "declared, and exported by no role"

    recorded = {rule["record"] for rule in rules("record")}
    shown = [one for board in BOARDS for one in expressions(json.loads(encoded(board)))]
    assert len(shown) > 50
    for expression in [*shown, *(rule["expr"] for rule in [*rules("record"), *rules("alert")])]:
        assert promql.faults(expression, exported, recorded) == []
    assert promql.faults("boxoffice_gone_total", exported, recorded) == ["boxoffice_gone_total"]
    assert promql.faults(
        'sum by (role) (boxoffice_outbox_age_seconds{a="b"})', exported, recorded
    ) == [
        "boxoffice_outbox_age_seconds{a}",
        "by (role)",
    ]
