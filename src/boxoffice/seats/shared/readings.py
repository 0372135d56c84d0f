"""Readings of seats, shared by all processes: one reads a schedule for all, and publishes it in Valkey.

Without Valkey, or where its answer is of no use, a process reads for itself.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, NamedTuple
from uuid import UUID

from boxoffice.platform.clock import DatabaseClock
from boxoffice.platform.concurrency.offload import offload
from boxoffice.platform.postgres.sql_files import read
from boxoffice.platform.valkey import Script, Valkey, ValkeyUnavailable
from boxoffice.platform.valkey.reading_turns import (
    AGE_ERROR_S,
    KEPT_MS,
    PublishedReading,
    ReadingTurn,
    ReadingTurns,
    ReadingWanted,
    turn_script,
)
from boxoffice.seats import metrics
from boxoffice.seats.cache.recent import RecentChanges
from boxoffice.seats.cache.states import PositionChange
from boxoffice.seats.layout import Layout
from boxoffice.seats.shared import packing
from boxoffice.seats.shared.packing import PackedLayout, ReadingHead, Unreadable
from boxoffice.seats.store import StatesRow

_TAKE = turn_script("boxoffice.seats", "take_reading")
_PUBLISH = turn_script("boxoffice.seats", "publish_reading")
_PUBLISH_LAYOUT = Script("publish_layout", read("boxoffice.seats", "lua/publish_layout.lua"))

# Larger halls are read by each process: their readings are too large for Valkey's deadline.
SEATS_MAX = 100_000


class SharedReading(NamedTuple):
    """A reading of another process: it began at `began_at` (monotonic seconds here) at the earliest.

    `row` is None where the seats are those of the wanted digest.
    """

    token: bytes
    digest: bytes
    began_at: float
    head: ReadingHead
    row: StatesRow | None


class SharedReadings:
    """The readings of all schedules.

    They are shared where at least `processes_min` processes exchange changes, 0 for never. `processes`
    counts them, `start` runs work in the background, `prefix` begins the keys of one shop, and `clock`
    counts monotonic seconds.
    """

    def __init__(
        self,
        valkey: Valkey,
        processes_min: int,
        processes: Callable[[], int],
        database_clock: DatabaseClock,
        start: Callable[[Coroutine[Any, Any, None]], None],
        prefix: str = "boxoffice",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.prefix = prefix
        self.valkey = valkey
        self.turns = ReadingTurns(valkey, _TAKE, _PUBLISH, clock)
        self.clock = clock
        self.database_clock = database_clock
        self.start = start
        self._processes_min = processes_min
        self._processes = processes
        self.recent = RecentChanges(clock, self.is_active)

    def is_active(self) -> bool:
        """Say whether there are enough processes to share with."""
        return 0 < self._processes_min <= self._processes()

    async def close(self) -> None:
        """Close the connections."""
        await self.valkey.close()

    def of(self, schedule_id: UUID) -> "SharedSchedule":
        """Return the shared readings of one schedule."""
        return SharedSchedule(self, schedule_id)


class SharedSchedule:
    """The shared readings of one schedule; no methods but those of the layout raise."""

    def __init__(self, shared: SharedReadings, schedule_id: UUID) -> None:
        self._shared = shared
        self._schedule_id = schedule_id
        self._clock = shared.clock
        self._turn = ReadingTurn()
        # The token of the reading that this process has.
        self._token = b""
        self._layout: tuple[Layout, bytes] | None = None

    def is_active(self) -> bool:
        """Say whether readings are shared."""
        return self._shared.is_active()

    def complete_since(self) -> float:
        """Return from when on all changes that arrived are known."""
        return self._shared.recent.complete_since(self._schedule_id)

    def changes_since(self, began_at: float) -> Iterator[PositionChange]:
        """Yield the changes that came after `began_at`."""
        return self._shared.recent.since(self._schedule_id, began_at)

    async def find(self, wanted: ReadingWanted, digest: bytes = b"") -> SharedReading | None:
        """Return a reading of another process; None where this process is to read for itself.

        Seats that are those of `digest` are left out.
        """
        self._turn = ReadingTurn()
        # One that would be refused here for the errors of the clocks is not asked for: a turn is.
        error_s = 2 * self._shared.database_clock.uncertainty_s()
        asked = wanted._replace(after=wanted.after + error_s)
        keys = [self._key("reading"), self._key("turn")]
        try:
            found = await self._shared.turns.find(keys, asked, self._token, digest)
        except ValkeyUnavailable:
            _count("away")
            return None
        if isinstance(found, PublishedReading):
            return await self._accepted(found, wanted.after, digest)
        if found is None:
            _count("late")
        else:
            self._turn = found
        return None

    def have(self, token: bytes) -> None:
        """Note that the reading of this token is known here."""
        self._token = token

    async def packed_layout(self, digest: bytes) -> PackedLayout | None:
        """Return the published layout of that digest; raise `ValkeyUnavailable`."""
        command = self._shared.valkey.command
        found = await command("HMGET", self._key("layout"), "digest", "body")
        # guard: shared_layout_of_its_reading: found[0] != digest => found[0] is None
        if found[0] != digest:
            return None
        return PackedLayout(digest, found[1] or b"")

    async def layout(self, packed: PackedLayout) -> Layout:
        """Unpack a layout; raise `Unreadable`."""
        layout = await asyncio.to_thread(packing.unpack_layout, self._schedule_id, packed.body)
        self._layout = layout, packed.digest
        return layout

    def publish(self, row: StatesRow, took_s: float, layout: Layout) -> None:
        """Publish a reading in the background where this process has the turn."""
        turn, self._turn = self._turn, ReadingTurn()
        if turn.token and row.seats <= SEATS_MAX:
            self._token = turn.token
            self._shared.start(self._publish(turn, row, took_s, layout))

    async def _accepted(
        self, found: PublishedReading, after: float, known_digest: bytes
    ) -> SharedReading | None:
        token, digest, packed_head, body = found.parts
        is_whole = packed_head is not None and (body or digest == known_digest)
        if not is_whole:
            _count("invalid")
            return None
        try:
            head = packing.unpack_head(packed_head)
            began_at = self._began_at(found.began_at, head)
            # guard: shared_reading_by_both_clocks => if False:
            if began_at <= after:
                _count("old")
                return None
            row = (
                await offload(head.seats, lambda: packing.unpack_row(head, body)) if body else None
            )
        except Unreadable:
            _count("invalid")
            return None
        return SharedReading(token, digest, began_at, head, row)

    def _began_at(self, by_valkey: float, head: ReadingHead) -> float:
        """Return the earliest time at which a reading may have begun, by both servers' clocks."""
        database = self._shared.database_clock
        age_s = database.now() + database.uncertainty_s() - head.now
        return min(by_valkey, self._clock() - age_s - AGE_ERROR_S)

    async def _publish(
        self, turn: ReadingTurn, row: StatesRow, took_s: float, layout: Layout
    ) -> None:
        try:
            packed_layout, digest = await self._layout_digest(layout)
            packed = await offload(row.seats, lambda: packing.pack_reading(row, took_s, digest))
            keys = [self._key(name) for name in ("reading", "turn", "layout")]
            result = await self._shared.turns.publish(
                keys, turn, packed.digest, packed.head, packed.body, digest, KEPT_MS
            )
            _count("published" if result else "superseded")
            if result == 2:
                await self._publish_layout(packed_layout, layout)
        except ValkeyUnavailable:
            _count("away")

    async def _layout_digest(self, layout: Layout) -> tuple[PackedLayout | None, bytes]:
        """Return the digest of a layout, and the packed layout where it was packed for that."""
        if self._layout is not None and self._layout[0] is layout:
            return None, self._layout[1]
        packed = await offload(len(layout.seats), lambda: packing.pack_layout(layout))
        self._layout = layout, packed.digest
        return packed, packed.digest

    async def _publish_layout(self, packed: PackedLayout | None, layout: Layout) -> None:
        if packed is None:
            packed = await offload(len(layout.seats), lambda: packing.pack_layout(layout))
        args: list[bytes | int] = [packed.digest, packed.body, KEPT_MS]
        await self._shared.valkey.run(_PUBLISH_LAYOUT, [self._key("layout")], args)

    def _key(self, name: str) -> str:
        return f"{self._shared.prefix}:{name}:{{{self._schedule_id}}}"


def _count(reason: str) -> None:
    metrics.SHARED_READINGS.labels(reason).inc()
