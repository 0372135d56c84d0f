"""Per-worker cache of departures: admitted numbers that have left, whose passes are over.

A worker checks passes from memory while the leader refills places. A time bound keeps both consistent:
a worker accepts a pass only if its last read of departures began less than
`rules.DEPARTURES_FRESH_FOR_S` ago, and the leader refills a place that long after its exit is recorded.

A payment frees a place as well: in a worker, or where the cashier has settled it.
"""

import math
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any
from uuid import UUID

from boxoffice.errors import Unavailable
from boxoffice.observability.logs import log
from boxoffice.platform.valkey import ValkeyUnavailable
from boxoffice.waiting_room import rules
from boxoffice.waiting_room.engine.queue_state import QueueState, QueueStateLost, TicketHolder
from boxoffice.waiting_room.store import Departure, QueueStore

_PAGE_MAX = 5_000


class _RoomDepartures:
    def __init__(self) -> None:
        self.numbers: set[int] = set()
        # When the last pass of these numbers expires, in monotonic seconds.
        self.until: deque[tuple[float, list[int]]] = deque()


class Departures:
    """Departed numbers until their passes expire; `clock` counts monotonic seconds."""

    def __init__(self, store: QueueStore, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._rooms: dict[UUID, _RoomDepartures] = {}
        self._seen_to = 0
        self._read_at = -math.inf

    @property
    def is_fresh(self) -> bool:
        """Whether every departure whose place may be refilled is known."""
        return self._clock() - self._read_at < rules.DEPARTURES_FRESH_FOR_S

    def has_left(self, schedule_id: UUID, number: int) -> bool:
        """Whether a number has left."""
        room = self._rooms.get(schedule_id)
        return room is not None and number in room.numbers

    async def refresh(self) -> None:
        """Read the departures since the last read; raise `Unavailable`."""
        began_at = self._clock()
        seen_to, after = None, self._seen_to
        while True:
            page = await self._store.departures(after, _PAGE_MAX)
            seen_to = page.seen_to if seen_to is None else seen_to
            for one in page.departures:
                self._add(one)
            if len(page.departures) < _PAGE_MAX:
                break
            after = page.departures[-1].written_by
        self._seen_to, self._read_at = seen_to, began_at
        self._expire()

    def _add(self, one: Departure) -> None:
        room = self._rooms.setdefault(one.schedule_id, _RoomDepartures())
        new = [number for number in one.numbers if number not in room.numbers]
        if new:
            room.numbers.update(new)
            room.until.append((self._clock() + one.passes_for_s, new))

    def _expire(self) -> None:
        now = self._clock()
        for schedule_id, room in list(self._rooms.items()):
            while room.until and room.until[0][0] <= now:
                room.numbers.difference_update(room.until.popleft()[1])
            if not room.until:
                del self._rooms[schedule_id]


class PaidExits:
    """For a process that knows no waiting rooms: it reads whether the schedule has one.

    `now` is the database's time in seconds since the epoch.
    """

    def __init__(
        self,
        store: QueueStore,
        queue_state: QueueState,
        now: Callable[[], float],
        run_in_background: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._store = store
        self._queue_state = queue_state
        self._now = now
        self._run_in_background = run_in_background

    def release(self, schedule_id: UUID, user_ids: Sequence[UUID]) -> None:
        """Free the places of users who have paid, in the background."""
        if user_ids:
            self._run_in_background(self._release(schedule_id, user_ids))

    async def _release(self, schedule_id: UUID, user_ids: Sequence[UUID]) -> None:
        try:
            room = await self._store.room(schedule_id)
        except Unavailable as error:
            log.warning("waiting_room_paid_exit_not_recorded", error=str(error))
            return
        if room is not None and room.mode is not rules.Mode.OFF:
            await record_paid_exits(self._queue_state, self._now(), schedule_id, user_ids)


async def record_paid_exits(
    queue_state: QueueState, now_s: float, schedule_id: UUID, user_ids: Sequence[UUID]
) -> None:
    """Remove users who have paid from a schedule's queue."""
    holders = [TicketHolder(user_id, 0, 0, 0) for user_id in user_ids]
    try:
        await queue_state.leave(schedule_id, int(now_s * 1000), "paid", holders)
    except (ValkeyUnavailable, QueueStateLost) as error:
        # Their places are freed when their grace ends.
        log.warning("waiting_room_paid_exit_not_recorded", error=str(error))
