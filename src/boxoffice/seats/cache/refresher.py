"""When the states of one schedule are read, and how long they may be used."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from boxoffice.platform.concurrency.offload import offload
from boxoffice.platform.valkey.reading_turns import ReadingWanted
from boxoffice.seats import metrics
from boxoffice.seats.cache.states import LiveStates, PositionChange, StoredStates
from boxoffice.seats.shared.readings import SharedReading, SharedSchedule
from boxoffice.seats.store import StatesRow

# Reading one schedule takes at most this share of the time, whatever its size.
_READ_SHARE = 1 / 20
# Shortest time between two readings, also after one that failed or was invalidated at once.
_PAUSE_S = 0.05
# Changes that are kept during a first reading; after more of them the next reading is awaited.
_EARLY_CHANGES_MAX = 20_000
# Another process's reading is waited for during this share of the time in which states are trusted, or
# shortly where they are not; that process has its turn for this long, or some of its readings.
_WAIT_SHARE = 0.7
_WAIT_S = 0.1
_TURN_S = 0.25
_TURN_READINGS = 5
_POLL_S = 0.02

Unpack = Callable[[StatesRow], Awaitable[StoredStates | None]]


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

    With `share`, readings that no caller waits for come from other processes where these have read the
    schedule recently. `unpack` returns None for those of another layout.
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
        share: tuple[SharedSchedule, Unpack] | None = None,
    ) -> None:
        self._read = read
        self._share = share
        self._asking: asyncio.Task[SharedReading | None] | None = None
        # The digest of the newest reading where the states are the same, and their count of changes.
        self._same_as: tuple[bytes, int] = b"", -1
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
                self._start(is_shared=False)
            elif self._began_at <= after:
                self._stop_asking()
                await asyncio.wait([self._task])
                continue
            self._stop_asking()
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
            self._start(is_shared=True)

    def _start(self, *, is_shared: bool) -> None:
        self._began_at = began_at = self._clock()
        # At most one reading is borrowed, also by callers who need a fresh one.
        owed_until = min(max(self._affordable_at, began_at), began_at + self._cost_s)
        self._affordable_at = owed_until + self._cost_s
        self._early.clear()
        self._task = asyncio.create_task(self._run(is_shared=is_shared))
        self._task.add_done_callback(self._ended)

    async def _run(self, *, is_shared: bool) -> None:
        if is_shared and self._share is not None and self._share[0].is_active():
            if await self._find_shared(*self._share):
                return
            self._began_at = self._clock()
        await self._read_database()

    async def _read_database(self) -> None:
        began_at = self._began_at
        if self.live is not None:
            self.live.begin_reading()
        reading = await self._read()
        if self.live is None:
            self.live = await offload(len(reading.states), lambda: LiveStates(reading))
            self.apply(self._early)
            self._early.clear()
        else:
            self.live.merge(reading)
        self._same_as = b"", -1
        metrics.SEAT_READINGS.labels("database").inc()
        self._finish(began_at, self._clock() - began_at)

    async def _find_shared(self, shared: SharedSchedule, unpack: Unpack) -> bool:
        """Take over a reading of another process, unless a caller waits for this one meanwhile."""
        if self.live is None or self._unknown_until(shared) == math.inf:
            return False
        digest = self._same_as[0] if self._same_as[1] == self.live.changes else b""
        asking = self._asking = asyncio.create_task(shared.find(self._wanted(shared), digest))
        try:
            await asyncio.wait([asking])
        finally:
            self._asking = None
            asking.cancel()
        found = None if asking.cancelled() else asking.result()
        if found is None:
            return False
        stored = None if found.row is None else await unpack(found.row)
        is_usable = found.row is None or stored is not None
        return is_usable and await self.take_over(shared, found, stored)

    def _wanted(self, shared: SharedSchedule) -> ReadingWanted:
        now = self._clock()
        after = max(now - self._limit_s(now), self._read_at, self._unknown_until(shared))
        wait_s = max((self._trusted_until - now) * _WAIT_SHARE, _WAIT_S)
        turn_s = max(_TURN_S, self._took_s * _TURN_READINGS)
        return ReadingWanted(after, now + wait_s, max(_POLL_S, self._took_s), turn_s)

    def _unknown_until(self, shared: SharedSchedule) -> float:
        """Return until when changes may have been missed; a reading that began later has them."""
        return max(self._invalidated_at, self._connected_since(), shared.complete_since())

    async def take_over(
        self, shared: SharedSchedule, found: SharedReading, stored: StoredStates | None
    ) -> bool:
        """Take over a reading of another process; say whether it fits what is known here."""
        live = self.live
        if live is None and stored is not None:
            reading = stored
            live = await offload(len(reading.states), lambda: LiveStates(reading))
        # guard: shared_reading_misses_no_change: found.began_at <= self._unknown_until(shared) => False
        if live is None or found.began_at <= self._unknown_until(shared):
            metrics.SHARED_READINGS.labels("old").inc()
            return False
        if not self._merge(shared, live, found, stored):
            metrics.SHARED_READINGS.labels("behind").inc()
            return False
        shared.have(found.token)
        metrics.SEAT_READINGS.labels("shared").inc()
        metrics.SEAT_READING_AGE_SECONDS.observe(self._clock() - found.began_at)
        self._finish(found.began_at, found.head.took_s)
        return True

    def _merge(
        self,
        shared: SharedSchedule,
        live: LiveStates,
        found: SharedReading,
        stored: StoredStates | None,
    ) -> bool:
        changes = list(shared.changes_since(found.began_at))
        if self.live is None:
            self.live = live
            self.apply(changes)
        elif stored is None:
            live.lapse(found.head.now)
        elif not live.merge_shared(stored, changes):
            return False
        else:
            self._same_as = b"" if changes else found.digest, live.changes
        return True

    def _finish(self, began_at: float, took_s: float) -> None:
        self._read_at = began_at
        # The cost that `_start` assumed is replaced by the measured one.
        self._affordable_at -= self._cost_s
        self._took_s = took_s
        self._affordable_at += self._cost_s
        if began_at > self._invalidated_at:
            self._trust(began_at)
        self._on_read()

    def _stop_asking(self) -> None:
        """Have the reading in progress ask no other process: a caller waits for it."""
        if self._asking is not None:
            self._asking.cancel()

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
