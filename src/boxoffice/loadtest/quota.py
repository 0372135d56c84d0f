"""Holds processes to a share of a core: by a quota of the kernel, else by an affinity."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
    """Hold processes to `share` of a core until the block is left.

    Where the kernel gives no quota, they get one core for themselves as far as affinity goes, and
    the share that is told is 1: nobody is told of a quota that was not set.
    """
    group = _group()
    if group is not None and _limit(group, pids, share):
        try:
            yield Held(QUOTA, share)
        finally:
            _free(group, pids)
        return
    if group is not None:
        _free(group, pids)
    former = _pin(pids)
    try:
        yield Held(AFFINITY if former else NOTHING, 1.0)
    finally:
        for pid, cores in former.items():
            with contextlib.suppress(OSError):
                os.sched_setaffinity(pid, cores)


def _group() -> Path | None:
    """Make a control group of our own, of version 2 or of version 1; None where we may not."""
    own = f"boxoffice-loadtest-{os.getpid()}"
    parents = (_ROOT, _ROOT / "unified", _ROOT / "cpu")
    for parent in parents:
        with contextlib.suppress(OSError):
            group = parent / own
            group.mkdir()
            if (group / "cpu.max").exists() or (group / "cpu.cfs_quota_us").exists():
                return group
            group.rmdir()
    return None


def _limit(group: Path, pids: Sequence[int], share: float) -> bool:
    allowed_us = int(share * _PERIOD_US)
    try:
        if (group / "cpu.max").exists():
            (group / "cpu.max").write_text(f"{allowed_us} {_PERIOD_US}")
        else:
            (group / "cpu.cfs_period_us").write_text(str(_PERIOD_US))
            (group / "cpu.cfs_quota_us").write_text(str(allowed_us))
        for pid in pids:
            (group / "cgroup.procs").write_text(str(pid))
    except OSError:
        return False
    return True


def _free(group: Path, pids: Sequence[int]) -> None:
    """Put the processes back where they were, and take the group away."""
    for pid in pids:
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
