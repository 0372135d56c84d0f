"""The machine that the figures were measured on."""

import os
import platform
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path

import psutil


def about(module: str) -> dict[str, str]:
    """Return date, command, machine and system of this run of `python -m module`."""
    memory_gib = psutil.virtual_memory().total >> 30
    return {
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "command": shlex.join(["python", "-m", module, *sys.argv[1:]]),
        "machine": f"{os.cpu_count()} cores, {_processor()}, {memory_gib} GiB",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "load before": load_average(),
    }


def load_average() -> str:
    """Return the load averages of 1, 5 and 15 minutes."""
    return " ".join(f"{value:.2f}" for value in os.getloadavg())


def file_system(folder: Path) -> str:
    """Return the file system type: on one in memory a commit costs no disk write."""
    mounts = [
        part for part in psutil.disk_partitions(all=True) if folder.is_relative_to(part.mountpoint)
    ]
    return max(mounts, key=lambda part: len(part.mountpoint)).fstype if mounts else "unknown"


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
