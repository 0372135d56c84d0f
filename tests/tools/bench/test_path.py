"""A small run of `python -m bench.path`, and how it counts."""

import subprocess
import sys
from pathlib import Path

import msgspec

from bench.path import CallRecorder, RequestPath, path_of, since_connection
from boxoffice.platform import client_addresses, ids

ROOT = Path(__file__).parents[3]
TIMEOUT_S = 120


def test_every_kind_of_request_is_followed_from_the_connection_to_the_answer(
    tmp_path: Path,
) -> None:
    written = tmp_path / "paths.json"
    argv = [sys.executable, "-m", "bench.path", "--repetitions=5", f"--json={written}"]
    ended = subprocess.run(
        argv, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    paths = msgspec.json.decode(written.read_bytes(), type=list[RequestPath])
    by_kind = {one.kind: one for one in paths}
    assert list(by_kind) == ["hold", "payment", "refusal", "seat map", "poll"]
    for one in paths:
        assert one.files[0] == "http/server/connection.py"
        assert one.returns >= 1
    assert "reservations/store.py" in by_kind["hold"].files
    assert "payments/store.py" in by_kind["payment"].files
    assert "seats/refusals.py" in by_kind["refusal"].files
    assert "reservations/store.py" not in by_kind["refusal"].files
    assert "seats/routes.py" in by_kind["seat map"].files
    assert "waiting_room/routes.py" in by_kind["poll"].files


def test_only_files_of_the_product_are_recorded_each_time_the_flow_comes_to_them() -> None:
    recorder = CallRecorder()
    recorder.start()
    ids.new_id()
    client_addresses.is_loopback("127.0.0.1")
    client_addresses.is_loopback("::1")
    ids.parse_uuid("three")
    assert recorder.stop() == ["platform/ids.py", "platform/client_addresses.py", "platform/ids.py"]


def test_a_file_counts_if_most_repetitions_enter_it() -> None:
    usual = ["a", "b", "a", "c"]
    found = path_of("hold", [["a", "b", "refresh", "a", "c"], *[usual] * 9])
    assert found == RequestPath("hold", ["a", "b", "c"], 1)


def test_what_is_left_out_makes_no_return() -> None:
    found = path_of("hold", [["a", "timer", "a", "b"], *[["a", "b"]] * 9])
    assert found == RequestPath("hold", ["a", "b"], 0)


def test_what_ran_before_the_connection_is_not_on_the_way() -> None:
    way = ["http/server/connection.py", "b", "timer", "http/server/connection.py"]
    assert since_connection(["timer", "b", *way]) == way
    assert since_connection(["timer"]) == ["timer"]
