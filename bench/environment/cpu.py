"""CPU and memory of the servers, from the accounts of the operating system."""

import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

_NS = 1_000_000_000
_LINUX = platform.system() == "Linux"


@dataclass(frozen=True)
class MeasuredGroup:
    """The processes of one server: `pid` and everything below it."""

    name: str
    pid: int

    def processes(self) -> Iterator[psutil.Process]:
        """Yield the running processes, the topmost first."""
        top = psutil.Process(self.pid)
        yield top
        yield from top.children(recursive=True)

    def cpu_ns(self) -> int:
        """Return the CPU that the group has used so far.

        A parent accounts for its children that ended, so the difference of two readings counts each
        process exactly once.
        """
        return sum(_cpu_ns(process) for process in self.processes()) + _reaped_ns(self.pid)

    def peak_mib(self) -> float:
        """Return the peak resident memory of the largest process."""
        return max(_peak_mib(process) for process in self.processes())

    def resident_mib(self) -> float:
        """Return the memory of all processes now; shared pages count once."""
        return sum(_resident_bytes(process) for process in self.processes()) / 2**20


def _resident_bytes(process: psutil.Process) -> int:
    try:
        info = process.memory_full_info()
    except psutil.Error:
        return 0
    # Without PSS (not on Linux), shared pages count for each process.
    resident: int = getattr(info, "pss", info.rss)
    return resident


def _cpu_ns(process: psutil.Process) -> int:
    """Return the CPU of a process with its ended threads; 0 if the process is gone."""
    if _LINUX:
        try:
            # The CPU clock of another process (clock_getcpuclockid(3)) is exact; /proc/<pid>/stat has
            # hundredths of a second.
            return time.clock_gettime_ns((~process.pid << 3) | 2)
        except OSError:
            return 0
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0
    return int((times.user + times.system) * _NS)


def _reaped_ns(pid: int) -> int:
    times = psutil.Process(pid).cpu_times()
    # Systems without this account miss processes that end during the measurement.
    user = getattr(times, "children_user", 0.0)
    system = getattr(times, "children_system", 0.0)
    return int((user + system) * _NS)


def _peak_mib(process: psutil.Process) -> float:
    try:
        if _LINUX:
            for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) / 1024
            return 0.0
        return float(process.memory_info().rss) / 2**20
    except (psutil.NoSuchProcess, OSError):
        return 0.0


class CpuMeter:
    """Reads the CPU of groups before and after a measurement; differences in microseconds."""

    def __init__(self, groups: list[MeasuredGroup]) -> None:
        self._groups = groups
        self._before: dict[str, int] = {}
        self._after: dict[str, int] = {}

    def start(self) -> None:
        """Read before the measurement."""
        self._before = {group.name: group.cpu_ns() for group in self._groups}

    def stop(self) -> None:
        """Read after the measurement."""
        self._after = {group.name: group.cpu_ns() for group in self._groups}

    def cpu_us(self) -> dict[str, float]:
        """Return what each group used between `start` and `stop`."""
        return {name: (self._after[name] - before) / 1000 for name, before in self._before.items()}

    def peaks_mib(self) -> dict[str, float]:
        """Return the peak memory of the largest process of each group."""
        return {group.name: group.peak_mib() for group in self._groups}
