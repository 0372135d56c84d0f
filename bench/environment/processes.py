"""The measured servers, each in processes of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path

import psutil

from bench.environment.batch_counters import BatchCounters
from bench.environment.cpu import MeasuredGroup
from boxoffice_embedded.servers.home import free_port

_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 30.0

APP = ("boxoffice", "serve")
BARE_SERVER = ("bench.baselines.bare_server",)
LOCK_PER_REQUEST = ("bench.baselines.lock_per_request",)


class ServerProcessFailed(Exception):
    """A server did not start or did not stop cleanly."""


def clean_environment() -> dict[str, str]:
    """Return this process's environment without settings of the shop."""
    return {key: text for key, text in os.environ.items() if not key.startswith("BOXOFFICE_")}


class ServerProcess:
    """One server on `port`, or a free one; `{port}` in its arguments is replaced by that port."""

    def __init__(self, argv: Sequence[str], env: dict[str, str], log: Path, port: int = 0) -> None:
        self.port = port or free_port(0)
        self._log = log
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *(part.format(port=self.port) for part in argv)],
                env={**clean_environment(), **env, "BOXOFFICE_PORT": str(self.port)},
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    @property
    def group(self) -> MeasuredGroup:
        """The processes of the server."""
        return MeasuredGroup("app", self._process.pid)

    def get(self, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        """Send a GET and return status, headers in lower case and body."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            found = {name.lower(): text for name, text in answer.getheaders()}
            return answer.status, found, answer.read()
        finally:
            connection.close()

    def batches(self) -> BatchCounters:
        """Return the batch sizes that its workers have counted so far."""
        return BatchCounters.parse(self.get("/metrics", {})[2].decode())

    def wait_until_ready(self) -> None:
        """Return when it is ready; raise `ServerProcessFailed` with the end of its log if it is not."""
        until = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < until:
            if self._process.poll() is not None:
                break
            try:
                if self.get("/readyz", {})[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.02)
        raise ServerProcessFailed(f"a server did not start: {self.log_tail()}")

    def stop(self) -> None:
        """Stop it; raise `ServerProcessFailed` if it hangs or its exit code is not 0."""
        if self.is_running:
            self.terminate()
        try:
            code = self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ServerProcessFailed("a server did not stop in time") from None
        if code != 0:
            raise ServerProcessFailed(f"a server ended with {code}: {self.log_tail()}")

    @property
    def is_running(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def terminate(self) -> None:
        """Send SIGTERM without waiting."""
        self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it and its children."""
        if self.is_running:
            for process in list(self.group.processes()):
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            self._process.wait()

    def log_tail(self) -> str:
        """Return the end of its log."""
        return self._log.read_text(errors="replace")[-2000:]


@contextmanager
def running(argv: Sequence[str], env: dict[str, str], log: Path) -> Iterator[ServerProcess]:
    """Run a server until the block is left."""
    server = ServerProcess(argv, env, log)
    try:
        server.wait_until_ready()
        yield server
        server.stop()
    finally:
        server.kill()
