"""Per-worker cache of waiting-room state: settings, counters and departures.

Settings and departures are read from PostgreSQL and counters from Valkey, several times a second. While
Valkey is unavailable the last counters stay, so users see their last known position.
"""

import asyncio
import time
from collections.abc import Callable
from math import inf
from uuid import UUID

import msgspec

from boxoffice.errors import Unavailable
from boxoffice.observability.logs import log
from boxoffice.platform.concurrency.coalesced_reads import CoalescedReads
from boxoffice.platform.valkey import ValkeyUnavailable
from boxoffice.settings import WaitingRoomSettings
from boxoffice.waiting_room.departures import Departures
from boxoffice.waiting_room.engine.queue_state import QueueState
from boxoffice.waiting_room.rules import Mode, QueueCounters, WaitingRoomState
from boxoffice.waiting_room.store import QueueStore

# Counters are refreshed for this long after their last use.
_REFRESHED_FOR_S = 30.0
_CONCURRENT_MAX = 8
_NO_COUNTERS = QueueCounters()


class WaitingRoomRegistry:
    """The waiting rooms that are not off, in `by_schedule`; `clock` counts monotonic seconds.

    `on_change` is called after each refresh of a room's counters and when it is switched off.
    """

    def __init__(
        self,
        settings: WaitingRoomSettings,
        store: QueueStore,
        queue_state: QueueState,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._queue_state = queue_state
        self._clock = clock
        self._refresh_s = settings.queue_refresh_ms / 1000
        self._rooms_max = settings.queue_rooms_max
        self.by_schedule: dict[UUID, WaitingRoomState] = {}
        self._counters: dict[UUID, QueueCounters] = {}
        self._read_at: dict[UUID, float] = {}
        self._requested_at: dict[UUID, float] = {}
        self._reading = asyncio.Lock()
        self._fresh_reads = CoalescedReads(self._read_room, clock)
        self.departures = Departures(store, clock)
        self.on_change: Callable[[UUID], None] = _ignore

    async def get_fresh(self, schedule_id: UUID) -> WaitingRoomState | None:
        """Return the room from a read that begins after this call, None without one.

        It precedes every final refusal. Raises `Unavailable`.
        """
        return await self._fresh_reads.get(schedule_id)

    async def _read_room(self, schedule_id: UUID) -> WaitingRoomState | None:
        """Read one room and all departures."""
        async with self._reading:
            room = await self._store.room(schedule_id)
            await self.departures.refresh()
        if room is None or room.mode is Mode.OFF:
            if self.by_schedule.pop(schedule_id, None) is not None:
                self.on_change(schedule_id)
            return None
        self.by_schedule[schedule_id] = room
        if self.has_counters(schedule_id):
            self.on_change(schedule_id)
        return room

    def all(self) -> list[WaitingRoomState]:
        """Return every room that is not off."""
        return list(self.by_schedule.values())

    def counters(self, schedule_id: UUID) -> QueueCounters:
        """Return the cached counters, zeros before the first read, and keep refreshing them."""
        self._requested_at[schedule_id] = self._clock()
        return self._counters.get(schedule_id, _NO_COUNTERS)

    def last_counters(self, schedule_id: UUID) -> tuple[QueueCounters, float]:
        """Return the cached counters and their age in seconds, zeros of infinite age before the first
        read; do not keep refreshing them.
        """
        age_s = self._clock() - self._read_at.get(schedule_id, -inf)
        return self._counters.get(schedule_id, _NO_COUNTERS), age_s

    def has_counters(self, schedule_id: UUID) -> bool:
        """Whether counters of the room were ever read."""
        return schedule_id in self._counters

    def update_called(self, schedule_id: UUID, called: int) -> None:
        """Raise the last called place to the one that a script has just returned."""
        known = self._counters.get(schedule_id, _NO_COUNTERS)
        if called > known.called:
            self._counters[schedule_id] = msgspec.structs.replace(known, called=called)

    async def refresh(self) -> None:
        """Read the settings and departures; raise `Unavailable`."""
        async with self._reading:
            found = await self._store.rooms(self._rooms_max)
            await self.departures.refresh()
        if len(found) == self._rooms_max:
            log.error("waiting_rooms_limit_reached", rooms_max=self._rooms_max)
        before, self.by_schedule = self.by_schedule, {room.schedule_id: room for room in found}
        for schedule_id in before.keys() - self.by_schedule.keys():
            self.on_change(schedule_id)
        # Streams report changed settings and the end of the sale without Valkey, too.
        # guard: rooms_followers_learn_changes_without_valkey {
        for schedule_id in self._counters.keys() & self.by_schedule.keys():
            self.on_change(schedule_id)
        # guard: }
        for kept in (self._counters, self._requested_at, self._read_at):
            for schedule_id in kept.keys() - self.by_schedule.keys():
                del kept[schedule_id]

    async def refresh_counters_older_than(self, schedule_id: UUID, age_s: float) -> None:
        """Read the counters unless those in memory are younger than `age_s`."""
        if self.last_counters(schedule_id)[1] >= age_s:
            await self.refresh_counters(schedule_id)

    async def refresh_counters(self, schedule_id: UUID) -> None:
        """Read the counters; ignore those of an earlier epoch."""
        began_at = self._clock()
        try:
            read = await self._queue_state.counters(schedule_id)
        except ValkeyUnavailable:
            return
        room = self.by_schedule.get(schedule_id)
        # guard: rooms_counters_of_earlier_epoch_are_not_taken_over: read.epoch < room.epoch => False
        if read is None or room is None or read.epoch < room.epoch:
            return
        # guard: rooms_call_is_not_taken_back => called = read.called
        called = max(read.called, self._counters.get(schedule_id, _NO_COUNTERS).called)
        self._counters[schedule_id] = msgspec.structs.replace(read, called=called)
        self._read_at[schedule_id] = began_at
        self.on_change(schedule_id)

    async def refresh_forever(self) -> None:
        """Refresh settings and counters until cancelled."""
        while True:
            await asyncio.sleep(self._refresh_s)
            try:
                await self.refresh()
                await self._refresh_used()
            except Unavailable as error:
                log.warning("waiting_rooms_not_read", error=str(error))
            except Exception as error:  # the cache survives any failed read
                log.error("waiting_rooms_not_read", exc_info=error)

    async def _refresh_used(self) -> None:
        since = self._clock() - _REFRESHED_FOR_S
        used = [
            one for one, at in self._requested_at.items() if at >= since and one in self.by_schedule
        ]
        for at in range(0, len(used), _CONCURRENT_MAX):
            part = used[at : at + _CONCURRENT_MAX]
            await asyncio.gather(*(self.refresh_counters(schedule_id) for schedule_id in part))


def _ignore(_schedule_id: UUID) -> None:
    """Do nothing."""
