"""CPU and memory of processes, and a process with limited CPU."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from boxoffice.settings import Settings
from boxoffice_loadtest.analysis import windows
from boxoffice_loadtest.measurement import processes
from boxoffice_loadtest.measurement.sampler import Sampler
from boxoffice_loadtest.runner import cpu_limit
from tests.support.waiting import wait_until
from tests.tools.loadtest import samples

BUSY = "while True:\n    sum(range(10_000))\n"
# Uses half a second of CPU however long that takes, says how much, and waits for the end of its input.
WORK = """
import time
while time.process_time() < 0.5:
    sum(range(10_000))
print(time.process_time(), flush=True)
input()
"""


@pytest.fixture
def busy() -> Iterator[int]:
    """A process that uses all CPU it gets."""
    process = subprocess.Popen([sys.executable, "-c", BUSY])
    yield process.pid
    process.kill()
    process.wait()


def _cores(pid: int, seconds: float) -> float:
    children = processes.children_of_all()
    before, began = processes.usage(pid, children).cpu_s, time.monotonic()
    time.sleep(seconds)
    return (processes.usage(pid, children).cpu_s - before) / (time.monotonic() - began)


def test_the_cpu_of_a_process_is_what_it_counts_itself() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WORK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        counted = float(process.stdout.readline())
        children = processes.children_of_all()
        seen = processes.usage(process.pid, children)
        process.communicate("\n")
    assert counted <= seen.cpu_s < counted + 0.2
    assert 3 < seen.memory_mib < 200
    assert process.pid in children[os.getpid()]


def test_a_process_that_is_gone_uses_nothing() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert processes.usage(process.pid, {}) == processes.Usage(0.0, 0.0)


def test_own_usage_leaves_out_children(busy: int) -> None:
    before, began = processes.own_usage().cpu_s, time.monotonic()
    time.sleep(1.0)
    assert processes.own_usage().cpu_s - before < 0.5 * (time.monotonic() - began)
    assert busy


def _group_of(pid: int) -> str:
    """The cgroups of a process: a busy machine gives it no more CPU after a limit than within."""
    return (Path("/proc") / str(pid) / "cgroup").read_text()


def test_a_limit_is_kept_with_a_quota_and_not_claimed_without(busy: int) -> None:
    with cpu_limit.limited([busy], 0.3) as limit:
        used = _cores(busy, 2.0)
        if limit.method == cpu_limit.QUOTA:
            assert limit.cores == 0.3
            assert used < 0.36
            assert f"/boxoffice-loadtest-{busy}\n" in _group_of(busy)
        else:
            assert limit.cores == 1.0
            assert len(os.sched_getaffinity(busy)) == 1
    assert len(os.sched_getaffinity(busy)) == processes.cores()
    assert "boxoffice-loadtest" not in _group_of(busy)


def test_without_quota_or_affinity_no_limit_is_claimed(
    monkeypatch: pytest.MonkeyPatch, busy: int
) -> None:
    monkeypatch.setattr(cpu_limit, "_create_group", lambda pid: None)
    with cpu_limit.limited([busy], 0.3) as limit:
        assert (limit.method, limit.cores) == (cpu_limit.AFFINITY, 1.0)
        assert len(os.sched_getaffinity(busy)) == 1
    monkeypatch.setattr(cpu_limit, "_pin", lambda pids: {})
    with cpu_limit.limited([busy], 0.3) as limit:
        assert (limit.method, limit.cores) == (cpu_limit.NOTHING, 1.0)


def test_the_sampler_sees_processes_and_both_servers(settings: Settings, busy: int) -> None:
    began = time.monotonic()
    with Sampler(settings, lambda: {"api": [busy], "harness": [os.getpid()]}, began) as sampler:
        wait_until(lambda: len(sampler.samples) >= 2)
    assert len(sampler.samples) >= 2
    one = sampler.samples[-1]
    assert one.cores["api"] > 0
    assert one.memory_mib["api"] > 3
    assert one.database["connections"] >= 0
    assert one.database["commits"] > 0
    assert one.valkey["commands"] >= 0
    assert one.cpu_busy is not None
    assert one.seconds > 0.9


def test_unreachable_servers_are_left_out() -> None:
    away = Settings.of(
        database_url="postgresql://nobody@127.0.0.1:1/none", valkey_url="redis://127.0.0.1:1"
    )
    with Sampler(away, dict, time.monotonic()) as sampler:
        wait_until(lambda: sampler.samples and sampler.failures)
    assert [(one.database, one.valkey) for one in sampler.samples[:1]] == [({}, {})]
    assert sampler.failures


def test_other_cores_are_busy_and_not_of_the_test() -> None:
    assert windows.other_cores([samples.sample(1.0, cpu_busy=0.75)], 2) == pytest.approx(0.5)
    assert windows.other_cores([samples.sample(1.0, cpu_busy=0.1)], 2) == 0
