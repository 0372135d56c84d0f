"""SIGINT and SIGTERM stop a load test: the first one politely, the second one at once."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

INTERRUPTED = "interrupted"


@dataclass
class StopRequest:
    """Counts the signals; the second one raises `KeyboardInterrupt`."""

    signals: int = 0

    def reason(self) -> str | None:
        """Return why to stop; None without a signal."""
        return INTERRUPTED if self.signals else None

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.signals += 1
        if self.signals > 1:
            raise KeyboardInterrupt

    @contextmanager
    def handling_signals(self) -> Iterator[None]:
        """Handle SIGINT and SIGTERM until the block is left."""
        former = {
            number: signal.signal(number, self._on_signal)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)
