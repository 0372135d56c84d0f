"""How fast commands are decided, and how long one more would wait. Pure.

A limit on the length of a queue is too high for a slow database and too low for a fast one, so the
limit is a time, as in CoDel (RFC 8289).
"""

# The mean covers about this many commands, a tenth of a second under load, ...
_MEMORY_COMMANDS = 512
# ... and at most this many batches, so that one slow batch is soon forgotten at low rates as well.
_MEMORY_BATCHES = 16
# A queue whose head has waited for less than this share of the limit counts as empty.
_SHORT_WAIT = 0.1


class ThroughputEstimator:
    """Seconds per command, measured at the ends of batches.

    Up to `free_max` commands never count as a queue: the next batches take them all.
    """

    def __init__(self, free_max: int) -> None:
        self._free_max = free_max
        self.per_command_s = 0.0
        self._last_end = 0.0

    def observe(self, began: float, end: float, commands: int) -> None:
        """Record a batch that was at the database from `began` to `end`.

        Batches overlap, so only the time since the end of the previous batch counts.
        """
        took_s = end - max(began, self._last_end)
        self._last_end = end
        weight = max(1 / _MEMORY_BATCHES, min(1.0, commands / _MEMORY_COMMANDS))
        self.per_command_s += weight * (took_s / commands - self.per_command_s)

    def is_too_slow_for(self, waiting: int, head_waited_s: float, wait_max_s: float) -> bool:
        """Return whether one more behind `waiting` commands would wait for longer than `wait_max_s`.

        The head of the queue must have waited as well, because one batch that met a lock raises the
        mean without making a queue.
        """
        if waiting <= self._free_max:
            return False
        if head_waited_s > wait_max_s:
            return True
        is_queue = head_waited_s > wait_max_s * _SHORT_WAIT
        return is_queue and waiting * self.per_command_s > wait_max_s
