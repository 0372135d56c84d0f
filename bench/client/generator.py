"""The load client: `python -m bench.client.generator PLAN RESULT`, one process, one thread.

It sends prebuilt bytes and reads only status and length of an answer, because on a small machine it
takes CPU from the measured servers.
"""

import asyncio
import gc
import random
import re
import resource
import sys
import time
from array import array
from collections import Counter, deque
from pathlib import Path

import msgspec
import uvloop

from bench.client.load import LoadPlan, LoadResult
from boxoffice.platform.processes.file_limit import raise_file_limit

_HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_RETRY_AFTER = re.compile(rb"\r\nretry-after: *(\d+)", re.IGNORECASE)
_CODE = re.compile(rb'"code":"(\w+)"')
_SHED = frozenset({429, 503})
_TIMEOUT_S = 150.0
_SPIKE_TIMEOUT_S = 600.0
_OTHER_FILES = 64
_SEED = 88


class RequestSender:
    """Sends the requests of a plan over its connections and times each."""

    def __init__(self, plan: LoadPlan, requests: list[bytes], count: int) -> None:
        self._plan = plan
        self._requests = requests
        self._count = count
        self._sent = 0
        self._answered = 0
        self._idle: list[ClientConnection] = []
        self._is_open = False
        self._waiting: deque[tuple[int, float]] = deque()
        self._offered_at: float | None = None
        self._repeats: deque[int] = deque()
        self.retried = 0
        self.seconds = array("d", bytes(8 * count))
        self.statuses: Counter[int] = Counter()
        self.codes: Counter[str] = Counter()
        self.bodies: list[bytes] = [b""] * count if plan.keep_bodies else []
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def start(self, connections: "list[ClientConnection]", rate_per_s: float | None) -> None:
        """Start sending; `finished` is set at the end."""
        if not self._count:
            self.finished.set_result(None)
            return
        for connection in connections:
            connection.sender = self
        if rate_per_s is None:
            if self._plan.at_once:
                self._offered_at = time.perf_counter()
            self._idle = list(connections[self._count :])
            for connection in connections[: self._count]:
                self._send_next(connection)
            return
        self._is_open = True
        self._idle = list(connections)
        self._gaps = random.Random(_SEED)  # noqa: S311 — arrivals, not secrets
        self._rate_per_s = rate_per_s
        self._due = asyncio.get_running_loop().time()
        self._arrive()

    def _send_next(self, connection: "ClientConnection") -> None:
        self._send(connection, self._sent, self._offered_at or time.perf_counter())
        self._sent += 1

    def _send(self, connection: "ClientConnection", number: int, at: float) -> None:
        connection.send(self._requests[number % len(self._requests)], number, at)

    def _arrive(self) -> None:
        """Send one request, whether or not earlier ones are answered (open model)."""
        number, now = self._sent, time.perf_counter()
        self._sent += 1
        if self._idle:
            self._send(self._idle.pop(), number, now)
        else:
            self._waiting.append((number, now))
        if self._sent < self._count:
            self._due += self._gaps.expovariate(self._rate_per_s)
            asyncio.get_running_loop().call_at(self._due, self._arrive)

    def answered(self, connection: "ClientConnection", status: int, body: bytearray) -> None:
        """Record an answer and send the next request on its connection."""
        if self._plan.at_once and status in _SHED:
            self._repeat_later(connection)
            return
        self.seconds[connection.number] = time.perf_counter() - connection.sent_at
        self.statuses[status] += 1
        if status >= 400 and (found := _CODE.search(body)):
            self.codes[found[1].decode()] += 1
        if self.bodies:
            self.bodies[connection.number] = bytes(body)
        self._answered += 1
        if self._answered == self._count:
            self.finished.set_result(None)
        elif self._is_open:
            self._release(connection)
        else:
            self._continue(connection)

    def _continue(self, connection: "ClientConnection") -> None:
        if self._repeats:
            self._send(connection, self._repeats.popleft(), self._offered_at or 0.0)
        elif self._sent < self._count:
            self._send_next(connection)
        else:
            self._idle.append(connection)

    def _repeat_later(self, connection: "ClientConnection") -> None:
        """Repeat a request that was shed, not before its `Retry-After`."""
        self.retried += 1
        loop = asyncio.get_running_loop()
        loop.call_later(connection.retry_after_s, self._repeat, connection.number)
        self._continue(connection)

    def _repeat(self, number: int) -> None:
        self._repeats.append(number)
        if self._idle:
            self._continue(self._idle.pop())

    def _release(self, connection: "ClientConnection") -> None:
        if self._waiting:
            self._send(connection, *self._waiting.popleft())
        else:
            self._idle.append(connection)

    def failed(self, error: Exception | None) -> None:
        """Fail: a closed connection spoils the measurement."""
        if not self.finished.done():
            self.finished.set_exception(
                error or ConnectionError("the server closed the connection")
            )


class ClientConnection(asyncio.Protocol):
    """One keep-alive connection with at most one request in flight."""

    sender: RequestSender

    def __init__(self) -> None:
        self.number = 0
        self.sent_at = 0.0
        self.retry_after_s = 0.0
        self._got = bytearray()
        self._status = 0
        self._missing = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the run."""
        self.sender.failed(exc)

    def send(self, request: bytes, number: int, at: float) -> None:
        """Send `request`; its latency counts from `at`."""
        self.number = number
        self.sent_at = at
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Read one answer."""
        got = self._got
        got += data
        if self._missing < 0:
            head = got.find(_HEAD_END)
            if head < 0:
                return
            self._status = int(got[9:12])
            if self._status in _SHED:
                seconds = _RETRY_AFTER.search(got, 0, head + 2)
                self.retry_after_s = float(seconds[1]) if seconds else 1.0
            length = _LENGTH.search(got, 0, head + 2)
            self._missing = int(length[1]) if length and self._status != 304 else 0
            del got[: head + 4]
        if len(got) >= self._missing:
            self._got = bytearray()
            self._missing = -1
            self.sender.answered(self, self._status, got)

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()


async def send(plan: LoadPlan) -> LoadResult:
    """Connect, warm up, print `ready`, wait for `go`, and measure."""
    loop = asyncio.get_running_loop()
    files = raise_file_limit(plan.connections + _OTHER_FILES)
    opened = [
        await loop.create_connection(ClientConnection, "127.0.0.1", plan.port)
        for _ in range(min(plan.connections, files - _OTHER_FILES))
    ]
    connections = [connection for _, connection in opened]
    warmup = RequestSender(plan, plan.warmup, len(plan.warmup))
    for connection in connections:
        connection.sender = warmup
    warmup.start(connections, None)
    async with asyncio.timeout(_TIMEOUT_S):
        await warmup.finished
    sender = RequestSender(plan, plan.requests, plan.count)
    gc.collect()
    gc.disable()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    cpu_s, started_at = time.process_time(), time.perf_counter()
    sender.start(connections, plan.rate_per_s)
    async with asyncio.timeout(_SPIKE_TIMEOUT_S if plan.at_once else _TIMEOUT_S):
        await sender.finished
    wall_s, cpu_s = time.perf_counter() - started_at, time.process_time() - cpu_s
    for connection in connections:
        connection.close()
    return msgspec.structs.replace(
        _load(sender, plan.count, wall_s, cpu_s), retried=sender.retried, connections=len(opened)
    )


def _load(sender: RequestSender, count: int, wall_s: float, cpu_s: float) -> LoadResult:
    ordered = sorted(sender.seconds)
    return LoadResult(
        count=count,
        wall_s=wall_s,
        cpu_s=cpu_s,
        memory_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        p50_ms=percentile(ordered, 50) * 1000,
        p95_ms=percentile(ordered, 95) * 1000,
        p99_ms=percentile(ordered, 99) * 1000,
        statuses={str(status): number for status, number in sorted(sender.statuses.items())},
        codes=dict(sender.codes),
        bodies=sender.bodies,
    )


def percentile(ordered: list[float], percent: int) -> float:
    """Return a percentile by the nearest-rank method."""
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def main() -> None:
    """Run one plan."""
    plan_file, result_file = sys.argv[1:]
    plan = msgspec.msgpack.decode(Path(plan_file).read_bytes(), type=LoadPlan)
    load = uvloop.run(send(plan))
    Path(result_file).write_bytes(msgspec.msgpack.encode(load))
    sys.stdout.write("done\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
