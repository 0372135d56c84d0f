"""The alerts: they are valid, each has a test of its own, and a runbook."""

import re
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.programs import debian_program

ROOT = Path(__file__).parents[3]
ALERTS = ROOT / "deploy" / "alerts"
RULES = sorted(ALERTS.glob("*.rules.yaml"))
TESTS = sorted(ALERTS.glob("*.test.yaml"))
PARTS = ["**Means.**", "**Look.**", "**Do.**"]


def rules(kind: str) -> list[dict[str, Any]]:
    """Return the rules of a kind: `alert` or `record`."""
    files = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in RULES]
    return [
        rule
        for file in files
        for group in file["groups"]
        for rule in group["rules"]
        if kind in rule
    ]


def sections() -> dict[str, str]:
    """Return the sections of the runbooks by their addresses."""
    found = {}
    for page in (ROOT / "docs").glob("runbooks.md"):
        for section in re.split(r"^## ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
            title, _, text = section.partition("\n")
            found[f"docs/{page.name}#{title.strip().lower()}"] = text
    return found


def promtool(*words: str) -> None:
    """Run promtool; it must end well."""
    ended = subprocess.run(
        [debian_program("promtool"), *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_rules_are_valid() -> None:
    promtool("check", "rules", *map(str, RULES))


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_alerts_fire_when_they_should_and_are_quiet_otherwise(path: Path) -> None:
    promtool("test", "rules", str(path))


def test_each_alert_is_seen_to_fire_and_to_be_quiet() -> None:
    seen: dict[str, set[bool]] = defaultdict(set)
    for path in TESTS:
        for case in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]:
            for one in case["alert_rule_test"]:
                seen[one["alertname"]].add(bool(one["exp_alerts"]))
    missing = {
        rule["alert"]: seen[rule["alert"]]
        for rule in rules("alert")
        if seen[rule["alert"]] != {True, False}
    }
    assert missing == {}


def test_each_alert_has_a_severity_a_summary_and_a_runbook() -> None:
    runbooks = sections()
    for rule in rules("alert"):
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"]["summary"]
        text = runbooks.pop(rule["annotations"]["runbook_url"])
        assert [part for part in PARTS if part not in text] == [], rule["alert"]
    assert runbooks == {}, "sections of no alert"


def test_the_windows_of_the_service_level_agree_with_their_names() -> None:
    for rule in rules("record"):
        window = rule["record"].rpartition("rate")[2]
        assert set(re.findall(r"\[(\w+)\]", rule["expr"])) == {window}
