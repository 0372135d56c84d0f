"""A small run of `python -m bench.parts`."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from bench.parts.timing import PartCost, part_cost

ROOT = Path(__file__).parents[3]
TIMEOUT_S = 120


@pytest.fixture(scope="module")
def costs(tmp_path_factory: pytest.TempPathFactory) -> list[PartCost]:
    written = tmp_path_factory.mktemp("parts") / "parts.json"
    argv = [sys.executable, "-m", "bench.parts", "--turns=3", f"--json={written}"]
    ended = subprocess.run(
        argv, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    return msgspec.json.decode(written.read_bytes(), type=list[PartCost])


def test_every_part_has_a_cost(costs: list[PartCost]) -> None:
    assert len({(one.group, one.part) for one in costs}) == len(costs) >= 18
    for one in costs:
        assert 0 < one.least_us <= one.median_us < 1e6, one


def test_what_does_more_costs_more(costs: list[PartCost]) -> None:
    least = {one.part: one.least_us for one in costs}
    # A hold verifies a new token and is decided by PostgreSQL; a list comes from memory. A refusal is
    # within the scatter of either, as a slow minute doubles times.
    assert least["hold, cold token"] > least["list of concerts"]
    # A payment inserts five rows, a hold one.
    assert least["payment"] > least["hold"]
    assert least["join, cold token"] > least["access token, cold"] + least["queue ticket, signed"]
    assert least["board: counters read, rendered, signed"] > least["board, signed"]


def test_the_least_of_the_runs_and_their_median_are_kept() -> None:
    assert part_cost("step", "one", [3e-6, 1e-6, 2e-6]) == PartCost("step", "one", 1.0, 2.0)
