"""The supervisor of our own commands: restarts, shutdown, and the death of the parent."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from boxoffice.platform.processes.supervisor import ProcessGroup

from .conftest import HERE, Helper, is_alive, processes_naming, wait_for

STUBBORN = """
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open(sys.argv[1], "w").close()
time.sleep(300)
"""
PARENT_OF_STUBBORN = """
import subprocess, sys
subprocess.Popen([sys.executable, "-c", sys.argv[1], sys.argv[2]]).wait()
"""


@pytest.fixture
def run_group(helper: Callable[..., Helper]) -> Callable[..., Helper]:
    def start(stop_timeout_s: float, **commands: list[str]) -> Helper:
        script = str(HERE / "run_group.py")
        return helper([sys.executable, script, str(stop_timeout_s), json.dumps(commands)])

    return start


@pytest.fixture
def group() -> Iterator[ProcessGroup]:
    with ProcessGroup(stop_timeout_s=5, say=lambda line: None) as group:
        yield group


def test_a_crashed_child_is_started_again(run_group: Callable[..., Helper]) -> None:
    supervisor = run_group(60, one=["sleep", "300"], two=["sleep", "301"])
    before = supervisor.line()["pids"]
    os.kill(before["one"], signal.SIGKILL)
    after = supervisor.line()
    while "one" not in after["pids"]:
        after = supervisor.line()
    assert after["pids"]["one"] != before["one"]
    assert after["pids"]["two"] == before["two"]
    assert after["restarts"] == {"one": 1, "two": 0}
    supervisor.process.send_signal(signal.SIGTERM)
    assert supervisor.wait() == 0
    assert not any(is_alive(pid) for pid in [*after["pids"].values(), before["one"]])


def test_restarts_are_spaced_out(group: ProcessGroup) -> None:
    started_s = time.monotonic()

    def stop_after_three() -> None:
        if group.restarts()["brief"] >= 3:
            os.kill(os.getpid(), signal.SIGTERM)

    group.spawn("brief", ["true"])
    group.run_until_stopped(on_tick=stop_after_three)
    assert 1.4 <= time.monotonic() - started_s < 20


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_signal_reaches_every_child_once(
    number: signal.Signals, run_group: Callable[..., Helper], tmp_path: Path
) -> None:
    notes = tmp_path / "signals"
    script = f"trap 'echo INT >> {notes}' INT; trap 'echo TERM >> {notes}; exit 0' TERM; "
    script += f"echo up >> {notes}; while true; do sleep 0.05; done"
    supervisor = run_group(60, noter=["sh", "-c", script])
    pids = supervisor.line()["pids"]
    wait_for(notes.exists, "the child's first note")
    os.killpg(supervisor.process.pid, number)
    assert supervisor.wait() == 0
    assert notes.read_text().split() == ["up", "TERM"]
    assert not is_alive(pids["noter"])


def test_a_stubborn_child_is_killed_with_its_own_children(
    run_group: Callable[..., Helper], tmp_path: Path
) -> None:
    ready = tmp_path / "ready"
    supervisor = run_group(
        0.3, outer=[sys.executable, "-c", PARENT_OF_STUBBORN, STUBBORN, str(ready)]
    )
    wait_for(ready.exists, "the stubborn grandchild")
    supervisor.process.send_signal(signal.SIGTERM)
    assert supervisor.wait() == 0
    assert not processes_naming(str(ready))


def test_what_stops_last_is_there_until_the_others_have_ended(
    group: ProcessGroup, tmp_path: Path
) -> None:
    notes = tmp_path / "ends"
    slow = f"trap 'sleep 0.5; echo user >> {notes}; exit 0' TERM; touch {tmp_path}/up; "
    used = f"trap 'echo used >> {notes}; exit 0' TERM; touch {tmp_path}/used; "
    rest = "while true; do sleep 0.05; done"
    group.spawn("used", ["sh", "-c", used + rest], stops_last=True)
    group.spawn("user", ["sh", "-c", slow + rest])
    for name in ("up", "used"):
        wait_for((tmp_path / name).exists, "both children")
    group.stop()
    assert notes.read_text().split() == ["user", "used"]
    assert not group.pids()


def test_a_second_ctrl_c_hastens_the_stop(run_group: Callable[..., Helper], tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    supervisor = run_group(60, stubborn=[sys.executable, "-c", STUBBORN, str(ready)])
    wait_for(ready.exists, "the stubborn child")
    supervisor.process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        supervisor.process.wait(0.5)
    supervisor.process.send_signal(signal.SIGINT)
    assert supervisor.wait() == 0
    assert not processes_naming(str(ready))


def test_children_end_with_a_killed_supervisor(run_group: Callable[..., Helper]) -> None:
    supervisor = run_group(60, one=["sleep", "300"], two=["sleep", "301"])
    pids = supervisor.line()["pids"]
    assert len(pids) == 2
    supervisor.process.kill()
    wait_for(lambda: not any(is_alive(pid) for pid in pids.values()), "the end of the children")


def test_a_child_gets_its_environment_and_its_descriptors(
    group: ProcessGroup, tmp_path: Path
) -> None:
    reader, writer = os.pipe()
    script = "import os, sys; os.write(int(sys.argv[1]), os.environb[b'GREETING'] + b'\\n')"
    command = [sys.executable, "-c", script, str(writer)]
    group.spawn("writer", command, env={"GREETING": "안녕"}, pass_fds=[writer])
    os.close(writer)
    with open(reader) as received:
        assert received.readline() == "안녕\n"


def test_an_error_in_a_tick_stops_the_children(group: ProcessGroup) -> None:
    group.spawn("sleeper", ["sleep", "300"])
    pid = group.pids()["sleeper"]
    former = signal.getsignal(signal.SIGTERM)

    def fail() -> None:
        raise LookupError("a tick went wrong")

    with pytest.raises(LookupError, match="a tick went wrong"):
        group.run_until_stopped(on_tick=fail)
    assert not is_alive(pid)
    assert signal.getsignal(signal.SIGTERM) is former


def test_names_are_unique(group: ProcessGroup) -> None:
    group.spawn("one", ["sleep", "300"])
    with pytest.raises(ValueError, match="one"):
        group.spawn("one", ["sleep", "300"])


def test_who_spawned_a_child_hears_of_its_end(group: ProcessGroup) -> None:
    ended: list[int] = []

    def stop_after_two() -> None:
        if len(ended) >= 2:
            os.kill(os.getpid(), signal.SIGTERM)

    group.spawn("brief", ["true"], on_end=ended.append)
    first = group.pids().get("brief", ended[:1])
    group.run_until_stopped(on_tick=stop_after_two)
    assert len(set(ended)) == len(ended) == 2
    assert not first or ended[0] == first
    assert not any(is_alive(pid) for pid in ended)


def test_a_child_that_cannot_be_started_now_is_started_later(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    said: list[str] = []
    gone = tmp_path / "gone"
    gone.mkdir()
    with ProcessGroup(stop_timeout_s=5, say=said.append) as group:
        group.spawn("one", ["sleep", "300"])
        group.spawn("two", ["sleep", "301"])
        first = group.pids()
        # Children start in our folder: without one, as without memory, there is no starting any.
        monkeypatch.chdir(gone)
        gone.rmdir()
        os.kill(first["one"], signal.SIGKILL)
        ends_at = time.monotonic() + 30

        def look() -> None:
            if any("cannot be started" in line for line in said):
                monkeypatch.chdir(tmp_path)
            if (group.restarts()["one"] and "one" in group.pids()) or time.monotonic() > ends_at:
                os.kill(os.getpid(), signal.SIGTERM)
                assert group.pids() == first | {"one": group.pids()["one"]}

        group.run_until_stopped(on_tick=look)
    assert any("cannot be started" in line for line in said), said
    assert time.monotonic() < ends_at
