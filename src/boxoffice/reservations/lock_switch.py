"""When the seat lock is worth its price: only while pods really run after the same seats.

It decides nothing about seats, so pods may differ.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Literal
from uuid import UUID

from boxoffice.observability.logs import log

Mode = Literal["auto", "always", "off"]

# Schedules that are hot at one time in one process; the oldest one cools down.
_HOT_MAX = 1_000


class LockSwitch:
    """Says for which schedules claims are made; `has_peers` tells whether there are other pods."""

    def __init__(
        self,
        mode: Mode = "always",
        hot_ms: int = 5_000,
        has_peers: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._mode = mode
        self._hot_s = hot_ms / 1000
        self._has_peers = has_peers
        self._clock = clock
        self._hot_until: OrderedDict[UUID, float] = OrderedDict()

    @property
    def is_off(self) -> bool:
        """Whether nobody ever claims anything."""
        return self._mode == "off"

    def claims(self, schedule_id: UUID) -> bool:
        """Say whether the seats of a batch are to be claimed."""
        if self._mode != "auto":
            return self._mode == "always"
        until = self._hot_until.get(schedule_id)
        if until is None:
            return False
        if self._clock() >= until:
            del self._hot_until[schedule_id]
            return False
        return True

    def collided(self, schedule_id: UUID) -> None:
        """Claim from now on and for a while: this process ran after seats that another one got."""
        if self._mode != "auto" or not self._has_peers():
            return
        if schedule_id not in self._hot_until:
            log.info("seat_lock_on", schedule_id=str(schedule_id))
        self._hot_until[schedule_id] = self._clock() + self._hot_s
        self._hot_until.move_to_end(schedule_id)
        while len(self._hot_until) > _HOT_MAX:
            self._hot_until.popitem(last=False)
