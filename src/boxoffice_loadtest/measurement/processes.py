"""CPU and memory of processes, from /proc; on Linux only."""

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_MIB = 1 << 20
_NS = 1_000_000_000
# Fields of /proc/<pid>/stat after the name in parentheses (proc_pid_stat(5)).
_PARENT, _CHILDREN_USER, _CHILDREN_SYSTEM = 1, 13, 14


@dataclass(frozen=True)
class Usage:
    """CPU that a process tree has used so far, and its current memory."""

    cpu_s: float
    memory_mib: float


def children_of_all() -> Mapping[int, list[int]]:
    """Return the children of every running process."""
    children: dict[int, list[int]] = {}
    for name in os.listdir(_PROC):
        if name.isdigit() and (fields := _stat(int(name))):
            children.setdefault(int(fields[_PARENT]), []).append(int(name))
    return children


def usage(top: int, children: Mapping[int, list[int]]) -> Usage:
    """Return the usage of `top` and its descendants.

    A parent accounts for the CPU of ended children, so it stays in the sum. Shared memory, such as
    PostgreSQL's buffers, counts once.
    """
    pids = list(_below(top, children))
    private, shared = 0.0, 0.0
    for pid in pids:
        own, common = _memory_mib(pid)
        private += own
        shared = max(shared, common)
    return Usage(sum(map(_cpu_s, pids)) + _reaped_s(top), private + shared)


def wakeups(pid: int) -> int:
    """Return how often the main thread of a process has been woken from waiting so far."""
    try:
        for line in (_PROC / str(pid) / "status").read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


def own_usage() -> Usage:
    """Return the usage of this process without its children."""
    private, shared = _memory_mib(os.getpid())
    return Usage(_cpu_s(os.getpid()), private + shared)


def _below(top: int, children: Mapping[int, list[int]]) -> Iterable[int]:
    pending = [top]
    while pending:
        pid = pending.pop()
        yield pid
        pending += children.get(pid, [])


def _stat(pid: int) -> list[str]:
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _cpu_s(pid: int) -> float:
    try:
        # The CPU clock of another process (clock_getcpuclockid(3)) is exact; /proc has hundredths.
        return time.clock_gettime_ns((~pid << 3) | 2) / _NS
    except OSError:
        return 0.0


def _reaped_s(pid: int) -> float:
    fields = _stat(pid)
    if not fields:
        return 0.0
    return (int(fields[_CHILDREN_USER]) + int(fields[_CHILDREN_SYSTEM])) / _TICKS_PER_S


def _memory_mib(pid: int) -> tuple[float, float]:
    """Return (private, shared) resident memory."""
    try:
        fields = (_PROC / str(pid) / "statm").read_text().split()
    except OSError:
        return 0.0, 0.0
    resident, shared = int(fields[1]), int(fields[2])
    return (resident - shared) * _PAGE_BYTES / _MIB, shared * _PAGE_BYTES / _MIB


def machine_cpu_s() -> tuple[float, float] | None:
    """Return (busy, idle) CPU seconds of the machine since its start; None if unknown."""
    try:
        fields = (_PROC / "stat").read_text().split("\n", 1)[0].split()[1:9]
    except OSError:
        return None
    user, nice, system, idle, waiting, irq, softirq, steal = (int(one) for one in fields)
    busy = user + nice + system + irq + softirq + steal
    return busy / _TICKS_PER_S, (idle + waiting) / _TICKS_PER_S


def is_supported() -> bool:
    """Whether this system has /proc."""
    return (_PROC / "self" / "statm").exists()


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor() -> str:
    """Return the name of the processor, else of its architecture."""
    try:
        for line in (_PROC / "cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return os.uname().machine


def memory_gib() -> float:
    """Return the machine's memory; 0 if unknown."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * _PAGE_BYTES / (1 << 30)
    except (OSError, ValueError):
        return 0.0
