"""The servers that are measured, each in processes of its own."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path

import psutil

from bench.measurement.cpu import ProcessGroup

_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 30.0

APP = ("boxoffice", "serve")
BASELINE = ("bench.baselines.bare_server",)
LOCK_PER_REQUEST = ("bench.baselines.lock_per_request",)


class ServerProcessFailed(Exception):
    """A server did not start or did not stop as it should."""


def clean_environment() -> dict[str, str]:
    """Return this process's environment without settings of the shop."""
    return {key: text for key, text in os.environ.items() if not key.startswith("BOXOFFICE_")}


class Server:
    """One server that listens on a port of its own; `{port}` in its arguments stands for that port."""

    def __init__(self, argv: Sequence[str], env: dict[str, str], log: Path) -> None:
        self.port = _free_port()
        self._log = log
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *(part.format(port=self.port) for part in argv)],
                env={**clean_environment(), **env, "BOXOFFICE_PORT": str(self.port)},
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    @property
    def group(self) -> ProcessGroup:
        """Its processes."""
        return ProcessGroup("app", self._process.pid)

    def get(self, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        """Ask once and return status, headers in lower case and body."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            found = {name.lower(): text for name, text in answer.getheaders()}
            return answer.status, found, answer.read()
        finally:
            connection.close()

    def batches(self) -> "BatchCounters":
        """Return the batch sizes that its workers have counted so far."""
        return BatchCounters.parse(self.get("/metrics", {})[2].decode())

    def wait_until_ready(self) -> None:
        """Return when it serves; raise `ServerProcessFailed` with the end of its log where it does not."""
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
        raise ServerProcessFailed(f"a server did not start: {self.said()}")

    def stop(self) -> None:
        """Ask it to stop; raise `ServerProcessFailed` where it does not end well."""
        if self.is_running:
            self.terminate()
        try:
            code = self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ServerProcessFailed("a server did not stop in time") from None
        if code != 0:
            raise ServerProcessFailed(f"a server ended with {code}: {self.said()}")

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def terminate(self) -> None:
        """Send SIGTERM and return at once."""
        self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it and everything below it at once."""
        if self.is_running:
            for process in list(self.group.processes()):
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            self._process.wait()

    def said(self) -> str:
        """Return the end of what it has written."""
        return self._log.read_text(errors="replace")[-2000:]


class BatchCounters:
    """BatchCounters of the group commit: how many, of how many commands; by upper bound in `buckets`."""

    def __init__(self, commands: float, batches: float, buckets: dict[str, float]) -> None:
        self.commands = commands
        self.batches = batches
        self.buckets = buckets

    @classmethod
    def parse(cls, text: str) -> "BatchCounters":
        """Read the metrics page of a server; one that has none had no batches."""
        sums = {"sum": 0.0, "count": 0.0}
        buckets: dict[str, float] = {}
        for line in text.splitlines():
            found = re.match(r"boxoffice_batch_commands_(sum|count|bucket)\{(.*)\} (\S+)$", line)
            if found is None:
                continue
            if found[1] == "bucket":
                bound = re.search(r'le="([^"]+)"', found[2])
                name = bound[1].removesuffix(".0") if bound else ""
                buckets[name] = buckets.get(name, 0.0) + float(found[3])
            else:
                sums[found[1]] += float(found[3])
        return cls(sums["sum"], sums["count"], buckets)

    def since(self, before: "BatchCounters") -> "BatchCounters":
        """Return what came after `before`."""
        buckets = {
            bound: count - before.buckets.get(bound, 0.0) for bound, count in self.buckets.items()
        }
        return BatchCounters(
            self.commands - before.commands, self.batches - before.batches, buckets
        )

    @property
    def mean(self) -> float:
        """Return the mean size, 0 without batches."""
        return self.commands / self.batches if self.batches else 0.0

    @property
    def sizes(self) -> dict[str, int]:
        """Return how many batches had at most so many commands and more than the bound before."""
        sizes, below = {}, 0.0
        for bound, count in self.buckets.items():
            if count > below:
                sizes[bound] = round(count - below)
            below = max(below, count)
        return sizes


@contextmanager
def running(argv: Sequence[str], env: dict[str, str], log: Path) -> Iterator[Server]:
    """Run a server until the block is left."""
    server = Server(argv, env, log)
    try:
        server.wait_until_ready()
        yield server
        server.stop()
    finally:
        server.kill()


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
