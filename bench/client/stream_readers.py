"""Many open event streams in one process: `python -m bench.client.stream_readers PORT PATH COUNT`.

It reports once when each stream has had its first event, and then for each line on its standard input.
It only counts the ends of events, because on a small machine it takes CPU from the measured server.
"""

import asyncio
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import uvloop

from boxoffice.platform.processes.file_limit import raise_file_limit

_REQUEST = "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n"
_OTHER_FILES = 64
_CONNECTS_AT_ONCE = 100
_TIMEOUT_S = 90.0


class StreamCounts(msgspec.Struct):
    """Events so far and open streams; `cpu_s` is that of the reading process."""

    events: int
    open: int
    cpu_s: float


class _StreamTotals:
    """Counts over all streams of the process."""

    def __init__(self, expected: int) -> None:
        self.events = 0
        self.open = 0
        self.all_started = asyncio.Event()
        self._to_start = expected

    def started(self) -> None:
        """Count a stream that had its first event."""
        self._to_start -= 1
        if not self._to_start:
            self.all_started.set()


class StreamReader(asyncio.Protocol):
    """One event stream."""

    def __init__(self, totals: _StreamTotals, request: bytes) -> None:
        self._totals = totals
        self._request = request
        self._ends_with_lf = False
        self._head = bytearray()
        self._is_started = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the request."""
        self._totals.open += 1
        transport.write(self._request)  # type: ignore[attr-defined]

    def connection_lost(self, exc: Exception | None) -> None:
        """Count the end of the stream."""
        self._totals.open -= 1

    def data_received(self, data: bytes) -> None:
        """Count the ends of events, including one that is split between two reads."""
        if not self._is_started:
            self._start(data)
            return
        self._totals.events += data.count(b"\n\n") + (self._ends_with_lf and data[:1] == b"\n")
        self._ends_with_lf = data[-1:] == b"\n" and data[-2:] != b"\n\n"

    def _start(self, data: bytes) -> None:
        self._head += data
        if b"\nevent: " in self._head and self._head.endswith(b"\n\n"):
            self._is_started = True
            self._head = bytearray()
            self._totals.started()


async def read_streams(port: int, path: str, count: int) -> None:
    """Open the streams and report counts until standard input ends."""
    loop = asyncio.get_running_loop()
    totals = _StreamTotals(count)
    request = _REQUEST.format(path=path).encode()
    for at in range(0, count, _CONNECTS_AT_ONCE):
        await asyncio.gather(
            *(
                loop.create_connection(lambda: StreamReader(totals, request), "127.0.0.1", port)
                for _ in range(min(_CONNECTS_AT_ONCE, count - at))
            )
        )
    async with asyncio.timeout(_TIMEOUT_S):
        await totals.all_started.wait()
    _report(StreamCounts(0, totals.open, time.process_time()))
    while (await loop.run_in_executor(None, sys.stdin.readline)).strip():
        _report(StreamCounts(totals.events, totals.open, time.process_time()))


def _report(counts: StreamCounts) -> None:
    sys.stdout.write(msgspec.json.encode(counts).decode() + "\n")
    sys.stdout.flush()


class StreamReaders:
    """The reading process, as the benchmark controls it."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self._read()

    def count(self) -> StreamCounts:
        """Return the counts since the streams were opened."""
        stream: Any = self._process.stdin
        stream.write(b"count\n")
        stream.flush()
        return self._read()

    def _read(self) -> StreamCounts:
        stream: Any = self._process.stdout
        return msgspec.json.decode(stream.readline(), type=StreamCounts)


@contextmanager
def reading_streams(port: int, path: str, count: int) -> Iterator[StreamReaders]:
    """Keep `count` streams open until the block is left; each has had its first event."""
    argv = [sys.executable, "-m", "bench.client.stream_readers", str(port), path, str(count)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield StreamReaders(process)
        finally:
            process.kill()


def main() -> None:
    """Run the reading process."""
    port, path, count = sys.argv[1:]
    files_max = raise_file_limit(int(count) + _OTHER_FILES)
    if files_max != resource.RLIM_INFINITY and files_max < int(count):
        sys.exit(f"this process may open {files_max} files only")
    uvloop.run(read_streams(int(port), path, int(count)))


if __name__ == "__main__":
    main()
