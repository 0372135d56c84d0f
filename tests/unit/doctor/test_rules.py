"""What the facts of an installation mean: each fault has its finding, and a good one has none."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from boxoffice.doctor import rules, sizing
from boxoffice.doctor.diagnosis import Diagnosis, Level, is_fit, render, summary
from boxoffice.doctor.facts import (
    AlertFacts,
    CertificateFacts,
    Fleet,
    MachineFacts,
    PostgresFacts,
    RoleFacts,
    ValkeyFacts,
)
from boxoffice.errors import SettingsInvalid
from boxoffice.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
GOOD = PostgresFacts(
    version_num=180_006, max_connections=100, reserved_connections=3, is_durable=True,
    is_encrypted=True, is_local=False, is_superuser=False, owns_tables=False, archives=True,
    clock_offset_s=0.01,
)  # fmt: skip
MACHINE = MachineFacts(65_536, 4_096, {"/tmp": 8 << 30})  # noqa: S108 - a name
PRODUCTION = Settings.of(
    public_url="https://tickets.example.org", smtp_url="smtp://mail.example.org",
    mail_from="shop@example.org", toss_secret_key="live_sk_x", drain_delay_ms=2_500,
)  # fmt: skip


def levels(found: Iterable[Diagnosis]) -> dict[str, str]:
    """The findings that are not good, by check."""
    return {one.check: str(one.level) for one in found if one.level is not Level.OK}


def test_settings_of_a_laptop_are_told() -> None:
    assert levels(rules.of_settings(PRODUCTION)) == {}
    laptop = Settings.of(wallet_top_up_free=True)
    assert levels(rules.of_settings(laptop)) == {
        "settings: money": "fail",
        "settings: public address": "warn",
        "settings: mail": "warn",
        "settings: payment provider": "warn",
        "settings: drain": "warn",
    }


@pytest.mark.parametrize(
    ("changed", "check", "level"),
    [
        ({"version_num": 140_009}, "postgresql: version", "fail"),
        ({"version_num": 170_004}, "postgresql: version", "warn"),
        ({"is_durable": False}, "postgresql: durability", "fail"),
        ({"archives": False}, "postgresql: archive", "warn"),
        ({"is_superuser": True}, "postgresql: role", "warn"),
        ({"owns_tables": True}, "postgresql: role", "warn"),
        ({"is_encrypted": False}, "postgresql: encryption", "warn"),
        ({"max_connections": 40}, "postgresql: connections", "fail"),
        ({"clock_offset_s": -0.7}, "clocks", "warn"),
    ],
)
def test_a_fault_of_postgresql_is_told(changed: dict[str, Any], check: str, level: str) -> None:
    good = levels(rules.of_postgres(GOOD, "", "", Fleet(2, 1), PRODUCTION))
    assert good == {}
    bad = GOOD._replace(**changed)
    assert levels(rules.of_postgres(bad, "", "", Fleet(2, 1), PRODUCTION)) == {check: level}


def test_connections_are_those_of_all_pods_and_roles() -> None:
    # (pods × processes + 6 roles) × 6 connections of 97.
    for fleet, is_enough in ((Fleet(10, 1), True), (Fleet(5, 2), True), (Fleet(11, 1), False)):
        found = levels(rules.of_postgres(GOOD, "", "", fleet, PRODUCTION))
        assert ("postgresql: connections" not in found) is is_enough, fleet
    pooled = PRODUCTION.replace(db_pooler="transaction")
    assert levels(rules.of_postgres(GOOD, "", "", Fleet(50, 4), pooled)) == {}


def test_what_cannot_be_reached_fails() -> None:
    away = rules.of_postgres(None, "refused", "", Fleet(), PRODUCTION)
    assert levels(away) == {"postgresql": "fail"}
    behind = rules.of_postgres(GOOD, "", "has not got 0030", Fleet(), PRODUCTION)
    assert levels(behind) == {"postgresql: schema": "fail"}
    assert levels(rules.of_valkey(ValkeyFacts("refused"), False)) == {"valkey": "fail"}
    assert levels(rules.of_valkey(ValkeyFacts("", 0.4), False)) == {}
    assert levels(rules.of_valkey(ValkeyFacts("", 40), True)) == {
        "valkey": "warn",
        "valkey: encryption": "warn",
    }


def test_a_standby_that_is_required_must_be_there() -> None:
    assert levels(rules.of_standby(True, False)) == {"postgresql: standby": "fail"}
    assert levels(rules.of_standby(False, False)) == {"postgresql: standby": "warn"}
    assert levels(rules.of_standby(True, True)) == {}
    assert list(rules.of_standby(True, None)) == []


def test_roles_that_lag_are_named() -> None:
    assert levels(rules.of_roles(RoleFacts(2, 3, 3_600, True))) == {}
    assert levels(rules.of_roles(RoleFacts(31, 45, 90_000, False))) == {
        "role: relay": "fail",
        "role: sweep": "fail",
        "audit": "fail",
        "role: auditor": "warn",
    }
    assert levels(rules.of_roles(RoleFacts(0, 0, None, None))) == {"role: auditor": "warn"}


def test_limits_of_the_machine_are_compared_with_the_settings() -> None:
    assert levels(rules.of_machine(MACHINE, PRODUCTION)) == {"disk: PostgreSQL": "unseen"}
    small = MachineFacts(4_096, 128, {"/backups": 1 << 20})
    assert levels(rules.of_machine(small, PRODUCTION)) == {
        "limits: open files": "fail",
        "limits: backlog": "warn",
        "disk: /backups": "fail",
        "disk: PostgreSQL": "unseen",
    }


@pytest.mark.parametrize(
    ("facts", "level"),
    [
        (None, "unseen"),
        (CertificateFacts("self-signed"), "fail"),
        (CertificateFacts(), "fail"),
        (CertificateFacts("", NOW + timedelta(days=2, hours=23)), "fail"),
        (CertificateFacts("", NOW + timedelta(days=20)), "warn"),
        (CertificateFacts("", NOW + timedelta(days=22)), "ok"),
    ],
)
def test_a_certificate_must_outlive_the_sale(facts: CertificateFacts | None, level: str) -> None:
    [found] = rules.of_certificate(facts, NOW)
    assert found.level == level


@pytest.mark.parametrize(
    ("age_s", "lag_s", "failure", "expected"),
    [
        (3_600, 60, "", {}),
        (100_000, 60, "", {"backup": "fail"}),
        (3_600, None, "", {"backup: archive": "warn"}),
        (None, None, "", {"backup": "fail"}),
        (None, None, "denied", {"backup": "fail"}),
    ],
)
def test_an_old_backup_is_told(
    age_s: float | None, lag_s: float | None, failure: str, expected: dict[str, str]
) -> None:
    found = rules.of_backups(age_s, lag_s, failure, is_set=True, age_max_s=93_600)
    assert levels(found) == expected
    unset = rules.of_backups(age_s, lag_s, failure, is_set=False, age_max_s=93_600)
    assert levels(unset) == {"backup": "warn"}


def test_every_alert_has_to_be_loaded() -> None:
    assert levels(rules.of_alerts(AlertFacts("", [*rules.ALERTS, "Other"]))) == {}
    assert levels(rules.of_alerts(AlertFacts("", rules.ALERTS[1:]))) == {"alerts": "fail"}
    assert levels(rules.of_alerts(AlertFacts("away"))) == {"alerts": "fail"}
    assert levels(rules.of_alerts(None)) == {"alerts": "unseen"}


def test_the_alerts_are_those_of_the_files() -> None:
    texts = [path.read_text() for path in (ROOT / "deploy/alerts").glob("*.rules.yaml")]
    assert sorted(re.findall(r"- alert: (\w+)", "\n".join(texts))) == sorted(rules.ALERTS)


def test_the_settings_are_compared_with_the_sizing() -> None:
    sized = Fleet(2, 1, {"BOXOFFICE_DB_POOL_MAX": 8})
    assert levels(rules.of_sizing(sized, {"BOXOFFICE_DB_POOL_MAX": 8})) == {}
    assert levels(rules.of_sizing(sized, {"BOXOFFICE_DB_POOL_MAX": 6})) == {"sizing": "warn"}
    assert levels(rules.of_sizing(Fleet(), {})) == {"sizing": "unseen"}


def test_values_of_the_chart_are_read_as_pods_read_their_environment() -> None:
    # What the load test writes and Helm prints: texts, and what an operator left without quotes.
    values = b"""{"image": {"tag": "1"}, "serve": {"replicas": 2, "workers": 1,
        "autoscaling": {"enabled": true, "minReplicas": 2, "maxReplicas": 9},
        "env": {"BOXOFFICE_LOG_REQUESTS": "false", "BOXOFFICE_WALLET_TOP_UP_FREE": true,
                "BOXOFFICE_DB_POOL_MAX": 8, "BOXOFFICE_AUDIT_INTERVAL_S": "3600",
                "TZ": "Asia/Seoul"}}}"""
    read = sizing.fleet_of(values, None, None)
    assert (read.pods, read.workers) == (9, 1)
    assert sizing.fleet_of(values, 3, 2)[:2] == (3, 2)
    fixed = b'{"serve": {"replicas": 4, "workers": 2, "autoscaling": {"maxReplicas": 9}}}'
    assert sizing.fleet_of(fixed, None, None)[:2] == (4, 2)
    here = Settings.of(log_requests=False, wallet_top_up_free=True, db_pool_max=8)
    compared = {name: here.get(name.removeprefix("BOXOFFICE_").lower()) for name in read.settings}
    assert levels(rules.of_sizing(read, compared)) == {}
    off = {**compared, "BOXOFFICE_LOG_REQUESTS": True}
    [found] = rules.of_sizing(read, off)
    assert found.seen == "BOXOFFICE_LOG_REQUESTS is true, sized with false"


@pytest.mark.parametrize(
    "values",
    [
        b"",
        b"serve:\n  replicas: 2\n",
        b'{"serve": 3}',
        b'{"serve": {"workers": "many"}}',
        b'{"serve": {"env": {"BOXOFFICE_A": "7"}}}',
        b'{"serve": {"env": {"BOXOFFICE_DB_POOL_MAX": "many"}}}',
    ],
)
def test_values_that_no_pod_would_understand_are_refused(values: bytes) -> None:
    with pytest.raises(SettingsInvalid, match=r"values\.json|not a setting|must be"):
        sizing.fleet_of(values, None, None)


@pytest.mark.parametrize(
    "values",
    [b'{"serve": {"env": {}}}', b'{"serve": {"replicas": 2, "autoscaling": {"enabled": true}}}'],
    ids=["no replicas", "no upper end"],
)
def test_values_without_the_defaults_of_the_chart_name_no_number_of_pods(values: bytes) -> None:
    with pytest.raises(SettingsInvalid, match="--all"):
        sizing.fleet_of(values, None, None)
    assert sizing.fleet_of(values, 3, None)[:2] == (3, 1)


def test_a_finding_says_what_to_do() -> None:
    found = [Diagnosis("a", Level.OK, "good"), Diagnosis("b", Level.FAIL, "bad", "mend it")]
    assert list(render(found)) == ["OK      a: good", "FAIL    b: bad", "        → mend it"]
    assert summary(found) == "2 checks: 1 ok, 0 unseen, 0 warn, 1 fail."
    assert not is_fit(found)
    assert is_fit(found[:1])
