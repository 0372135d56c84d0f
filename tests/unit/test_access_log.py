"""Answers are logged in batches, and each line stays whole."""

import io
import json
import time
from select import PIPE_BUF

import pytest

from boxoffice.observability import access_log, logs
from boxoffice.observability.access_log import Answer, Kind

KIND = Kind("POST", "/v1/payments", 201, "ok")


class _Pipe(io.RawIOBase):
    """Keeps what is written to it, write by write."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, part: object) -> int:
        self.writes.append(bytes(part))  # type: ignore[call-overload]
        return len(self.writes[-1])


def test_what_several_workers_write_to_one_pipe_does_not_mix(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Up to `PIPE_BUF` bytes reach a pipe in one piece (POSIX, write)."""
    pipe = _Pipe()
    monkeypatch.setattr(logs, "raw_lines", io.BufferedWriter(pipe))
    access_log._log([Answer(KIND, f"request-{at}", 0.01, time.time()) for at in range(500)])
    assert 1 < len(pipe.writes) < 50
    for part in pipe.writes:
        assert len(part) <= PIPE_BUF
        assert part.endswith(b"\n")
    lines = [json.loads(line) for line in b"".join(pipe.writes).splitlines()]
    assert [line["request_id"] for line in lines] == [f"request-{at}" for at in range(500)]
