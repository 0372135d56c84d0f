"""Holds processes to a share of a core: by a quota of the kernel, else by an affinity."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_PERIOD_US = 20_000

QUOTA, AFFINITY, NOTHING = "quota", "affinity", "nothing"


@dataclass(frozen=True)
class Held:
    """How processes are held, and to how many cores."""

    way: str
    share: float


@contextmanager
def held(pids: Sequence[int], share: float) -> Iterator[Held]:
    """Hold each of the processes to `share` of a core until the block is left.

    Where the kernel gives no quota, they get one core as far as affinity goes, and the share that is
    told is 1: nobody is told of a quota that was not set.
    """
    with ExitStack() as stack:
        if all(_is_held(stack, pid, share) for pid in pids):
            yield Held(QUOTA, share)
            return
    former = _pin(pids)
    try:
        yield Held(AFFINITY if former else NOTHING, 1.0)
    finally:
        for pid, cores in former.items():
            with contextlib.suppress(OSError):
                os.sched_setaffinity(pid, cores)


def is_possible() -> bool:
    """Whether the kernel lets us set a quota."""
    group = _group(os.getpid())
    if group is not None:
        _free(group, os.getpid())
    return group is not None


def _is_held(stack: ExitStack, pid: int, share: float) -> bool:
    group = _group(pid)
    if group is None:
        return False
    stack.callback(_free, group, pid)
    return _limit(group, pid, share)


def _group(pid: int) -> Path | None:
    """Make a control group for a process, of version 2 or of version 1; None where we may not."""
    for parent in (_ROOT, _ROOT / "unified", _ROOT / "cpu"):
        with contextlib.suppress(OSError):
            group = parent / f"boxoffice-loadtest-{pid}"
            group.mkdir()
            if (group / "cpu.max").exists() or (group / "cpu.cfs_quota_us").exists():
                return group
            group.rmdir()
    return None


def _limit(group: Path, pid: int, share: float) -> bool:
    allowed_us = int(share * _PERIOD_US)
    try:
        if (group / "cpu.max").exists():
            (group / "cpu.max").write_text(f"{allowed_us} {_PERIOD_US}")
        else:
            (group / "cpu.cfs_period_us").write_text(str(_PERIOD_US))
            (group / "cpu.cfs_quota_us").write_text(str(allowed_us))
        (group / "cgroup.procs").write_text(str(pid))
    except OSError:
        return False
    return True


def _free(group: Path, pid: int) -> None:
    """Put the process back where it was, and take the group away."""
    with contextlib.suppress(OSError):
        (group.parent / "cgroup.procs").write_text(str(pid))
    with contextlib.suppress(OSError):
        group.rmdir()


def _pin(pids: Sequence[int]) -> dict[int, set[int]]:
    if not hasattr(os, "sched_setaffinity"):
        return {}
    former: dict[int, set[int]] = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            cores = os.sched_getaffinity(pid)
            os.sched_setaffinity(pid, {max(cores)})
            former[pid] = cores
    return former
