"""The crowd of the waiting room, small: everything that it checks of a million holds for a few."""

import subprocess
import sys
from pathlib import Path

import msgspec

from bench.waiting_room import Told

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 240


def test_a_small_crowd_is_let_in_and_every_check_holds(tmp_path: Path) -> None:
    written = tmp_path / "crowd.json"
    argv = [sys.executable, "-m", "bench.waiting_room", "--people=6000", f"--json={written}"]
    ended = subprocess.run(
        argv, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    told = msgspec.json.decode(written.read_bytes(), type=Told)
    assert told.let_in > 4_000
    # Half of those who came over HTTP are among them, and only wait.
    assert told.let_in + told.never_came + told.went_before == told.people - told.http_sample // 2
    assert told.http_sample > 0
    assert 0 < told.most_inside <= 5_000


def test_what_is_wrong_is_not_right() -> None:
    assert Told(1, 10).is_right
    for wrong in ("wrong_numbers", "wrong_positions", "wrong_turns"):
        assert not msgspec.structs.replace(Told(1, 10), **{wrong: 1}).is_right
    assert not Told(1, 10, broken=["queue_cap_kept"]).is_right
