"""What runs, and since when."""

import platform
import time
from importlib.metadata import version

from prometheus_client import Gauge

BUILD_INFO = Gauge(
    "boxoffice_build_info",
    "Always 1; the labels say which release runs on which Python, and the commit of the image.",
    ("version", "python", "commit"),
    multiprocess_mode="livemax",
)
START_TIME_SECONDS = Gauge(
    "boxoffice_start_time_seconds",
    "Unix time at which the process started; of several workers, the newest one's.",
    multiprocess_mode="livemax",
)


def announce_build(commit: str) -> None:
    """Set both; `commit` is empty where the build did not name one."""
    BUILD_INFO.labels(version("boxoffice"), platform.python_version(), commit).set(1)
    START_TIME_SECONDS.set(time.time())
