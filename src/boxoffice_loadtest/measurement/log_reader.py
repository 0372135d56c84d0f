"""Reads the client's record while it is being written."""

import contextlib
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from boxoffice_loadtest.measurement.client_log import Answer, Record, take_line

# A target that answered nothing for so long, though it was asked so often, is gone.
_GONE_AFTER_MS = 3_000
_GONE_ANSWERS_MIN = 5


@dataclass
class Tail:
    """Takes in what is new of a record; a line that is not finished yet waits."""

    path: Path

    def __post_init__(self) -> None:
        self.record = Record()
        self.failures = 0
        self._seen = 0
        self._rest = b""
        self._file: BufferedReader | None = None
        self._lost_since_ms: float | None = None
        self._lost = 0

    def look(self) -> None:
        """Read on."""
        if self._file is None:
            with contextlib.suppress(FileNotFoundError):
                self._file = self.path.open("rb")
        if self._file is None:
            return
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        for line in lines:
            if line:
                take_line(self.record, line)
        for answer in self.record.answers[self._seen :]:
            self._judge(answer)
        self._seen = len(self.record.answers)

    def close(self) -> None:
        """Read what is left; a line without an end was cut off."""
        self.look()
        if self._rest:
            take_line(self.record, self._rest)
            self._rest = b""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _judge(self, answer: Answer) -> None:
        self.failures += answer.is_failure
        if answer.status:
            self._lost_since_ms, self._lost = None, 0
            return
        self._lost += 1
        if self._lost_since_ms is None:
            self._lost_since_ms = answer.ended_ms
        self._last_ms = answer.ended_ms

    @property
    def is_target_gone(self) -> bool:
        """Whether nothing has been answered for a while, though people asked."""
        if self._lost_since_ms is None or self._lost < _GONE_ANSWERS_MIN:
            return False
        return self._last_ms - self._lost_since_ms >= _GONE_AFTER_MS
