"""The scenarios are plain k6 scripts: they load by hand, with thresholds of their own."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from boxoffice_loadtest.runner import k6, plan
from boxoffice_loadtest.runner.k6 import K6Job


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    """A tokens file with one user."""
    file = tmp_path / "tokens.jsonl"
    file.write_text('{"user_id": "u", "access_token": "t"}\n')
    return file


def _inspect(name: str, tokens: Path, **env: str) -> Any:
    """Return the options of a script as k6 reads them."""
    given = [f"--env={key}={value}" for key, value in {"TOKENS": str(tokens), **env}.items()]
    argv = [str(k6.find()), "inspect", *given, str(k6.SCENARIOS / f"{name}.js")]
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@pytest.mark.parametrize("name", plan.ALL)
def test_a_script_loads_with_open_arrivals_and_thresholds(name: str, tokens: Path) -> None:
    options = _inspect(name, tokens)
    [scenario] = options["scenarios"].values()
    assert scenario["executor"] in ("constant-arrival-rate", "ramping-arrival-rate")
    assert options["thresholds"]["integrity"] == ["rate==1"]
    if name != "steps":
        assert options["thresholds"]["http_req_failed"] == ["rate<0.0001"]
        assert options["thresholds"]["http_req_duration"] == ["p(95)<500"]
        assert "dropped_iterations" in options["thresholds"]


def test_rate_and_duration_can_be_chosen(tokens: Path) -> None:
    options = _inspect("lookup", tokens, RATE="0.5", DURATION_S="7")
    [scenario] = options["scenarios"].values()
    assert (scenario["rate"], scenario["duration"]) == (150, "7s")
    assert options["thresholds"]["dropped_iterations"] == ["count<=52"]


def test_the_steps_can_be_chosen(tokens: Path) -> None:
    options = _inspect("steps", tokens, RATES="10,20", DURATION_S="3")
    [scenario] = options["scenarios"].values()
    assert [stage["target"] for stage in scenario["stages"]] == [
        10,
        10,
        20,
        20,
    ]


def test_k6_sends_no_reports_and_knows_nothing_of_our_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BOXOFFICE_DATABASE_URL", "postgresql://secret@db/x")
    monkeypatch.setenv("K6_OUT", "cloud")
    env = k6._environment(K6Job("lookup", "lookup", {"RATE": "1"}, tmp_path, 1.0))
    assert (env["K6_NO_USAGE_REPORT"], env["RATE"]) == ("true", "1")
    assert not {"BOXOFFICE_DATABASE_URL", "K6_OUT"} & set(env)


def test_a_summary_is_read(tmp_path: Path) -> None:
    file = tmp_path / "summary.json"
    metrics = {
        "http_reqs": {"count": 7},
        "dropped_iterations": {"count": 2, "thresholds": {"count<=1": True}},
        "integrity": {"fails": 3, "passes": 4, "thresholds": {"rate==1": True}},
        "http_req_duration": {"thresholds": {"p(95)<500": False}},
    }
    file.write_text(json.dumps({"metrics": metrics}))
    found = k6.read_summary(file)
    assert (found.requests, found.dropped_iterations, found.integrity_failures) == (7, 2, 3)
    assert found.k6_thresholds == {
        "dropped_iterations count<=1": False,
        "integrity rate==1": False,
        "http_req_duration p(95)<500": True,
    }
