"""`python -m faults` end to end: a kill under load passes, ends by itself and leaves nothing behind."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from faults.scenarios import ALL
from tests.tools.faults.cluster.processes import MARK, marked

ROOT = Path(__file__).parents[4]
# About half a minute for each of the six, on a busy machine, and twice that on one that stalls.
TIMEOUT_S = 360
pytestmark = pytest.mark.timeout(TIMEOUT_S + 60)
SCENARIOS = (
    "api_sigkill",
    "api_kill_after_commit",
    "collector_sigkill",
    "pg_backend_sigkill",
    "pg_begun_cut",
    "valkey_sigkill",
)


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The output of a short run."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    written = tmp_path_factory.mktemp("faults") / "faults.json"
    argv = [sys.executable, "-m", "faults", "--quick", f"--seed={seed}"]
    argv += [f"--only={','.join(SCENARIOS)}", f"--json={written}"]
    env = {**os.environ, MARK: (mark := uuid4().hex)}
    with subprocess.Popen(
        argv, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        assert marked(mark), "the mark is not seen while it runs"
        said, _ = running.communicate(timeout=TIMEOUT_S)
    assert running.returncode == 0, said[-6000:]
    assert marked(mark) == []
    return msgspec.json.decode(written.read_bytes())


def test_what_was_promised_is_there_after_every_fault(document: Any) -> None:
    assert [scenario["name"] for scenario in document["scenarios"]] == list(SCENARIOS)
    for scenario in document["scenarios"]:
        assert scenario["verdict"] == "pass", scenario
        assert scenario["trials"] == next(
            one.quick_trials for one in ALL if one.name == scenario["name"]
        )
        assert scenario["acknowledged"] > 20, scenario
        assert scenario["requests"] > scenario["acknowledged"]


def test_an_unknown_scenario_is_refused_by_name() -> None:
    argv = [sys.executable, "-m", "faults", "--only=no_such_row"]
    ended = subprocess.run(
        argv, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert ended.returncode == 2
    assert "no_such_row is not one of" in " ".join(ended.stderr.replace("│", " ").split())


def test_an_interrupted_run_says_so_and_leaves_nothing_running() -> None:
    argv = [sys.executable, "-m", "faults", "--seed=1", "--only=api_sigkill"]
    env = {**os.environ, MARK: (mark := uuid4().hex)}
    with subprocess.Popen(
        argv, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        assert running.stdout is not None
        said = ""
        while "round 1" not in said:
            line = running.stdout.readline()
            assert line, said
            said += line
        running.send_signal(signal.SIGINT)
        said += running.communicate(timeout=TIMEOUT_S)[0]
    assert running.returncode == 130, said
    assert "interrupted; everything is stopped" in said
    assert marked(mark) == []
