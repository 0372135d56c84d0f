"""Readings of seats, shared by all processes: one reads a schedule for all, and publishes it in Valkey.

Valkey says whose turn it is and how long ago a published reading began. Without Valkey, or where its
answer is of no use, a process reads for itself.
"""

import asyncio
import random
import secrets
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, NamedTuple
from uuid import UUID

from boxoffice.platform.clock import DatabaseClock
from boxoffice.platform.concurrency.offload import offload
from boxoffice.platform.postgres.sql_files import read
from boxoffice.platform.valkey import Script, Valkey, ValkeyUnavailable
from boxoffice.seats import metrics
from boxoffice.seats.cache.recent import RecentChanges
from boxoffice.seats.cache.states import PositionChange
from boxoffice.seats.layout import Layout
from boxoffice.seats.shared import packing
from boxoffice.seats.shared.packing import PackedLayout, ReadingHead, Unreadable
from boxoffice.seats.store import StatesRow

_TAKE = Script("take_reading", read("boxoffice.seats", "lua/take_reading.lua"))
_PUBLISH = Script("publish_reading", read("boxoffice.seats", "lua/publish_reading.lua"))
_PUBLISH_LAYOUT = Script("publish_layout", read("boxoffice.seats", "lua/publish_layout.lua"))

# The keys of a reading and of its turn live so long after the turn began: their age is at most that.
_KEPT_MS = 60_000
# Larger halls are read by each process: their readings are too large for Valkey's deadline.
SEATS_MAX = 100_000
# The age is rounded to milliseconds, and the clocks drift apart meanwhile.
_AGE_ERROR_S = 0.002


class ReadingWanted(NamedTuple):
    """Which reading is wanted: it began after `after` (monotonic seconds), and is not `digest`.

    Another process is waited for until `until`, and asked again every `poll_s` to twice that. A turn
    lasts `turn_s`; 0 asks for none, because a schedule of that id may not exist.
    """

    after: float
    until: float = 0.0
    poll_s: float = 0.0
    turn_s: float = 0.0
    digest: bytes = b""


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
        # The token of this process's turn, and of the reading that it has.
        self._turn = b""
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

    async def find(self, wanted: ReadingWanted) -> SharedReading | None:
        """Return a reading of another process; None where this process is to read for itself."""
        self._turn = b""
        while True:
            token, asked_at = secrets.token_bytes(8), self._clock()
            try:
                answer = await self._take(token, wanted, asked_at)
            except ValkeyUnavailable:
                _count("away")
                return None
            if answer == 1:
                self._turn = token
                return None
            if answer != 0:
                return await self._accepted(answer, wanted, asked_at)
            if self._clock() >= wanted.until:
                _count("late")
                return None
            await asyncio.sleep(wanted.poll_s * random.uniform(1, 2))  # noqa: S311 — no secret

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
        turn, self._turn = self._turn, b""
        if turn and row.seats <= SEATS_MAX:
            self._token = turn
            self._shared.start(self._publish(turn, row, took_s, layout))

    async def _take(self, token: bytes, wanted: ReadingWanted, asked_at: float) -> Any:
        # One that would be refused here for the errors of the clocks is not asked for: a turn is.
        error_s = _AGE_ERROR_S + 2 * self._shared.database_clock.uncertainty_s()
        age_max_s = max(-1.0, min(asked_at - wanted.after - error_s, _KEPT_MS / 1000))
        turn_ms = int(wanted.turn_s * 1000)
        args: list[bytes | int] = [
            token, self._token, wanted.digest, int(age_max_s * 1000), turn_ms, _KEPT_MS,
        ]  # fmt: skip
        keys = [self._key("reading"), self._key("turn")]
        return await self._shared.valkey.run(_TAKE, keys, args)

    async def _accepted(
        self, answer: Any, wanted: ReadingWanted, asked_at: float
    ) -> SharedReading | None:
        age_ms, token, digest, packed_head, body = answer
        is_whole = packed_head is not None and (body or digest == wanted.digest)
        if not is_whole:
            _count("invalid")
            return None
        try:
            head = packing.unpack_head(packed_head)
            began_at = self._began_at(age_ms / 1000, head, asked_at)
            # guard: shared_reading_by_both_clocks => if False:
            if began_at <= wanted.after:
                _count("old")
                return None
            row = (
                await offload(head.seats, lambda: packing.unpack_row(head, body)) if body else None
            )
        except Unreadable:
            _count("invalid")
            return None
        return SharedReading(token, digest, began_at, head, row)

    def _began_at(self, age_s: float, head: ReadingHead, asked_at: float) -> float:
        """Return the earliest time at which a reading may have begun, by both servers' clocks."""
        by_valkey = asked_at - age_s - _AGE_ERROR_S
        database = self._shared.database_clock
        age_s = database.now() + database.uncertainty_s() - head.now
        return min(by_valkey, self._clock() - age_s - _AGE_ERROR_S)

    async def _publish(self, turn: bytes, row: StatesRow, took_s: float, layout: Layout) -> None:
        try:
            packed_layout, digest = await self._layout_digest(layout)
            packed = await offload(row.seats, lambda: packing.pack_reading(row, took_s, digest))
            keys = [self._key(name) for name in ("reading", "turn", "layout")]
            args: list[bytes | int] = [
                turn,
                packed.digest,
                packed.head,
                packed.body,
                digest,
                _KEPT_MS,
            ]
            result = await self._shared.valkey.run(_PUBLISH, keys, args)
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
        args: list[bytes | int] = [packed.digest, packed.body, _KEPT_MS]
        await self._shared.valkey.run(_PUBLISH_LAYOUT, [self._key("layout")], args)

    def _key(self, name: str) -> str:
        return f"{self._shared.prefix}:{name}:{{{self._schedule_id}}}"


def _count(reason: str) -> None:
    metrics.SHARED_READINGS.labels(reason).inc()
