"""Turns the seat lock on per schedule, only while pods compete for the same seats.

It decides nothing about seats, so pods may differ.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Literal
from uuid import UUID

from boxoffice.observability.logs import log

Mode = Literal["auto", "always", "off"]

# Schedules with the lock on in one process; above it the oldest one is turned off.
_HOT_MAX = 1_000


class LockSwitch:
    """Decides for which schedules seats are claimed; `has_peers` returns whether other pods exist."""

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
        """Whether no seat is ever claimed."""
        return self._mode == "off"

    def claims(self, schedule_id: UUID) -> bool:
        """Return whether to claim the seats of a batch."""
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
        """Claim seats for `hot_ms`: another process has taken seats that this one wanted."""
        if self._mode != "auto" or not self._has_peers():
            return
        if schedule_id not in self._hot_until:
            log.info("seat_lock_on", schedule_id=str(schedule_id))
        self._hot_until[schedule_id] = self._clock() + self._hot_s
        self._hot_until.move_to_end(schedule_id)
        while len(self._hot_until) > _HOT_MAX:
            self._hot_until.popitem(last=False)
