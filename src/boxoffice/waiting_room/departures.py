"""Who is not inside any more, as a worker knows it: their passes are over, whatever they say.

A pass is checked from memory, and its place is given to somebody else once it is free. Both hold
together by a time: a worker believes passes only while its reading of who has left began less than
`rules.KNOWN_FOR_S` ago, and the leader fills a place that long after it was put on record who left it.
"""

import math
from collections import deque
from collections.abc import Callable
from uuid import UUID

from boxoffice.waiting_room import rules
from boxoffice.waiting_room.store import Departure, QueueStore

_PAGE_MAX = 5_000


class _RoomDepartures:
    def __init__(self) -> None:
        self.numbers: set[int] = set()
        # When no pass of these numbers can be good any more, in monotonic seconds.
        self.until: deque[tuple[float, list[int]]] = deque()


class Departures:
    """The numbers that have left, until their passes have ended; `clock` counts monotonic seconds."""

    def __init__(self, store: QueueStore, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._rooms: dict[UUID, _RoomDepartures] = {}
        self._seen_to = 0
        self._read_at = -math.inf

    @property
    def is_fresh(self) -> bool:
        """Whether everybody is known whose place may have been given away."""
        return self._clock() - self._read_at < rules.DEPARTURES_FRESH_FOR_S

    def has_left(self, schedule_id: UUID, number: int) -> bool:
        """Say whether a number is not inside any more."""
        room = self._rooms.get(schedule_id)
        return room is not None and number in room.numbers

    async def read(self) -> None:
        """Read who has left since the last reading; raise `Unavailable`."""
        began_at = self._clock()
        seen_to, after = None, self._seen_to
        while True:
            page = await self._store.departures(after, _PAGE_MAX)
            seen_to = page.seen_to if seen_to is None else seen_to
            for one in page.departures:
                self._note(one)
            if len(page.departures) < _PAGE_MAX:
                break
            after = page.departures[-1].written_by
        self._seen_to, self._read_at = seen_to, began_at
        self._forget()

    def _note(self, one: Departure) -> None:
        room = self._rooms.setdefault(one.schedule_id, _RoomDepartures())
        new = [number for number in one.numbers if number not in room.numbers]
        if new:
            room.numbers.update(new)
            room.until.append((self._clock() + one.passes_for_s, new))

    def _forget(self) -> None:
        now = self._clock()
        for schedule_id, room in list(self._rooms.items()):
            while room.until and room.until[0][0] <= now:
                room.numbers.difference_update(room.until.popleft()[1])
            if not room.until:
                del self._rooms[schedule_id]
