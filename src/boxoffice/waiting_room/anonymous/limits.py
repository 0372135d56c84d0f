"""How many people join without an account from one address, in one worker."""

import time
from collections import OrderedDict
from collections.abc import Callable

from boxoffice.errors import TooMany
from boxoffice.platform.client_addresses import address_bucket
from boxoffice.settings import WaitingRoomSettings

# Addresses whose joins are counted; above it the oldest window is dropped.
_WINDOWS_MAX = 50_000


class JoinLimits:
    """Counts joins without an account, per address and window, in this process.

    A window begins with the first join of an address.
    """

    def __init__(
        self, settings: WaitingRoomSettings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._joins_max = settings.queue_anonymous_joins_max
        self._window_s = settings.queue_anonymous_joins_window_s
        self._clock = clock
        # When a window ends, and its joins, by address; in the order in which the windows end.
        self._windows: OrderedDict[str, list[float]] = OrderedDict()

    def count(self, address: str) -> None:
        """Count a join; raise `TooMany` with `retry_after_s` above the limit."""
        now, bucket = self._clock(), address_bucket(address)
        window = self._windows.get(bucket)
        # guard: limit_anonymous_window_ends: or window[0] <= now =>
        if window is None or window[0] <= now:
            self._windows.pop(bucket, None)
            window = self._windows[bucket] = [now + self._window_s, 0]
            # guard: limit_anonymous_windows_are_bounded => if False:
            if len(self._windows) > _WINDOWS_MAX:
                self._windows.popitem(last=False)
        # guard: limit_anonymous_joins_per_address => if False:
        if window[1] >= self._joins_max:
            raise TooMany(
                "Too many joined from this network without an account: log in to join.",
                retry_after_s=max(1, round(window[0] - now)),
            )
        window[1] += 1
