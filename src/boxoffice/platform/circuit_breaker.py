"""A circuit breaker: a server that fails is spared, and probed now and then."""

from collections.abc import Callable


class CircuitBreaker:
    """Opens after `failures_max` failures in a row, and lets one call through per `open_s`."""

    def __init__(
        self,
        failures_max: int,
        open_s: float,
        changed: Callable[[bool], None] = lambda _is_open: None,
    ) -> None:
        """`changed` is called when the breaker opens (True) and when it closes."""
        self._changed = changed
        self._failures_max = failures_max
        self._open_s = open_s
        self._failures = 0
        self._next_try_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether calls are refused, but for a probe now and then."""
        return self._failures >= self._failures_max

    def would_admit(self, now: float) -> bool:
        """Say whether a call at `now` (monotonic seconds) would be made; uses no turn up."""
        return not self.is_open or now >= self._next_try_at

    def admits(self, now: float) -> bool:
        """Say whether a call may be made at `now` (monotonic seconds); a probe uses its turn up."""
        if not self.would_admit(now):
            return False
        if self.is_open:
            self._next_try_at = now + self._open_s
        return True

    def succeeded(self) -> None:
        """Close the breaker."""
        if self.is_open:
            self._changed(False)
        self._failures = 0

    def failed(self, now: float) -> None:
        """Count a failure at `now` (monotonic seconds)."""
        self._failures += 1
        if self._failures == self._failures_max:
            self._changed(True)
        self._next_try_at = now + self._open_s
