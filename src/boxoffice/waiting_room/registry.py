"""What a worker knows of the waiting rooms by heart: what organizers have set, how far each line is,
and who has left.

The settings and who has left come from PostgreSQL and the counters from Valkey, each read again several
times a second. While Valkey is away the last counters stay: whoever waits is told the place that was
last known.
"""

import asyncio
import time
from collections.abc import Callable
from uuid import UUID

import msgspec

from boxoffice.errors import Unavailable
from boxoffice.observability.logs import log
from boxoffice.platform.valkey import ValkeyAway
from boxoffice.settings import WaitingRoomSettings
from boxoffice.waiting_room.coalesced_reads import CoalescedReads
from boxoffice.waiting_room.departures import Departures
from boxoffice.waiting_room.engine.queue_state import QueueState
from boxoffice.waiting_room.rules import Mode, QueueCounters, WaitingRoomState
from boxoffice.waiting_room.store import QueueStore

# The counters of a room are read for so long after somebody has asked for them.
_WATCHED_FOR_S = 30.0
_AT_ONCE_MAX = 8
_NOTHING = QueueCounters()


class WaitingRoomRegistry:
    """The rooms that are not switched off; `clock` counts monotonic seconds.

    `on_news` hears of a room whenever its counters were read, and when it is switched off.
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
        self._rooms: dict[UUID, WaitingRoomState] = {}
        self._counters: dict[UUID, QueueCounters] = {}
        self._requested_at: dict[UUID, float] = {}
        self._reading = asyncio.Lock()
        self._again = CoalescedReads(self._read_room, clock)
        self.departures = Departures(store, clock)
        self.on_change: Callable[[UUID], None] = _ignore

    def get(self, schedule_id: UUID) -> WaitingRoomState | None:
        """Return a room, None where people need not wait, as far as is known here."""
        return self._rooms.get(schedule_id)

    async def read_again(self, schedule_id: UUID) -> WaitingRoomState | None:
        """Return a room as it is after this call began, for whoever would hear a final no else.

        None where people need not wait. Raises `Unavailable`.
        """
        return await self._again.get(schedule_id)

    async def _read_room(self, schedule_id: UUID) -> WaitingRoomState | None:
        """Read one room, and who has left all of them."""
        async with self._reading:
            room = await self._store.room(schedule_id)
            await self.departures.read()
        if room is None or room.mode is Mode.OFF:
            if self._rooms.pop(schedule_id, None) is not None:
                self.on_change(schedule_id)
            return None
        self._rooms[schedule_id] = room
        if self.has_counters(schedule_id):
            self.on_change(schedule_id)
        return room

    def all(self) -> list[WaitingRoomState]:
        """Return every room that is not switched off."""
        return list(self._rooms.values())

    def counters(self, schedule_id: UUID) -> QueueCounters:
        """Return what was last heard of a room, zeros before anything was; it is read from now on."""
        self._requested_at[schedule_id] = self._clock()
        return self._counters.get(schedule_id, _NOTHING)

    def has_counters(self, schedule_id: UUID) -> bool:
        """Say whether anything was ever heard of a room."""
        return schedule_id in self._counters

    def update_called(self, schedule_id: UUID, called: int) -> None:
        """Take over that a room has called up to a place, as a script has just said."""
        known = self._counters.get(schedule_id, _NOTHING)
        if called > known.called:
            self._counters[schedule_id] = msgspec.structs.replace(known, called=called)

    async def refresh(self) -> None:
        """Read the settings now; raise `Unavailable` where PostgreSQL does not answer."""
        async with self._reading:
            found = await self._store.rooms(self._rooms_max)
            await self.departures.read()
        if len(found) == self._rooms_max:
            log.error("waiting_rooms_limit_reached", rooms_max=self._rooms_max)
        before, self._rooms = self._rooms, {room.schedule_id: room for room in found}
        for schedule_id in before.keys() - self._rooms.keys():
            self.on_change(schedule_id)
        # What was set, or that the sale has ended, people hear of without Valkey, too.
        # guard: rooms_followers_hear_what_was_set_without_valkey {
        for schedule_id in self._counters.keys() & self._rooms.keys():
            self.on_change(schedule_id)
        # guard: }
        for kept in (self._counters, self._requested_at):
            for schedule_id in kept.keys() - self._rooms.keys():
                del kept[schedule_id]

    async def refresh_counters(self, schedule_id: UUID) -> None:
        """Read how far a line is; what is older than what is known is not taken over."""
        try:
            read = await self._queue_state.counters(schedule_id)
        except ValkeyAway:
            return
        room = self._rooms.get(schedule_id)
        # guard: rooms_counters_of_earlier_epoch_are_not_taken_over: read.epoch < room.epoch => False
        if read is None or room is None or read.epoch < room.epoch:
            return
        # guard: rooms_call_is_not_taken_back => called = read.called
        called = max(read.called, self._counters.get(schedule_id, _NOTHING).called)
        self._counters[schedule_id] = msgspec.structs.replace(read, called=called)
        self.on_change(schedule_id)

    async def refresh_forever(self) -> None:
        """Read everything that is asked for again and again until cancelled."""
        while True:
            await asyncio.sleep(self._refresh_s)
            try:
                await self.refresh()
                await self._refresh_watched()
            except Unavailable as error:
                log.warning("waiting_rooms_not_read", error=str(error))
            except Exception as error:  # what a worker knows outlives whatever one reading meets
                log.error("waiting_rooms_not_read", exc_info=error)

    async def _refresh_watched(self) -> None:
        since = self._clock() - _WATCHED_FOR_S
        watched = [
            one for one, at in self._requested_at.items() if at >= since and one in self._rooms
        ]
        for at in range(0, len(watched), _AT_ONCE_MAX):
            part = watched[at : at + _AT_ONCE_MAX]
            await asyncio.gather(*(self.refresh_counters(schedule_id) for schedule_id in part))


def _ignore(_schedule_id: UUID) -> None:
    """Nobody wants to know."""
