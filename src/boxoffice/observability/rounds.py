"""How long ago the last round of a role succeeded."""

import time
from collections.abc import Callable

from prometheus_client import Gauge

ROUND_AGE_SECONDS = Gauge(
    "boxoffice_role_round_age_seconds",
    "Time since the last round of a role that succeeded; at first, since it connected.",
    ("role",),
)


class Rounds:
    """When the last round of each role of this process succeeded, by a clock that is never set."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._done_at_s: dict[str, float] = {}

    def done(self, role: str) -> None:
        """Note that `role` has connected, or that a round of it succeeded."""
        if role not in self._done_at_s:
            ROUND_AGE_SECONDS.labels(role).set_function(lambda: self._age_s(role))
        self._done_at_s[role] = self._clock()

    def _age_s(self, role: str) -> float:
        return self._clock() - self._done_at_s[role]


# Like the metrics, one of the process.
rounds = Rounds()
