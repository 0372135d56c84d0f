"""The folders in which the tests' servers keep their data."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.database import data_folder

_HOUR_S = 3_600.0
_MAKE = """
import os, signal, sys
from pathlib import Path
from tests.support.database import data_folder

print(data_folder(0, memory=Path(sys.argv[1])), flush=True)
os.kill(os.getpid(), signal.{how})
"""
_ROOT = Path(__file__).parents[2]


def _made_by_another_process(memory: Path, how: str) -> tuple[Path, "subprocess.Popen[str]"]:
    """Return a folder of a process that sends itself this signal, as if it were an hour old."""
    argv = [sys.executable, "-c", _MAKE.format(how=how), str(memory)]
    process = subprocess.Popen(argv, cwd=_ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    folder = Path(process.stdout.readline().strip())
    (folder / "data").write_text("of a server")
    before = folder.stat().st_mtime - _HOUR_S
    os.utime(folder, (before, before))
    return folder, process


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    folder, process = _made_by_another_process(tmp_path, "SIGKILL")
    process.communicate()
    assert folder.parent == tmp_path
    ours = data_folder(0, memory=tmp_path)
    assert list(tmp_path.iterdir()) == [ours]


def test_what_a_living_process_uses_stays(tmp_path: Path) -> None:
    folder, process = _made_by_another_process(tmp_path, "SIGSTOP")
    try:
        data_folder(0, memory=tmp_path)
        assert (folder / "data").read_text() == "of a server"
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()


def test_a_new_folder_and_other_folders_stay(tmp_path: Path) -> None:
    # Its process is between making and locking it.
    new = tmp_path / "boxoffice-tests-new"
    new.mkdir()
    others = {tmp_path / "something-else", tmp_path / "boxoffice-test-of-an-earlier-release"}
    for other in others:
        other.mkdir()
        os.utime(other, (0, 0))
    ours = data_folder(0, memory=tmp_path)
    assert set(tmp_path.iterdir()) == {new, ours, *others}


@pytest.mark.parametrize("memory", ["there", "missing"])
def test_without_room_in_memory_the_usual_place_is_used(tmp_path: Path, memory: str) -> None:
    (tmp_path / "there").mkdir()
    usual = tmp_path / "usual"
    usual.mkdir()
    folder = data_folder(1 << 60, usual=usual, memory=tmp_path / memory)
    assert folder.parent == usual
