"""How fast commands come to their end, for how long one more would wait, and when to come back. Pure.

A queue that is bounded by its length alone is too long for a database that is slow today, and too
short for one that is fast. So its bound is a time, as in CoDel (RFC 8289).
"""

import math

# Of how many commands the pace is the mean, roughly: a tenth of a second's worth under load.
_MEMORY_COMMANDS = 512
# And of how many batches at the most, so that a slow one is soon forgotten also where few come.
_MEMORY_BATCHES = 16
# Where whoever is next has not waited for this share of the bound, there is no line to speak of.
_SHORT_WAIT = 0.1


class Pace:
    """Seconds per command, from the ends of batches while others wait.

    Up to `line_min` commands are no line: the next batches take them all at once.
    """

    def __init__(self, line_min: int) -> None:
        self._line_min = line_min
        self.per_command_s = 0.0
        self._last_end = 0.0

    def ended(self, began: float, end: float, commands: int) -> None:
        """Take in a batch of so many commands that was at the database from `began` to `end`.

        Batches overlap: what counts for each is the time since the one that ended before it.
        """
        took_s = end - max(began, self._last_end)
        self._last_end = end
        weight = max(1 / _MEMORY_BATCHES, min(1.0, commands / _MEMORY_COMMANDS))
        self.per_command_s += weight * (took_s / commands - self.per_command_s)

    def is_too_slow_for(self, waiting: int, next_has_waited_s: float, wait_max_s: float) -> bool:
        """Say whether one more behind `waiting` commands would wait for longer than `wait_max_s`.

        One batch that was slow, because somebody's lock was in its way, does not make a line: whoever
        is next must have waited for a while, too.
        """
        if waiting <= self._line_min:
            return False
        if next_has_waited_s > wait_max_s:
            return True
        is_line = next_has_waited_s > wait_max_s * _SHORT_WAIT
        return is_line and waiting * self.per_command_s > wait_max_s


class Comebacks:
    """When those who are refused are to come back: one after the other, and not all in a second.

    Whoever comes back too early is refused again, and each refusal costs a good part of what an
    accepted command costs. So the times that are given out are as far apart as the shop has room: at
    first as it decides commands, and further apart with each second in which there is still no room,
    until only `share_min` of what it can do is kept for those who come back.
    """

    def __init__(self, latest_s: float, share_min: float) -> None:
        self._latest_s = latest_s
        self._share_min = share_min
        self._began = -math.inf
        self._last = -math.inf
        self._booked = 0.0

    def next_s(self, now: float, per_command_s: float) -> int:
        """Return in how many whole seconds one more is to come back, at most `latest_s`."""
        if now - self._last > self._latest_s:
            # Everybody has come back by now, so this is an overload of its own.
            self._began = self._booked = now
        self._last = now
        share = max(self._share_min, 1 / (1 + now - self._began))
        self._booked = max(self._booked, now) + per_command_s / share
        self._booked = min(self._booked, now + self._latest_s)
        return max(1, math.ceil(self._booked - now))
