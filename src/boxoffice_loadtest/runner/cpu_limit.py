"""Limits the CPU of processes: by a cgroup quota, else by CPU affinity."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_PERIOD_US = 20_000

QUOTA, AFFINITY, NOTHING = "quota", "affinity", "nothing"


@dataclass(frozen=True)
class CpuLimit:
    """The method in effect, and the cores of each process."""

    method: str
    cores: float


@contextmanager
def limited(pids: Sequence[int], cores: float) -> Iterator[CpuLimit]:
    """Limit each process to `cores` until the block is left.

    Without a quota the processes are pinned to one core, and the limit says 1 core.
    """
    with ExitStack() as stack:
        if all(_set_quota(stack, pid, cores) for pid in pids):
            yield CpuLimit(QUOTA, cores)
            return
    former = _pin(pids)
    try:
        yield CpuLimit(AFFINITY if former else NOTHING, 1.0)
    finally:
        for pid, affinity in former.items():
            with contextlib.suppress(OSError):
                os.sched_setaffinity(pid, affinity)


def is_quota_available() -> bool:
    """Whether the kernel lets this process set a quota."""
    group = _create_group(os.getpid())
    if group is not None:
        _remove_group(group, os.getpid())
    return group is not None


def _set_quota(stack: ExitStack, pid: int, cores: float) -> bool:
    group = _create_group(pid)
    if group is None:
        return False
    stack.callback(_remove_group, group, pid)
    return _write_quota(group, pid, cores)


def _create_group(pid: int) -> Path | None:
    """Create a cgroup of version 2 or 1 for a process; None without permission."""
    for parent in (_CGROUPS, _CGROUPS / "unified", _CGROUPS / "cpu"):
        with contextlib.suppress(OSError):
            group = parent / f"boxoffice-loadtest-{pid}"
            group.mkdir()
            if (group / "cpu.max").exists() or (group / "cpu.cfs_quota_us").exists():
                return group
            group.rmdir()
    return None


def _write_quota(group: Path, pid: int, cores: float) -> bool:
    quota_us = int(cores * _PERIOD_US)
    try:
        if (group / "cpu.max").exists():
            (group / "cpu.max").write_text(f"{quota_us} {_PERIOD_US}")
        else:
            (group / "cpu.cfs_period_us").write_text(str(_PERIOD_US))
            (group / "cpu.cfs_quota_us").write_text(str(quota_us))
        (group / "cgroup.procs").write_text(str(pid))
    except OSError:
        return False
    return True


def _remove_group(group: Path, pid: int) -> None:
    """Move the process back to the parent group and remove its own."""
    with contextlib.suppress(OSError):
        (group.parent / "cgroup.procs").write_text(str(pid))
    with contextlib.suppress(OSError):
        group.rmdir()


def _pin(pids: Sequence[int]) -> dict[int, set[int]]:
    """Pin the processes to one core and return their former affinities."""
    if not hasattr(os, "sched_setaffinity"):
        return {}
    former: dict[int, set[int]] = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            affinity = os.sched_getaffinity(pid)
            os.sched_setaffinity(pid, {max(affinity)})
            former[pid] = affinity
    return former
