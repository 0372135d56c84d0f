"""Sends load from a client process, so that the client's CPU is never counted for a server.

The client connects and warms up first. Between `go` and `done` it only sends the measured requests.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

_TIMEOUT_S = 180.0


class LoadPlan(msgspec.Struct, kw_only=True):
    """Prebuilt requests and how to send them.

    The client sends `count` requests and repeats `requests` when they run out. Without `rate_per_s` the
    loop is closed: each connection sends its next request when it has its answer. With `at_once` all
    requests are offered at the start: latency counts from there, also while a request waits for a
    connection, and a request that is shed (429 or 503) is repeated after its `Retry-After`.
    """

    port: int
    connections: int
    requests: list[bytes]
    count: int
    warmup: list[bytes] = []
    rate_per_s: float | None = None
    at_once: bool = False
    keep_bodies: bool = False


class LoadResult(msgspec.Struct, kw_only=True):
    """What the client measured, and its own CPU and memory."""

    count: int
    wall_s: float
    cpu_s: float
    memory_mib: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    statuses: dict[str, int]
    codes: dict[str, int]
    retried: int = 0
    connections: int = 0
    bodies: list[bytes] = []

    @property
    def rps(self) -> float:
        """Answers per second."""
        return self.count / self.wall_s


class LoadFailed(Exception):
    """The client ended without a result; the message has its error output."""


def run(
    plan: LoadPlan,
    before: Callable[[], None] = lambda: None,
    after: Callable[[], None] = lambda: None,
) -> LoadResult:
    """Send the plan; call `before` and `after` right before and after the measured part."""
    with tempfile.TemporaryDirectory(prefix="boxoffice-bench-load-") as folder:
        plan_file, result_file = Path(folder, "plan"), Path(folder, "result")
        plan_file.write_bytes(msgspec.msgpack.encode(plan))
        argv = [sys.executable, "-m", "bench.client.generator", str(plan_file), str(result_file)]
        with subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as client:
            try:
                _expect(client, b"ready")
                before()
                _go(client)
                _expect(client, b"done")
                after()
                client.wait(_TIMEOUT_S)
            finally:
                if client.poll() is None:
                    client.kill()
        return msgspec.msgpack.decode(result_file.read_bytes(), type=LoadResult)


def send_all(
    port: int, requests: Sequence[bytes], connections: int = 64, *, repeats: bool = False
) -> list[bytes]:
    """Send each request once, outside of measurements, and return the bodies in the same order.

    With `repeats`, a request that is shed is repeated after its `Retry-After`. Raises `LoadFailed`
    unless every answer is a success.
    """
    plan = LoadPlan(
        port=port,
        connections=min(connections, len(requests)),
        requests=list(requests),
        count=len(requests),
        at_once=repeats,
        keep_bodies=True,
    )
    result = run(plan)
    if any(not status.startswith("2") for status in result.statuses):
        raise LoadFailed(f"the preparation was answered {result.statuses} {result.codes}")
    return result.bodies


def _go(client: "subprocess.Popen[bytes]") -> None:
    stream: Any = client.stdin
    stream.write(b"go\n")
    stream.flush()


def _expect(client: "subprocess.Popen[bytes]", expected: bytes) -> None:
    stream: Any = client.stdout
    line = stream.readline().strip()
    if line != expected:
        errors: Any = client.stderr
        raise LoadFailed(f"the client wrote {line!r}: {errors.read().decode()[-2000:]}")
