"""The comparison of servers runs, and our own server drains and ends slow clients as it says."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.servers import slow
from bench.servers.candidates import BY_NAME

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 120


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a very small run writes."""
    written = tmp_path_factory.mktemp("servers") / "servers.json"
    argv = [sys.executable, "-m", "bench.servers", "--quick", f"--json={written}"]
    argv += ["--parts=cost,drain", "--servers=boxoffice,granian_rsgi", "--drain-limit-s=4"]
    ended = subprocess.run(
        argv, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert ended.returncode == 0, ended.stderr[-3000:] + ended.stdout[-3000:]
    return msgspec.json.decode(written.read_bytes())


def test_every_server_has_every_figure(document: Any) -> None:
    assert [row["server"] for row in document["cost"]] == ["boxoffice", "granian_rsgi"]
    for row in document["cost"]:
        assert all(value > 0 for name, value in row.items() if name != "server"), row


def test_our_server_answers_what_is_in_flight_and_ends_its_streams(document: Any) -> None:
    ours = [row for row in document["drain"] if row["server"] == "boxoffice"]
    assert len(ours) == 3
    for row in ours:
        assert row["answered"] == 32
        assert row["ended_after_s"] is not None
        assert row["app_closed"]
        assert "503" in row["readiness"]


def test_a_head_without_end_is_ended(tmp_path: Path) -> None:
    kind = next(kind for kind in slow.KINDS if kind.more and kind.connections == 20)
    found = slow.measure(BY_NAME["boxoffice"], tmp_path, kind, window_s=2.0)
    assert found.ended == kind.connections
    assert found.visits > found.visits_failed == 0


def test_who_is_slow_but_not_too_slow_is_left_alone(tmp_path: Path) -> None:
    # The control of the test above: the siege sees the difference.
    found = slow.measure(BY_NAME["boxoffice"], tmp_path, slow.KINDS[0], window_s=1.0)
    assert found.ended == 0
