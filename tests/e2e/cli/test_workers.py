"""A worker that is killed is replaced, and its address forgets nothing that it had counted."""

import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil

from boxoffice.settings import Settings
from tests.e2e.cli.test_commands import TIMEOUT_S, _env, _family, _get, _is_ready
from tests.support.shop import free_port

_LISTED = re.compile(r'^boxoffice_requests_total\{.*route="/v1/concerts",.*\} (\S+)$', re.MULTILINE)


def _metrics(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
        return str(answer.read().decode())


def _files_of(worker: psutil.Process) -> Path:
    return Path(worker.environ()["PROMETHEUS_MULTIPROC_DIR"])


def test_a_killed_worker_leaves_its_counts_and_nothing_else(
    settings: Settings, tmp_path: Path
) -> None:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "boxoffice", "serve", "--workers", "2"],
        cwd=tmp_path,
        env=_env(
            port=port,
            database_url=settings.database.database_url,
            valkey_url=settings.valkey.valkey_url,
        ),
        stdout=subprocess.DEVNULL,
        text=True,
    )
    try:
        until = time.monotonic() + TIMEOUT_S
        while not _is_ready(port) and time.monotonic() < until:
            time.sleep(0.05)
        for _ in range(20):
            _get(f"http://127.0.0.1:{port}/v1/concerts")
        # What a worker has answered it counts a moment later; until then a kill takes it along.
        while _counted(port) != 20 and time.monotonic() < until:
            time.sleep(0.05)
        workers = _family(process)
        folder = _files_of(workers[0])
        for worker in workers:
            worker.kill()
        dead = {str(worker.pid) for worker in workers}
        while _names(folder) & dead and time.monotonic() < until:
            time.sleep(0.05)
        assert not _names(folder) & dead
        while not _is_ready(port) and time.monotonic() < until:
            time.sleep(0.05)
        assert _counted(port) == 20
    finally:
        process.terminate()
        process.communicate(timeout=TIMEOUT_S)


def _counted(port: int) -> float:
    """Return how many lists of concerts were answered, as the metrics have it."""
    return sum(float(counted) for counted in _LISTED.findall(_metrics(port)))


def _names(folder: Path) -> set[str]:
    """Return the process ids for which there are files."""
    return {file.stem.rpartition("_")[2] for file in folder.iterdir()}
