"""What a dead worker leaves in the metrics of its address."""

import subprocess
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, multiprocess

from boxoffice.observability import worker_metrics
from boxoffice.observability.worker_metrics import forget_process, metrics_folder

_WORKER = """
import os, sys
from boxoffice.batching.metrics import BATCH_QUEUE_LENGTH, BATCH_SECONDS
from boxoffice.reservations.metrics import HOLDS_EXPIRED
HOLDS_EXPIRED.inc(int(sys.argv[1]))
BATCH_SECONDS.labels("hold").observe(0.2)
BATCH_QUEUE_LENGTH.set(7)
print(os.getpid())
"""


def _live_and_die(folder: Path, count: int) -> int:
    env = {"PROMETHEUS_MULTIPROC_DIR": str(folder)}
    command = [sys.executable, "-c", _WORKER, str(count)]
    return int(subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout)


def _shown(folder: Path, name: str, **labels: str) -> float | None:
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call]
    return registry.get_sample_value(name, labels)


def test_the_dead_keep_their_counts_and_wait_for_nothing(tmp_path: Path) -> None:
    pids = [_live_and_die(tmp_path, count) for count in (1, 2, 4)]
    living = _live_and_die(tmp_path, 8)
    assert _shown(tmp_path, "boxoffice_batch_queue_length") == 28
    for pid in pids:
        forget_process(tmp_path, pid)
    assert _shown(tmp_path, "boxoffice_batch_queue_length") == 7
    assert _shown(tmp_path, "boxoffice_holds_expired_total") == 15
    assert _shown(tmp_path, "boxoffice_batch_seconds_count", kind="hold") == 4
    assert _shown(tmp_path, "boxoffice_batch_seconds_bucket", kind="hold", le="0.25") == 4
    assert {file.name for file in tmp_path.iterdir()} == {
        "counter_ended.db",
        "histogram_ended.db",
        f"counter_{living}.db",
        f"histogram_{living}.db",
        f"gauge_livesum_{living}.db",
    }


def test_a_broken_file_costs_its_own_counts_only(tmp_path: Path) -> None:
    good, bad = _live_and_die(tmp_path, 1), _live_and_die(tmp_path, 2)
    forget_process(tmp_path, good)
    (tmp_path / f"counter_{bad}.db").write_bytes(b"\xff\xff\xff\x7f" * 8)
    forget_process(tmp_path, bad)
    assert _shown(tmp_path, "boxoffice_holds_expired_total") == 1
    assert not list(tmp_path.glob(f"*_{bad}.db"))


@pytest.mark.parametrize("folder", ["", "gone"])
def test_forgetting_a_process_without_files_raises_nothing(tmp_path: Path, folder: str) -> None:
    forget_process(tmp_path / folder, 1)


_GROUP = """
import sys
from boxoffice.observability.worker_metrics import metrics_folder
with metrics_folder() as folder:
    print(folder, flush=True)
    sys.stdin.read()
"""


def _group(temporary: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", _GROUP],
        env={"TMPDIR": str(temporary)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _folder_of(group: "subprocess.Popen[str]") -> Path:
    assert group.stdout is not None
    return Path(group.stdout.readline().strip())


def test_the_folder_of_a_killed_group_goes_with_the_next_start_and_that_of_a_living_one_stays(
    tmp_path: Path,
) -> None:
    with _group(tmp_path) as killed, _group(tmp_path) as living:
        abandoned, used = _folder_of(killed), _folder_of(living)
        (abandoned / "counter_1.db").touch()
        killed.kill()
        killed.wait(10)
        assert abandoned.exists()
        with _group(tmp_path) as third:
            own = _folder_of(third)
            assert not abandoned.exists()
            assert set(tmp_path.iterdir()) == {used, own}
            third.communicate("")
        living.communicate("")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_locked_yet_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "boxoffice-metrics-new").mkdir()
    with _group(tmp_path) as group:
        own = _folder_of(group)
        assert set(tmp_path.iterdir()) == {own, tmp_path / "boxoffice-metrics-new"}
        group.communicate("")


def test_a_folder_in_the_making_is_never_taken_for_an_abandoned_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Another process that starts may look between any two lines: here one does so at each of them.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    looks: list[int] = []
    remove = worker_metrics._remove_abandoned

    def look(frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename != worker_metrics.__file__ or frame.f_code is remove.__code__:
            return None
        if event == "line":
            remove()
            looks.append(frame.f_lineno)
        return look

    before = sys.gettrace()
    sys.settrace(look)
    try:
        with metrics_folder() as folder:
            sys.settrace(before)
            assert (folder / "lock").exists()
            sys.settrace(look)
    finally:
        sys.settrace(before)
    assert len(looks) > 4
    assert not list(tmp_path.iterdir())
