"""Reads the client's log while k6 writes it."""

import contextlib
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from boxoffice_loadtest.measurement.client_log import ClientLog, LoggedRequest, add_line

# The target counts as dead after so many requests without an answer over so long.
_DEAD_AFTER_MS = 3_000
_DEAD_REQUESTS_MIN = 5


@dataclass
class LogReader:
    """Reads new lines of a log; keeps an incomplete line until the rest arrives."""

    path: Path

    def __post_init__(self) -> None:
        self.log = ClientLog()
        self.failures = 0
        self._seen = 0
        self._rest = b""
        self._file: BufferedReader | None = None
        self._unanswered = 0
        self._unanswered_since_ms = 0.0
        self._unanswered_until_ms = 0.0

    def read(self) -> None:
        """Read what is new."""
        if self._file is None:
            with contextlib.suppress(FileNotFoundError):
                self._file = self.path.open("rb")
        if self._file is None:
            return
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        for line in lines:
            if line:
                add_line(self.log, line)
        for request in self.log.requests[self._seen :]:
            self._count(request)
        self._seen = len(self.log.requests)

    def close(self) -> None:
        """Read the rest; a line without an end was cut off."""
        self.read()
        if self._rest:
            add_line(self.log, self._rest)
            self._rest = b""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _count(self, request: LoggedRequest) -> None:
        self.failures += request.is_failure
        if request.status:
            self._unanswered = 0
            return
        if not self._unanswered:
            self._unanswered_since_ms = request.ended_ms
        self._unanswered += 1
        self._unanswered_until_ms = request.ended_ms

    @property
    def is_target_dead(self) -> bool:
        """Whether the target has answered nothing for 3 s."""
        silent_ms = self._unanswered_until_ms - self._unanswered_since_ms
        return self._unanswered >= _DEAD_REQUESTS_MIN and silent_ms >= _DEAD_AFTER_MS
