"""A small run of `make bench-waiting-room`: the checks of a million users hold for 6,000."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from bench.crowd import Places
from bench.waiting_room import SimulationResult

ROOT = Path(__file__).parents[3]
TIMEOUT_S = 240


def test_a_small_run_admits_all_users_and_passes_every_check(tmp_path: Path) -> None:
    written = tmp_path / "simulation.json"
    argv = [sys.executable, "-m", "bench.waiting_room", "--users=6000", f"--json={written}"]
    ended = subprocess.run(
        argv, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    result = msgspec.json.decode(written.read_bytes(), type=SimulationResult)
    assert result.admitted > 4_000
    # Half of the HTTP sample is among them and only waits.
    assert (
        result.admitted + result.no_shows + result.left_before
        == result.users - result.http_sample // 2
    )
    assert result.http_sample > 0
    assert 0 < result.most_inside <= 5_000


@pytest.mark.parametrize(
    ("drawn", "is_right"),
    [((1, 2, 3), True), ((3, 1, 2), True), ((0, 1, 2), False), ((1, 1, 3), False)],
)
def test_places_are_a_permutation_from_one(drawn: tuple[int, ...], is_right: bool) -> None:
    places = Places(len(drawn))
    for number, place in enumerate(drawn, start=1):
        places.set(place, number)
    assert places.is_permutation is is_right


def test_a_wrong_count_fails_the_run() -> None:
    assert SimulationResult(1, 10).is_right
    for wrong in ("wrong_numbers", "wrong_positions", "wrong_turns"):
        assert not msgspec.structs.replace(SimulationResult(1, 10), **{wrong: 1}).is_right
    assert not SimulationResult(1, 10, failures=["queue_cap_kept"]).is_right
