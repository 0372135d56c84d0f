"""`Retry-After` of refused commands, computed from throughput. Pure."""

import math


class RetryAfterScheduler:
    """Spreads the retries of refused commands over time, at the rate at which they can be decided.

    A retry that comes too early is refused again, and a refusal costs a good part of an accepted
    command. The distance between two retries grows with each second of overload, until only
    `share_min` of the throughput is reserved for retries.
    """

    def __init__(self, latest_s: float, share_min: float) -> None:
        self._latest_s = latest_s
        self._share_min = share_min
        self._overloaded_since = -math.inf
        self._last = -math.inf
        self._booked = 0.0

    def next_s(self, now: float, per_command_s: float) -> int:
        """Return after how many whole seconds the next refused client may retry, at most `latest_s`."""
        if now - self._last > self._latest_s:
            # All earlier retries are due, so a new overload begins.
            self._overloaded_since = self._booked = now
        self._last = now
        share = max(self._share_min, 1 / (1 + now - self._overloaded_since))
        self._booked = max(self._booked, now) + per_command_s / share
        self._booked = min(self._booked, now + self._latest_s)
        return max(1, math.ceil(self._booked - now))
