"""What a worker has in memory of each schedule, and when the states are read from the database.

Between readings a process applies its own decisions and the changes of other pods. Readings bound the
age of what is shown, however many messages are lost.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from boxoffice.errors import IntegrityError, ScheduleNotFound
from boxoffice.platform.cache import Cache
from boxoffice.platform.concurrency.offload import offload
from boxoffice.seats import metrics
from boxoffice.seats.cache.states import (
    LiveStates,
    PositionChange,
    SaleWindow,
    StoredStates,
    unpack_states,
)
from boxoffice.seats.layout import Layout, packed, positions
from boxoffice.seats.rendering.seat_map import ShownMap
from boxoffice.seats.store import PublicSchedule, SeatStore, StatesRow
from boxoffice.settings import SeatSettings

_READS_MAX = 3
# A larger hall is read for refusals only after the database has refused a hold there.
_EAGER_SEATS_MAX = 100_000
# Reading one schedule takes at most this share of the time, whatever its size.
_READ_SHARE = 1 / 20
# Shortest time between two readings, also after one that failed or was invalidated at once.
_PAUSE_S = 0.05
# Changes that are kept during a first reading; after more of them the next reading is awaited.
_EARLY_CHANGES_MAX = 20_000


@dataclass(frozen=True)
class MaxAge:
    """Maximum age of a reading in seconds, without and with changes of other pods arriving."""

    disconnected_s: float
    connected_s: float


class SnapshotRefresher:
    """Keeps the live states of one schedule fresh.

    At most one reading runs at a time, and callers share it. Without `eager`, `usable` starts no
    reading before `enable`: reading a huge hall is worth it only where holds are refused. `clock`
    counts monotonic seconds; `on_read` is called after every reading. `connected_since` returns the
    time from which on changes of other pods have arrived, infinite where they do not.
    """

    def __init__(
        self,
        read: Callable[[], Awaitable[StoredStates]],
        max_age: MaxAge,
        connected_since: Callable[[], float],
        clock: Callable[[], float],
        on_read: Callable[[], None] = lambda: None,
        *,
        eager: bool = True,
    ) -> None:
        self._read = read
        self._max_age = max_age
        self._connected_since = connected_since
        self._clock = clock
        self._on_read = on_read
        self._is_enabled = eager
        self._task: asyncio.Task[None] | None = None
        # The newest reading, perhaps in progress, began at `_began_at`; the newest complete one began
        # at `_read_at`, and took `_took_s`.
        self._began_at = -math.inf
        self._read_at = -math.inf
        self._took_s = 0.0
        # Only readings that began later may be trusted.
        self._invalidated_at = -math.inf
        # The states may be used until `_trusted_until`; from `_due_at` on a reading would be useful.
        self._due_at = -math.inf
        self._trusted_until = -math.inf
        # When the share of readings allows the next one: each reading delays it by its cost.
        self._affordable_at = -math.inf
        # Changes during the first reading.
        self._early: list[PositionChange] = []
        self.live: LiveStates | None = None

    @property
    def read_at(self) -> float:
        """When the newest reading began."""
        return self._read_at

    def invalidate(self) -> None:
        """Do not use the states until a reading that begins after this call: changes were missed."""
        self._invalidated_at = self._clock()
        self._due_at = self._trusted_until = -math.inf

    def apply(self, changes: Iterable[PositionChange]) -> None:
        """Apply the changes that are newer than what is known; invalidate the states after a gap."""
        live = self.live
        if live is None:
            self._keep_early(changes)
            return
        gaps = live.gaps
        try:
            for change in changes:
                live.apply(change)
        except (IndexError, OverflowError):
            gaps = -1
        if live.gaps != gaps:
            self.invalidate()

    def _keep_early(self, changes: Iterable[PositionChange]) -> None:
        """Keep changes until the first reading is complete; it may have begun before them.

        Without a reading in progress there is nothing to keep: a later one includes the changes.
        """
        if self._task is not None:
            self._early.extend(changes)
        if len(self._early) > _EARLY_CHANGES_MAX:
            self._early.clear()
            self.invalidate()

    def enable(self) -> None:
        """Read the schedule in the background from now on: the database has refused a hold there."""
        self._is_enabled = True

    def usable(self) -> LiveStates | None:
        """Return the states where they may be used, without waiting; else start a reading."""
        now = self._clock()
        if now >= self._due_at and (self._is_enabled or self.live is not None):
            self._start_where_due(now)
        return self.live if now < self._trusted_until else None

    async def fresh(self, max_age_s: float | None = None) -> LiveStates:
        """Return states that may be used, read at most `max_age_s` before this call.

        Raises what reading raises.
        """
        if max_age_s is None:
            live = self.usable()
            if live is not None:
                return live
            if self.live is not None and self._clock() - self._read_at < self._cost_s:
                return self.live  # invalidated, but read a moment ago: good enough to be shown
            max_age_s = self._limit_s(self._read_at)
        # Clocks tick: a reading that started in the tick of this call may have started before it.
        after = max(self._clock() - max_age_s, self._invalidated_at)
        while self._read_at <= after or self.live is None:
            if self._task is None:
                self._start()
            elif self._began_at <= after:
                await asyncio.wait([self._task])
                continue
            if self._task is not None:
                await asyncio.shield(self._task)
        return self.live

    def _has_changes_since(self, began_at: float) -> bool:
        """Return whether the changes of other pods since a reading have arrived."""
        return began_at > self._connected_since()

    def _limit_s(self, began_at: float) -> float:
        """Return how old a reading that began at `began_at` may be."""
        has_changes = self._has_changes_since(began_at)
        wanted = self._max_age.connected_s if has_changes else self._max_age.disconnected_s
        return max(wanted, self._cost_s)

    @property
    def _cost_s(self) -> float:
        """The time that passes for one reading on average."""
        return self._took_s / _READ_SHARE

    def _start_where_due(self, now: float) -> None:
        """Start a reading where the share of readings allows one.

        An invalidation since the last reading may borrow the time of one: until it is repaired, every
        refusal costs the database a share of a batch.
        """
        borrowed_s = self._cost_s if self._invalidated_at >= self._began_at else 0.0
        is_affordable = now >= self._affordable_at - borrowed_s
        if self._task is None and is_affordable and now - self._began_at >= _PAUSE_S:
            self._start()

    def _start(self) -> None:
        self._began_at = began_at = self._clock()
        # At most one reading is borrowed, also by callers who need a fresh one.
        owed_until = min(max(self._affordable_at, began_at), began_at + self._cost_s)
        self._affordable_at = owed_until + self._cost_s
        self._early.clear()
        if self.live is not None:
            self.live.begin_reading()
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(self._ended)

    async def _run(self) -> None:
        began_at = self._began_at
        reading = await self._read()
        if self.live is None:
            self.live = await offload(len(reading.states), lambda: LiveStates(reading))
            self.apply(self._early)
            self._early.clear()
        else:
            self.live.merge(reading)
        self._read_at = began_at
        # The cost that `_start` assumed is replaced by the measured one.
        self._affordable_at -= self._cost_s
        self._took_s = self._clock() - began_at
        self._affordable_at += self._cost_s
        if began_at > self._invalidated_at:
            self._trust(began_at)
        self._on_read()

    def _trust(self, began_at: float) -> None:
        """Use a reading that began at `began_at` until it is too old; the next one is due before."""
        limit_s = self._limit_s(began_at)
        if self._has_changes_since(began_at):
            # While changes arrive a reading only verifies the states: no caller waits for it.
            self._due_at = began_at + limit_s
            self._trusted_until = began_at + 2 * limit_s
        else:
            self._due_at = began_at + max(limit_s / 2, limit_s - 2 * self._took_s)
            self._trusted_until = began_at + limit_s

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._task = None
        if not task.cancelled():
            task.exception()  # waiting callers get it; without one it needs no warning


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
        # The schedule is read first: seats that change later have a newer layout version.
        schedule = await self._store.public_schedule(schedule_id)
        if schedule is None:
            raise ScheduleNotFound
        layout = await self._load_layout(schedule_id, schedule)
        entry = ScheduleEntry(layout, self.now, is_public=schedule.is_public)
        entry.refresher = SnapshotRefresher(
            partial(self._read, entry),
            self._max_age,
            lambda: min(
                self.connected_since, self.schedules_connected_since.get(schedule_id, math.inf)
            ),
            self.clock,
            partial(self.wake, schedule_id),
            eager=len(layout.seats) <= _EAGER_SEATS_MAX,
        )
        return entry

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
        entry.is_public = row is not None
        if row is None:
            raise ScheduleNotFound
        layout = entry.layout
        # guard: layout_of_its_version: row.layout_version => layout.version
        if (row.seats, row.layout_version) != (len(layout.seats), layout.version):
            self._drop(entry)
            raise _LayoutOutdated
        live = entry.refresher.live
        people_before = live.people_read if live else b""
        stored = await offload(row.seats, lambda: _unpack(row, people_before))
        metrics.SEAT_READ_SECONDS.observe(time.monotonic() - began)
        return stored


class SeatChangeApplier:
    """Applies changes to the entries in memory, and invalidates what cannot be known from changes.

    A schedule that is not in memory is left alone.
    """

    def __init__(self, entries: ScheduleEntries) -> None:
        self._entries = entries
        self._cache = entries.cache

    def apply(self, schedule_id: UUID, changes: Iterable[PositionChange]) -> None:
        """Apply the changes that are newer than what is known."""
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
        entry = self._cache.peek(schedule_id)
        if entry is not None:
            entry.refresher.invalidate()
        self._entries.wake(schedule_id)

    def invalidate_all(self) -> None:
        """Do not use any states until they have been read again: changes were missed."""
        for entry in self._cache.values():
            entry.refresher.invalidate()
            self._entries.wake(entry.layout.schedule_id)

    def evict(self, schedule_id: UUID) -> None:
        """Drop layout and states: the seats or the status of the schedule were changed."""
        self._cache.invalidate(schedule_id)
        self._entries.wake(schedule_id)

    def evict_absent(self) -> None:
        """Drop the knowledge that schedules do not exist: a concert was published."""
        self._cache.forget_absent()


def _unpack(row: StatesRow, people_before: bytes) -> StoredStates:
    return unpack_states(
        now=row.now,
        states=row.states,
        expires_at=row.expires_at,
        versions=row.versions,
        people=row.people,
        people_before=people_before,
        sale=SaleWindow(row.is_open, row.opens_at, row.closes_at),
    )
