"""The API processes of an embedded target."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from boxoffice.platform.processes.supervisor import wrapped_command
from boxoffice.settings import Settings
from boxoffice_loadtest.errors import LoadtestError, TargetUnfit
from boxoffice_loadtest.measurement import processes
from boxoffice_loadtest.measurement.api_client import request

_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 60.0
_FREE_EXPIRIES_MAX = 1_000_000


class ApiProcesses:
    """`boxoffice serve` with its workers."""

    def __init__(self, settings: Settings, log: Path, workers: int) -> None:
        self.settings = settings.replace(port=_free_port(), workers=workers)
        self.base_url = f"http://{self.settings.server.authority(self.settings.server.port)}"
        self._log = log
        self._workers: set[int] = set()
        self._process = spawn(["serve"], self.settings, log)

    def wait_until_ready(self) -> None:
        """Return when it is ready; raise `LoadtestError` with the end of its log if it is not."""
        until = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < until and self._process.poll() is None:
            if _is_ready(self.base_url) and len(self._running()) == self.settings.server.workers:
                self._workers = set(self._running())
                return
            time.sleep(0.05)
        log_tail = self._log.read_text(errors="replace")[-600:]
        raise LoadtestError(f"the API did not start: {log_tail}")

    def pids(self) -> list[int]:
        """Return the worker processes."""
        return sorted(self._workers)

    def _running(self) -> list[int]:
        if self.settings.server.workers == 1:
            return [self._process.pid]
        return processes.children_of_all().get(self._process.pid, [])[:]

    def failure(self) -> str | None:
        """Return why it no longer works; None if it works."""
        if self._process.poll() is not None:
            return f"the API ended with code {self._process.returncode}"
        if processes.is_supported() and not self._workers <= set(self._running()):
            return "an API process died"
        return None

    def stop(self) -> None:
        """Stop it, or kill it after a timeout."""
        end(self._process)


def spawn(argv: list[str], settings: Settings, log: Path) -> "subprocess.Popen[bytes]":
    """Start a role of the shop; it ends with this process."""
    env = {name: text for name, text in os.environ.items() if not name.startswith("BOXOFFICE_")}
    env |= {
        "BOXOFFICE_DATABASE_URL": settings.database.database_url,
        "BOXOFFICE_VALKEY_URL": settings.valkey.valkey_url,
        "BOXOFFICE_PORT": str(settings.server.port),
        "BOXOFFICE_WORKERS": str(settings.server.workers),
        # A virtual user stands for many people, each with an abandoned hold now and then.
        "BOXOFFICE_HOLD_LAPSES_FREE_MAX": str(_FREE_EXPIRIES_MAX),
    }
    command = wrapped_command(
        [sys.executable, "-m", "boxoffice", *argv],
        identity="same",
        death_signal=signal.SIGTERM,
        directory=Path.cwd(),
    )
    with log.open("ab") as out:
        return subprocess.Popen(  # noqa: S603 — our own command, no shell
            command, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip


def end(process: "subprocess.Popen[bytes]") -> None:
    """Send SIGTERM, and SIGKILL to the process group after a timeout."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_TIMEOUT_S)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def _is_ready(base_url: str) -> bool:
    try:
        return request(base_url, "GET", "/readyz").status == 200
    except TargetUnfit:
        return False
