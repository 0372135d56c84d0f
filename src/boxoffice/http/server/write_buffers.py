"""Bounds the unread answers of all clients together, because slow readers would fill the memory."""

from collections.abc import Callable, Hashable


class WriteBufferBudget:
    """Unsent bytes of a process by connection, in the order of waiting.

    Above `max_bytes` the connections that have waited longest are cut. An answer that several clients
    read is counted for each, so the count is an upper bound of the memory.
    """

    def __init__(self, max_bytes: int) -> None:
        self.size_bytes = 0
        self._max_bytes = max_bytes
        self._waiting: dict[Hashable, tuple[int, Callable[[], object]]] = {}

    def add(self, connection: Hashable, size_bytes: int, cut: Callable[[], object]) -> None:
        """Record the unsent bytes of a connection; `cut` closes it."""
        self.remove(connection)
        self._waiting[connection] = size_bytes, cut
        self.size_bytes += size_bytes
        while self.size_bytes > self._max_bytes:
            oldest = next(iter(self._waiting))
            cut_oldest = self._waiting[oldest][1]
            self.remove(oldest)
            cut_oldest()

    def remove(self, connection: Hashable) -> None:
        """Remove a connection whose answer was read, or that is closed."""
        size_bytes, _ = self._waiting.pop(connection, (0, None))
        self.size_bytes -= size_bytes
