"""A simulated Toss Payments beside the server; its CPU is not counted for the shop."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from bench.environment.processes import clean_environment

_SECRET_KEY = "test_sk_simulator00000000"  # noqa: S105 — the simulator's
_CLIENT_KEY = "test_ck_simulator00000000"


@dataclass(frozen=True)
class BenchProvider:
    """The settings of a shop at the simulator, and the port that lets buyers finish."""

    env: Mapping[str, str]
    control_port: int


@contextmanager
def simulated_provider(folder: Path) -> Iterator[BenchProvider]:
    """Run a simulator whose book is in `folder`."""
    command = [sys.executable, "-m", "boxoffice", "simulate", "toss", "--data", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=clean_environment())
    try:
        if process.stdout is None:
            raise OSError("the simulator has no output")
        ready = msgspec.json.decode(process.stdout.readline())
        env = {
            "BOXOFFICE_TOSS_SECRET_KEY": _SECRET_KEY,
            "BOXOFFICE_TOSS_CLIENT_KEY": _CLIENT_KEY,
            "BOXOFFICE_TOSS_API_URL": ready["url"],
            "BOXOFFICE_TOSS_SDK_URL": ready["url"] + "/v2/standard",
        }
        yield BenchProvider(env, urlsplit(ready["control_url"]).port or 0)
    finally:
        process.terminate()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
