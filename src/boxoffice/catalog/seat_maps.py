"""Seat maps in memory: where the seats are, in what state they were a moment ago, and the answer to
those who ask, encoded once per version.
"""

import asyncio
import math
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TypeVar
from uuid import UUID

import msgspec

from boxoffice.catalog.cache import Cache, Once
from boxoffice.catalog.store import CatalogStore
from boxoffice.errors import IntegrityError, ScheduleNotFound
from boxoffice.platform.postgres import Record
from boxoffice.platform.values import Money
from boxoffice.settings import Settings

AVAILABLE, HELD, SOLD, BLOCKED = range(4)
_NAMES = (b"AVAILABLE", b"HELD", b"SOLD", b"BLOCKED")

T = TypeVar("T")

# Above this many seats the work goes to a thread: below it the way there takes longer than the work.
_INLINE_SEATS_MAX = 3_000
# A map changes many times a second while it sells: the quickest level already takes nine tenths off.
_GZIP_LEVEL = 1
_GZIP_FORMAT = 16 + zlib.MAX_WBITS
_READS_MAX = 3


class Seat(msgspec.Struct, frozen=True, gc=False):
    """A seat without its state; `price_minor` in minor units of the layout's currency."""

    seat_id: str
    section: str
    row: str
    number: int
    grade: str
    price_minor: int


@dataclass(frozen=True, eq=False)
class Layout:
    """The seats of a schedule in their order, and the position of each id."""

    schedule_id: UUID
    currency: str
    seats: tuple[Seat, ...]
    index: dict[str, int]
    # Whether the seats are final, as they are once the schedule has been opened.
    final: bool


@dataclass(frozen=True, eq=False)
class SeatStates:
    """One byte per seat in the order of the layout: AVAILABLE, HELD, SOLD or BLOCKED.

    `version` grows with every visible change; `read_at` is when the read began, in monotonic seconds.
    """

    version: int
    read_at: float
    status: bytes


class _SeatShape(msgspec.Struct):
    seat_id: str
    section: str
    row: str
    number: int
    grade: str
    price: Money


class RenderedMap:
    """The JSON of a seat map at one version; `tag` names its bytes."""

    def __init__(self, sheet: "_Sheet", version: int, status: bytes) -> None:
        self._sheet = sheet
        self._version = version
        self._status = status
        self._body = Once(self._encode)
        self._gzip = Once(self._compress)

    async def tag(self) -> str:
        """Return a name that no other content has: the layout's own, and the version."""
        pieces = await self._sheet.pieces.get()
        return f"{pieces.tag}-{self._version}"

    async def body(self) -> bytes:
        """Return the JSON."""
        return await self._body.get()

    async def gzip(self) -> bytes:
        """Return the JSON compressed (RFC 1952)."""
        return await self._gzip.get()

    async def _encode(self) -> bytes:
        pieces = await self._sheet.pieces.get()
        return await compute(len(self._status), lambda: pieces.join(self._version, self._status))

    async def _compress(self) -> bytes:
        body = await self.body()
        return await compute(len(self._status), lambda: _gzipped(body))


@dataclass(frozen=True)
class _Pieces:
    """The parts of a map's JSON that do not change: what stands before each status."""

    head: bytes
    befores: Sequence[bytes]
    tag: str

    def join(self, version: int, status: bytes) -> bytes:
        parts = [b""] * (2 * len(status))
        parts[0::2] = self.befores
        parts[1::2] = map(_NAMES.__getitem__, status)
        head = b'%b,"version":%d,"seats":[' % (self.head, version)
        return b"".join((head, *parts, b'"}]}' if parts else b"]}"))


class _Sheet:
    """A layout with the constant parts of its JSON, which are made when first needed."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.pieces = Once(self._cut)

    async def _cut(self) -> _Pieces:
        return await compute(len(self.layout.seats), lambda: _pieces(self.layout))


@dataclass(frozen=True)
class _Snapshot:
    sheet: _Sheet
    states: SeatStates
    rendered: RenderedMap = field(repr=False)


class SeatMaps:
    """Layouts, seat states and encoded seat maps of the schedules that are asked for.

    What it says about a seat is as old as `seats_cache_ms`: good for showing and for refusing, never
    for accepting. A schedule of a concert that is not published does not exist here.
    """

    def __init__(
        self,
        settings: Settings,
        store: CatalogStore,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._clock = clock
        draft_ttl_s = settings.catalog_cache_ms / 1000
        states_ttl_s = settings.seats_cache_ms / 1000
        self._sheets: Cache[UUID, _Sheet] = Cache(
            self._load_sheet,
            ttl_s=lambda sheet: math.inf if sheet.layout.final else draft_ttl_s,
            weigh=lambda sheet: 1 + len(sheet.layout.seats),
            absent_ttl_s=draft_ttl_s,
            weight_max=settings.seats_cached_max,
            clock=clock,
        )
        self._snapshots: Cache[UUID, _Snapshot] = Cache(
            self._load_snapshot,
            ttl_s=lambda _snapshot: states_ttl_s,
            weigh=lambda snapshot: 1 + len(snapshot.states.status),
            absent_ttl_s=draft_ttl_s,
            weight_max=settings.seats_cached_max,
            clock=clock,
        )

    async def layout(self, schedule_id: UUID) -> Layout:
        """Return where the seats are; raise `ScheduleNotFound`."""
        return (await self._sheets.get(schedule_id)).layout

    async def layout_with(self, schedule_id: UUID, seat_ids: Iterable[str]) -> Layout:
        """Return where the seats are; raise `ScheduleNotFound`.

        A layout that may have grown on another process is read anew where it lacks one of `seat_ids`,
        so that a seat which existed before this call is in it.
        """
        layout = await self.layout(schedule_id)
        if layout.final or layout.index.keys() >= set(seat_ids):
            return layout
        return (await self._sheets.get(schedule_id, 0)).layout

    async def reading(
        self, schedule_id: UUID, *, max_age_s: float | None = None
    ) -> tuple[Layout, SeatStates]:
        """Return `states` with the layout that they belong to; raise `ScheduleNotFound`."""
        snapshot = await self._snapshots.get(schedule_id, max_age_s)
        return snapshot.sheet.layout, snapshot.states

    async def states(self, schedule_id: UUID, *, max_age_s: float | None = None) -> SeatStates:
        """Return the states of the seats, read at most `max_age_s` ago (0: after this call).

        Raises `ScheduleNotFound`.
        """
        return (await self._snapshots.get(schedule_id, max_age_s)).states

    async def rendered(self, schedule_id: UUID) -> RenderedMap:
        """Return the encoded seat map; raise `ScheduleNotFound`."""
        return (await self._snapshots.get(schedule_id)).rendered

    def forget(self, schedule_id: UUID) -> None:
        """Forget layout and states: the seats or the status of the schedule were changed."""
        self._sheets.invalidate(schedule_id)
        self._snapshots.invalidate(schedule_id)

    def forget_absent(self) -> None:
        """Forget which schedules do not exist: those of a concert do from its publication on."""
        self._sheets.forget_absent()
        self._snapshots.forget_absent()

    def forget_states(self, schedule_id: UUID) -> None:
        """Forget the states: a seat of the schedule was changed."""
        self._snapshots.invalidate(schedule_id)

    async def _load_sheet(self, schedule_id: UUID) -> _Sheet:
        # The status is read first: seats that are read after a status other than DRAFT are final.
        schedule = await self._store.public_schedule(schedule_id)
        if schedule is None:
            raise ScheduleNotFound
        rows = await self._store.seats(schedule_id)
        final = schedule.status != "DRAFT"
        return await compute(
            len(rows), lambda: _Sheet(_layout(schedule_id, schedule.currency, rows, final=final))
        )

    async def _load_snapshot(self, schedule_id: UUID) -> _Snapshot:
        for _ in range(_READS_MAX):
            sheet = await self._sheets.get(schedule_id)
            read_at = self._clock()
            row = await self._store.seat_states(schedule_id)
            if row.seats == len(sheet.layout.seats):
                states = SeatStates(row.version, read_at, row.status)
                return self._snapshot(sheet, states)
            # Seats were added to a draft since its layout was read.
            self._sheets.invalidate(schedule_id)
        raise IntegrityError(f"the seats of schedule {schedule_id} do not stand still")

    def _snapshot(self, sheet: _Sheet, states: SeatStates) -> _Snapshot:
        before = self._snapshots.peek(sheet.layout.schedule_id)
        if before and before.sheet is sheet and before.states.version == states.version:
            return _Snapshot(sheet, states, before.rendered)
        return _Snapshot(sheet, states, RenderedMap(sheet, states.version, states.status))


async def compute(seats: int, work: Callable[[], T]) -> T:
    """Return what `work` returns; where it is about many seats, the event loop goes on meanwhile."""
    if seats <= _INLINE_SEATS_MAX:
        return work()
    return await asyncio.to_thread(work)


def _layout(schedule_id: UUID, currency: str, rows: Sequence[Record], *, final: bool) -> Layout:
    seats = tuple(Seat(*row) for row in rows)
    index = {seat.seat_id: position for position, seat in enumerate(seats)}
    return Layout(schedule_id, currency, seats, index, final)


def _pieces(layout: Layout) -> _Pieces:
    encode = msgspec.json.Encoder().encode
    befores = []
    lead = b""
    for seat in layout.seats:
        shape = _SeatShape(
            seat.seat_id,
            seat.section,
            seat.row,
            seat.number,
            seat.grade,
            Money(seat.price_minor, layout.currency),
        )
        befores.append(b'%b%b,"status":"' % (lead, encode(shape)[:-1]))
        lead = b'"},'
    head = encode({"schedule_id": layout.schedule_id, "currency": layout.currency})[:-1]
    tag = blake2b(b"".join((head, *befores)), digest_size=8).hexdigest()
    return _Pieces(head, befores, tag)


def _gzipped(body: bytes) -> bytes:
    # No time stamp goes into the header, so equal bodies have equal bytes on every pod.
    compressor = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_FORMAT)
    return compressor.compress(body) + compressor.flush()
