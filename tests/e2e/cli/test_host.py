"""`serve --host`: the address of every worker, of its metrics, and of the log."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from boxoffice.settings import Settings
from tests.e2e.cli.test_commands import TIMEOUT_S, _env
from tests.support.shop import dying_with_us, free_port


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310 — our own address
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.mark.skipif(
    not Path("/proc/net/if_inet6").exists(), reason="this machine has no address of IPv6"
)
def test_workers_serve_their_metrics_on_the_address_of_the_option(
    settings: Settings, tmp_path: Path
) -> None:
    port, metrics_port, log = free_port(), free_port(), tmp_path / "log"
    host, address = "::1", "[::1]"
    servers = {
        "database_url": settings.database.database_url,
        "valkey_url": settings.valkey.valkey_url,
    }
    argv = ["serve", "--host", host, "--port", str(port), "--workers", "2"]
    with log.open("wb") as out:
        process = subprocess.Popen(
            dying_with_us([sys.executable, "-m", "boxoffice", *argv]),
            env=_env(metrics_port=metrics_port, **servers),
            stdout=out,
            stderr=out,
        )
    until = time.monotonic() + TIMEOUT_S
    while not _answers(f"http://{address}:{port}/readyz") and time.monotonic() < until:
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    try:
        # The other worker may be the one that serves them, and start later.
        while not _answers(f"http://{address}:{metrics_port}/metrics"):
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.05)
    finally:
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(TIMEOUT_S) == 0
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    assert {one["host"] for one in lines if one["event"] == "serving"} == {host}
