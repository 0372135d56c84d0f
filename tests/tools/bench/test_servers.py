"""The comparison of servers runs, and our own server drains and ends slow clients as it says."""

import subprocess
import sys
from pathlib import Path

import msgspec

from bench.servers import drain, slow
from bench.servers.candidates import BY_NAME

ROOT = Path(__file__).parents[3]
TIMEOUT_S = 120


def test_every_server_has_every_figure(tmp_path: Path) -> None:
    written = tmp_path / "servers.json"
    argv = [sys.executable, "-m", "bench.servers", "--quick", "--parts=cost", f"--json={written}"]
    ended = subprocess.run(
        argv, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert ended.returncode == 0, ended.stderr[-3000:] + ended.stdout[-3000:]
    rows = msgspec.json.decode(written.read_bytes())["cost"]
    assert [row.pop("server") for row in rows] == list(BY_NAME)
    assert all(value > 0 for row in rows for value in row.values()), rows


def test_our_server_answers_what_is_in_flight_and_ends_its_streams(tmp_path: Path) -> None:
    found = drain.measure(BY_NAME["boxoffice"], tmp_path, stream=True, stop_limit=False)
    assert found.answered == drain.REQUESTS
    assert found.ended_after_s is not None
    assert found.app_closed
    assert "503" in found.readiness


def test_a_head_without_end_is_ended(tmp_path: Path) -> None:
    kind = next(kind for kind in slow.KINDS if kind.more and kind.connections == 20)
    found = slow.measure(BY_NAME["boxoffice"], tmp_path, kind, window_s=2.0)
    assert found.ended == kind.connections
    assert found.visits > found.visits_failed == 0


def test_who_is_slow_but_not_too_slow_is_left_alone(tmp_path: Path) -> None:
    # The control of the test above: the siege sees the difference.
    found = slow.measure(BY_NAME["boxoffice"], tmp_path, slow.KINDS[0], window_s=1.0)
    assert found.ended == 0
