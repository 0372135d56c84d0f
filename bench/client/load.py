"""LoadResult from the side of the benchmark: what to send, and a client process that sends it.

The client is a process of its own, so that its CPU never counts as a server's. It is told to go only
when its connections stand and its warm-up is over, so that what is measured between `go` and the result
is the requests and nothing else.
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

    `count` requests are taken from `requests`, from the front again where they run out. Without a
    `rate_per_s` the loop is closed: each connection sends its next request when it has its answer.
    """

    port: int
    connections: int
    requests: list[bytes]
    count: int
    warmup: list[bytes] = []
    rate_per_s: float | None = None
    keep_bodies: bool = False


class LoadResult(msgspec.Struct, kw_only=True):
    """What the client saw; times in seconds and milliseconds, CPU of the client itself."""

    count: int
    wall_s: float
    cpu_s: float
    memory_mib: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    statuses: dict[str, int]
    codes: dict[str, int]
    bodies: list[bytes] = []

    @property
    def rps(self) -> float:
        """Answers per second."""
        return self.count / self.wall_s


class LoadFailed(Exception):
    """The client ended without a result; the message carries what it said."""


def run(
    plan: LoadPlan,
    before: Callable[[], None] = lambda: None,
    after: Callable[[], None] = lambda: None,
) -> LoadResult:
    """Send the plan; `before` and `after` are called right before and right after the measured part."""
    with tempfile.TemporaryDirectory(prefix="boxoffice-bench-load-") as folder:
        written, answer = Path(folder, "plan"), Path(folder, "load")
        written.write_bytes(msgspec.msgpack.encode(plan))
        argv = [sys.executable, "-m", "bench.client.generator", str(written), str(answer)]
        with subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as client:
            try:
                _expect(client, b"ready")
                before()
                _tell_to_go(client)
                _expect(client, b"done")
                after()
                client.wait(_TIMEOUT_S)
            finally:
                if client.poll() is None:
                    client.kill()
        return msgspec.msgpack.decode(answer.read_bytes(), type=LoadResult)


def send_all(port: int, requests: Sequence[bytes], connections: int = 64) -> list[bytes]:
    """Send each request once, outside any measurement, and return the bodies in the same order.

    Raises `LoadFailed` where an answer is not a success.
    """
    plan = LoadPlan(
        port=port,
        connections=min(connections, len(requests)),
        requests=list(requests),
        count=len(requests),
        keep_bodies=True,
    )
    load = run(plan)
    if any(not status.startswith("2") for status in load.statuses):
        raise LoadFailed(f"preparing was answered {load.statuses} {load.codes}")
    return load.bodies


def _tell_to_go(client: "subprocess.Popen[bytes]") -> None:
    stream: Any = client.stdin
    stream.write(b"go\n")
    stream.flush()


def _expect(client: "subprocess.Popen[bytes]", word: bytes) -> None:
    stream: Any = client.stdout
    line = stream.readline().strip()
    if line != word:
        errors: Any = client.stderr
        raise LoadFailed(f"the client said {line!r}: {errors.read().decode()[-2000:]}")
