"""Many open event streams in one process: `python -m bench.client.stream_readers PORT PATH COUNT`.

It says when every stream has had its first event, and again for each line that it is sent: what has
come by then. It looks at no more of what comes than where events end, because on a small machine it
takes its CPU from the server that it measures.
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

_ASK = "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n"
_OTHER_FILES = 64
_AT_ONCE = 100
_TIMEOUT_S = 90.0


class StreamCounts(msgspec.Struct):
    """What the counts have seen so far; `cpu_s` is their own, `open` how many are connected."""

    events: int
    open: int
    cpu_s: float


class ReaderCounts:
    """The streams of one process."""

    def __init__(self) -> None:
        self.blocks = 0
        self.open = 0
        self.begun = 0
        self.all_begun = asyncio.Event()
        self.wanted = 0

    def begins(self) -> None:
        """One has had its first event."""
        self.begun += 1
        if self.begun == self.wanted:
            self.all_begun.set()


class StreamReader(asyncio.Protocol):
    """One stream."""

    def __init__(self, counts: ReaderCounts, ask: bytes) -> None:
        self._watchers = counts
        self._ask = ask
        self._ends_with_lf = False
        self._first = bytearray()
        self._has_begun = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the stream."""
        self._watchers.open += 1
        transport.write(self._ask)  # type: ignore[attr-defined]

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended."""
        self._watchers.open -= 1

    def data_received(self, data: bytes) -> None:
        """Count the ends of events, also one that is cut in two."""
        if not self._has_begun:
            self._begin(data)
            return
        self._watchers.blocks += data.count(b"\n\n") + (self._ends_with_lf and data[:1] == b"\n")
        self._ends_with_lf = data[-1:] == b"\n" and data[-2:] != b"\n\n"

    def _begin(self, data: bytes) -> None:
        self._first += data
        if b"\nevent: " in self._first and self._first.endswith(b"\n\n"):
            self._has_begun = True
            self._first = bytearray()
            self._watchers.begins()


async def read_streams(port: int, path: str, count: int) -> None:
    """Open the streams and answer for them until nobody asks any more."""
    loop = asyncio.get_running_loop()
    counts = ReaderCounts()
    counts.wanted = count
    ask = _ASK.format(path=path).encode()
    for at in range(0, count, _AT_ONCE):
        await asyncio.gather(
            *(
                loop.create_connection(lambda: StreamReader(counts, ask), "127.0.0.1", port)
                for _ in range(min(_AT_ONCE, count - at))
            )
        )
    async with asyncio.timeout(_TIMEOUT_S):
        await counts.all_begun.wait()
    _say(StreamCounts(0, counts.open, time.process_time()))
    while (await loop.run_in_executor(None, sys.stdin.readline)).strip():
        _say(StreamCounts(counts.blocks, counts.open, time.process_time()))


def _say(seen: StreamCounts) -> None:
    sys.stdout.write(msgspec.json.encode(seen).decode() + "\n")
    sys.stdout.flush()


class StreamReaders:
    """The process with the counts, seen from the benchmark."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self._hear()

    def count(self) -> StreamCounts:
        """Return what the counts have seen since they opened their streams."""
        stream: Any = self._process.stdin
        stream.write(b"count\n")
        stream.flush()
        return self._hear()

    def _hear(self) -> StreamCounts:
        stream: Any = self._process.stdout
        return msgspec.json.decode(stream.readline(), type=StreamCounts)


@contextmanager
def reading_streams(port: int, path: str, count: int) -> Iterator[StreamReaders]:
    """Have `count` people read_streams until the block is left; all of them have begun at its beginning."""
    argv = [sys.executable, "-m", "bench.client.stream_readers", str(port), path, str(count)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield StreamReaders(process)
        finally:
            process.kill()


def main() -> None:
    """Watch."""
    port, path, count = sys.argv[1:]
    files_max = raise_file_limit(int(count) + _OTHER_FILES)
    if files_max != resource.RLIM_INFINITY and files_max < int(count):
        sys.exit(f"this process may open {files_max} files only")
    uvloop.run(read_streams(int(port), path, int(count)))


if __name__ == "__main__":
    main()
