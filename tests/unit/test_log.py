"""A log that could not be written for a while goes on with whole lines."""

import io
from typing import Any

from boxoffice.observability import logs


class _Disk(io.RawIOBase):
    """Has space for so many bytes, and then none."""

    def __init__(self) -> None:
        self.space_bytes = 0
        self.kept = b""

    def writable(self) -> bool:
        return True

    def write(self, part: Any) -> int:
        taken = bytes(part)[: self.space_bytes]
        if not taken:
            raise OSError(28, "No space left on device")
        self.space_bytes -= len(taken)
        self.kept += taken
        return len(taken)


def test_a_line_that_was_cut_off_does_not_spoil_the_next_one() -> None:
    disk = _Disk()
    lines = io.BufferedWriter(logs._LossyWriter(disk))  # type: ignore[arg-type]
    lost = logs.LOG_LOST._value.get()
    for space_bytes, line in ((8, b"whole\n"), (3, b"cut off\n"), (0, b"lost\n"), (99, b"next\n")):
        disk.space_bytes += space_bytes
        lines.write(line)
        lines.flush()
    assert disk.kept == b"whole\ncut o\nnext\n"
    assert logs.LOG_LOST._value.get() == lost + 2


def test_a_pipe_that_does_not_block_and_is_full_loses_lines() -> None:
    class Full(io.RawIOBase):
        def write(self, part: Any) -> None:
            return None

    lines = logs._LossyWriter(Full())  # type: ignore[arg-type]
    assert lines.write(b"lost\n") == 5
