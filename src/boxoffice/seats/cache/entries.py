"""What a worker has in memory of each schedule, and when the states are read from the database.

Between readings a process applies its own decisions and the changes of other pods. Readings bound the
age of what is shown, however many messages are lost.
"""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from boxoffice.errors import IntegrityError, ScheduleNotFound
from boxoffice.platform.cache import Cache
from boxoffice.platform.concurrency.offload import offload
from boxoffice.platform.valkey import ValkeyUnavailable
from boxoffice.platform.valkey.reading_turns import ReadingWanted
from boxoffice.seats import metrics
from boxoffice.seats.cache.refresher import MaxAge, SnapshotRefresher
from boxoffice.seats.cache.states import (
    LiveStates,
    PositionChange,
    SaleWindow,
    StoredStates,
    unpack_states,
)
from boxoffice.seats.layout import Layout, packed, positions
from boxoffice.seats.rendering.seat_map import ShownMap
from boxoffice.seats.shared.packing import Unreadable
from boxoffice.seats.shared.readings import SEATS_MAX, SharedReadings, SharedSchedule
from boxoffice.seats.store import PublicSchedule, SeatStore, StatesRow
from boxoffice.settings import SeatSettings

_READS_MAX = 3
# A larger hall is read for refusals only after the database has refused a hold there.
_EAGER_SEATS_MAX = 100_000
# A first request waits so long for another process's reading.
_FIRST_WAIT_S = 0.05


@dataclass(frozen=True, eq=False)
class SeatStates:
    """One byte per seat in the order of the layout: AVAILABLE, HELD, SOLD or BLOCKED.

    `version` grows with every visible change; `read_at` is in monotonic seconds.
    """

    version: int
    read_at: float
    status: bytes


class ScheduleEntry:
    """A schedule in memory: its layout, its live states, and what was last shown of both."""

    def __init__(self, layout: Layout, now: Callable[[], float], *, is_public: bool) -> None:
        self.layout = layout
        # As of the last reading; holders of tickets see the seats of a concert that is taken down.
        self.is_public = is_public
        self.refresher: SnapshotRefresher
        self.shown_map = ShownMap(layout, now)
        self.states: SeatStates | None = None
        self.shared: SharedSchedule | None = None

    def expire_shown(self) -> None:
        """Have the next caller see the newest states."""
        self.shown_map.is_due = True
        self.states = None


class _LayoutOutdated(Exception):
    """The schedule has another layout: seats were added, or prices or grades changed."""


class ScheduleEntries:
    """Entries by schedule, loaded on demand and bounded by their seats.

    A schedule of a concert that is not published does not exist here. A reading of the database
    verifies the states every `seats_verify_ms` while changes of other pods arrive, and every
    `seats_cache_ms` while they do not. `clock` counts monotonic seconds, `now` is the database's time
    in seconds since the epoch, and `uncertainty_s` bounds the error of `now`.
    """

    def __init__(
        self,
        settings: SeatSettings,
        store: SeatStore,
        clock: Callable[[], float] = time.monotonic,
        *,
        now: Callable[[], float] = time.time,
        uncertainty_s: Callable[[], float] = lambda: 0.0,
        shared: SharedReadings | None = None,
    ) -> None:
        self.clock = clock
        self.now = now
        self.uncertainty_s = uncertainty_s
        self.cache_s = settings.seats_cache_ms / 1000
        # From when on changes of other pods have arrived, of all schedules or of one; infinite, or
        # absent, while they do not.
        self.connected_since = math.inf
        self.schedules_connected_since: dict[UUID, float] = {}
        self.cache: Cache[UUID, ScheduleEntry] = Cache(
            self._load,
            ttl_s=lambda _entry: math.inf,
            weigh=lambda entry: 1 + len(entry.layout.seats),
            weight_max=settings.seats_cached_max,
            clock=clock,
        )
        self.shared = shared
        self._store = store
        self._max_age = MaxAge(self.cache_s, max(settings.seats_verify_ms / 1000, self.cache_s))
        self._followers: dict[UUID, Callable[[], None]] = {}

    def trusted(self, schedule_id: UUID) -> tuple[Layout, LiveStates] | None:
        """Return what may be decided on without waiting: states that are fresh and complete."""
        entry = self.cache.peek(schedule_id)
        live = entry.refresher.usable() if entry else None
        if entry is None or live is None:
            return None
        return entry.layout, live

    async def fresh(
        self, schedule_id: UUID, max_age_s: float | None
    ) -> tuple[ScheduleEntry, LiveStates]:
        """Return an entry with states that were read at most `max_age_s` before this call.

        Raises `ScheduleNotFound`.
        """
        cached = self.cache.get_cached(schedule_id) if max_age_s is None else None
        usable = cached.refresher.usable() if cached else None
        if cached is not None and usable is not None:
            return cached, usable
        for _ in range(_READS_MAX):
            entry = await self.cache.get(schedule_id)
            try:
                live = await entry.refresher.fresh(max_age_s)
            except _LayoutOutdated:
                continue
            if max_age_s is not None:
                entry.shown_map.is_due = True
            return entry, live
        raise IntegrityError(f"the layout of schedule {schedule_id} keeps changing")

    async def current(self, schedule_id: UUID) -> ScheduleEntry:
        """Return the entry with the layout of this moment; raise `ScheduleNotFound`.

        Costs a look-up of one row while the layout is the same.
        """
        entry = await self.cache.get(schedule_id)
        if await self._store.layout_version(schedule_id) != entry.layout.version:
            self._drop(entry)
            entry = await self.cache.get(schedule_id)
        return entry

    def follow(self, schedule_id: UUID, wake: Callable[[], None]) -> None:
        """Call `wake`, one per schedule, when the shown states may have changed."""
        self._followers[schedule_id] = wake

    def unfollow(self, schedule_id: UUID) -> None:
        """End `follow`."""
        self._followers.pop(schedule_id, None)

    def wake(self, schedule_id: UUID) -> None:
        """Wake the follower of a schedule."""
        wake = self._followers.get(schedule_id)
        if wake is not None:
            wake()

    async def _load(self, schedule_id: UUID) -> ScheduleEntry:
        shared = self.shared.of(schedule_id) if self.shared is not None else None
        if shared is not None and shared.is_active():
            entry = await self._load_shared(shared, schedule_id)
            if entry is not None:
                return entry
        # The schedule is read first: seats that change later have a newer layout version.
        schedule = await self._store.public_schedule(schedule_id)
        if schedule is None:
            raise ScheduleNotFound
        layout = await self._load_layout(schedule_id, schedule)
        return self._entry(layout, shared, is_public=schedule.is_public)

    async def _load_shared(self, shared: SharedSchedule, schedule_id: UUID) -> ScheduleEntry | None:
        """Return an entry of what other processes have read recently; None where they have not."""
        connected_since = self._connected_since(schedule_id)
        oldest = self.clock() - 2 * self._max_age.connected_s
        after = max(oldest, connected_since, shared.complete_since())
        if after == math.inf:
            return None
        try:
            async with asyncio.timeout(_FIRST_WAIT_S):
                found = await shared.find(ReadingWanted(after))
                if found is None or found.row is None:
                    return None
                packed_layout = await shared.packed_layout(found.head.layout_digest)
            if packed_layout is None:
                return None
            # Without that deadline: the layout of a large hall takes longer than it.
            layout = await shared.layout(packed_layout)
        except (TimeoutError, ValkeyUnavailable, Unreadable):
            return None
        entry = self._entry(layout, shared, is_public=True)
        stored = await self._unpack_shared(entry, found.row)
        if stored is None or not await entry.refresher.take_over(shared, found, stored):
            return None
        return entry

    def _entry(
        self, layout: Layout, shared: SharedSchedule | None, *, is_public: bool
    ) -> ScheduleEntry:
        schedule_id = layout.schedule_id
        entry = ScheduleEntry(layout, self.now, is_public=is_public)
        entry.shared = shared if len(layout.seats) <= SEATS_MAX else None
        entry.refresher = SnapshotRefresher(
            partial(self._read, entry),
            self._max_age,
            partial(self._connected_since, schedule_id),
            self.clock,
            partial(self.wake, schedule_id),
            eager=len(layout.seats) <= _EAGER_SEATS_MAX,
            share=(entry.shared, partial(self._unpack_shared, entry)) if entry.shared else None,
        )
        return entry

    def _connected_since(self, schedule_id: UUID) -> float:
        """Return from when on changes of other pods have arrived; infinite while they do not."""
        of_schedule = self.schedules_connected_since.get(schedule_id, math.inf)
        return min(self.connected_since, of_schedule)

    async def _load_layout(self, schedule_id: UUID, schedule: PublicSchedule) -> Layout:
        seats = await packed(self._store.seats(schedule_id))
        index = await offload(len(seats), lambda: positions(seats.ids))
        return Layout(schedule_id, schedule.currency, seats, index, schedule.layout_version)

    def _drop(self, entry: ScheduleEntry) -> None:
        """Have the next caller load the schedule anew, and its followers be that caller."""
        schedule_id = entry.layout.schedule_id
        if self.cache.peek(schedule_id) is entry:
            self.cache.invalidate(schedule_id)
            self.wake(schedule_id)

    async def _read(self, entry: ScheduleEntry) -> StoredStates:
        began = time.monotonic()
        row = await self._store.seat_states(entry.layout.schedule_id)
        took_s = time.monotonic() - began
        entry.is_public = row is not None
        if row is None:
            raise ScheduleNotFound
        layout = entry.layout
        # guard: layout_of_its_version: row.layout_version => layout.version
        if (row.seats, row.layout_version) != (len(layout.seats), layout.version):
            self._drop(entry)
            raise _LayoutOutdated
        if entry.shared is not None:
            entry.shared.publish(row, took_s, layout)
        stored = await _unpack(entry, row)
        metrics.SEAT_READ_SECONDS.observe(time.monotonic() - began)
        return stored

    async def _unpack_shared(self, entry: ScheduleEntry, row: StatesRow) -> StoredStates | None:
        """Unpack another process's reading; None where it is of another layout."""
        layout = entry.layout
        # guard: shared_reading_of_its_layout => if False:
        if (row.seats, row.layout_version) != (len(layout.seats), layout.version):
            metrics.SHARED_READINGS.labels("layout").inc()
            return None
        return await _unpack(entry, row)


class SeatChangeApplier:
    """Applies changes to the entries in memory, and invalidates what cannot be known from changes.

    A schedule that is not in memory is left alone.
    """

    def __init__(self, entries: ScheduleEntries) -> None:
        self._entries = entries
        self._cache = entries.cache
        self._shared = entries.shared

    def apply(self, schedule_id: UUID, changes: Sequence[PositionChange]) -> None:
        """Apply the changes that are newer than what is known."""
        if self._shared is not None:
            self._shared.recent.note(schedule_id, changes)
        entry = self._cache.peek(schedule_id)
        if entry is not None:
            entry.refresher.apply(changes)
            self._entries.wake(schedule_id)

    def positions(self, schedule_id: UUID, seat_ids: Sequence[str]) -> list[int] | None:
        """Return the positions of the seats in the layout; None where one is not known."""
        entry = self._cache.peek(schedule_id)
        if entry is None:
            return None
        found = [entry.layout.index.get(one, -1) for one in seat_ids]
        return None if -1 in found else found

    def set_connected(self, is_connected: bool) -> None:
        """Set whether changes of other pods arrive.

        Where they no longer arrive, no states are used until they have been read again. Where they
        begin to arrive, older readings keep the maximum age of the time without.
        """
        self._entries.connected_since = self._entries.clock() if is_connected else math.inf
        if not is_connected:
            self.invalidate_all()

    def set_schedule_connected(self, schedule_id: UUID, *, is_connected: bool) -> None:
        """Set the same of one schedule, where each has a channel of its own."""
        if is_connected:
            self._entries.schedules_connected_since[schedule_id] = self._entries.clock()
        elif self._entries.schedules_connected_since.pop(schedule_id, None) is not None:
            self.invalidate(schedule_id)

    def schedule_ids(self) -> set[UUID]:
        """Return the schedules in memory."""
        return {entry.layout.schedule_id for entry in self._cache.values()}

    def invalidate(self, schedule_id: UUID) -> None:
        """Do not use the states of a schedule until they have been read again."""
        if self._shared is not None:
            self._shared.recent.miss(schedule_id)
        entry = self._cache.peek(schedule_id)
        if entry is not None:
            entry.refresher.invalidate()
        self._entries.wake(schedule_id)

    def invalidate_all(self) -> None:
        """Do not use any states until they have been read again: changes were missed."""
        if self._shared is not None:
            self._shared.recent.miss_all()
        for entry in self._cache.values():
            entry.refresher.invalidate()
            self._entries.wake(entry.layout.schedule_id)

    def evict(self, schedule_id: UUID) -> None:
        """Drop layout and states: the seats or the status of the schedule were changed."""
        if self._shared is not None:
            self._shared.recent.miss(schedule_id)
        self._cache.invalidate(schedule_id)
        self._entries.wake(schedule_id)

    def evict_absent(self) -> None:
        """Drop the knowledge that schedules do not exist: a concert was published."""
        self._cache.forget_absent()


async def _unpack(entry: ScheduleEntry, row: StatesRow) -> StoredStates:
    live = entry.refresher.live
    people_before = live.people_read if live else b""
    return await offload(row.seats, lambda: _unpack_row(row, people_before))


def _unpack_row(row: StatesRow, people_before: bytes) -> StoredStates:
    return unpack_states(
        now=row.now,
        states=row.states,
        expires_at=row.expires_at,
        versions=row.versions,
        people=row.people,
        people_before=people_before,
        sale=SaleWindow(row.is_open, row.opens_at, row.closes_at),
    )
