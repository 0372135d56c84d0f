"""Answers that clients do not take: bounded all together, or slow readers would fill the memory."""

from collections.abc import Callable, Hashable


class WriteBufferBudget:
    """What waits in a process to be taken, by connection, the one that has waited longest first.

    Where it is more than `max_bytes`, the connections that have waited longest are cut. An answer that
    many are reading is counted for each of them, so the memory that it takes is less than that.
    """

    def __init__(self, max_bytes: int) -> None:
        self.size_bytes = 0
        self._max_bytes = max_bytes
        self._waiting: dict[Hashable, tuple[int, Callable[[], object]]] = {}

    def add(self, connection: Hashable, size_bytes: int, cut: Callable[[], object]) -> None:
        """Note that a connection has so much to be taken; `cut` ends it."""
        self.remove(connection)
        self._waiting[connection] = size_bytes, cut
        self.size_bytes += size_bytes
        while self.size_bytes > self._max_bytes:
            oldest = next(iter(self._waiting))
            cut_oldest = self._waiting[oldest][1]
            self.remove(oldest)
            cut_oldest()

    def remove(self, connection: Hashable) -> None:
        """Note that the answer was read, or that the connection is gone."""
        size_bytes, _ = self._waiting.pop(connection, (0, None))
        self.size_bytes -= size_bytes
