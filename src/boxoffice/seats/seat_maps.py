"""Seat maps in memory: where the seats are, in what state they are, who may be refused without asking,
and the answer to those who look, encoded once per version.
"""

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple
from uuid import UUID

from boxoffice.errors import IntegrityError, ScheduleNotFound, Unavailable
from boxoffice.observability.metrics import BufferedCounter
from boxoffice.platform.cache import Cache
from boxoffice.platform.concurrency.offload import INLINE_ITEMS_MAX, offload
from boxoffice.platform.concurrency.single_flight import SingleFlight
from boxoffice.seats import metrics
from boxoffice.seats.cache.refresher import MaxAge, SnapshotRefresher
from boxoffice.seats.cache.states import (
    AVAILABLE,
    BLOCKED,
    HELD,
    SOLD,
    LiveStates,
    PositionChange,
    SaleWindow,
    StoredStates,
    person_bits,
    unpack_states,
)
from boxoffice.seats.layout import Layout, Seat, packed, positions
from boxoffice.seats.rendering.seat_map import GzipPartCache, MapTemplate, RenderedMap, cut
from boxoffice.seats.store import PublicSchedule, SeatStore, StatesRow
from boxoffice.settings import SeatSettings

__all__ = [
    "AVAILABLE",
    "BLOCKED",
    "HELD",
    "SOLD",
    "Layout",
    "RenderedMap",
    "Seat",
    "SeatMaps",
    "SeatStates",
]

_REFUSED, _UNKNOWN, _KNOWN_PERSON = (
    BufferedCounter(metrics.SEAT_CACHE.labels(result))
    for result in ("refused", "unknown", "known_person")
)
_READS_MAX = 3
# A larger hall is read for refusals only once the database has refused somebody there.
_EAGER_SEATS_MAX = 100_000
# A map is encoded for at most one part in so many of the time, however large it is.
_RENDER_SHARE = 10


@dataclass(frozen=True, eq=False)
class SeatStates:
    """One byte per seat in the order of the layout: AVAILABLE, HELD, SOLD or BLOCKED.

    `version` grows with every visible change; `read_at` is when this was looked at, in monotonic
    seconds.
    """

    version: int
    read_at: float
    status: bytes


class SeatSnapshot(NamedTuple):
    """What a schedule looks like at this moment: a byte per seat as in `SeatStates`.

    `due_in_s` is the time until that changes by itself (a hold lapses, the sale opens or closes), and
    `loading_s` what it took to read the layout, 0 where it was in memory.
    """

    version: int
    status: bytes
    on_sale: bool
    due_in_s: float
    loading_s: float


class _LayoutOutdated(Exception):
    """The schedule has other seats than its layout: somebody has changed them by hand."""


class ScheduleEntry:
    """A schedule as it is kept: its layout, its states, and what was last shown of both."""

    def __init__(self, layout: Layout, *, is_public: bool) -> None:
        self.layout = layout
        # Whether it may be shown and sold, as far as is known; who has tickets sees its seats anyhow.
        self.is_public = is_public
        self.pieces: SingleFlight[MapTemplate] = SingleFlight(self._cut)
        self.packer = GzipPartCache()
        self.watch: SnapshotRefresher
        self.states: SeatStates | None = None
        self.rendered: RenderedMap | None = None
        self.rendered_at = -math.inf
        # Somebody was promised to see the newest: the next one who looks does.
        self.is_due = True
        self._next: RenderedMap | None = None
        self._making: asyncio.Task[None] | None = None

    async def _cut(self) -> MapTemplate:
        return await offload(len(self.layout.seats), lambda: cut(self.layout))

    def show(self, live: LiveStates, now: float, at: float, rest_s: float) -> RenderedMap:
        """Return the map of these states, or the last one where that is younger than `rest_s`."""
        last = self.rendered
        if last is None:
            return self._renew(live, now, at)
        rest_s = max(rest_s, last.took_s * _RENDER_SHARE)
        if not self.is_due and at - self.rendered_at < rest_s:
            return last
        is_small = len(self.layout.seats) <= INLINE_ITEMS_MAX
        if self.is_due or is_small or not (last.has_body or last.has_gzip):
            return self._renew(live, now, at)
        return self._renew_in_advance(last, live, now, at)

    def _renew(self, live: LiveStates, now: float, at: float) -> RenderedMap:
        self.is_due = False
        self.rendered_at = at
        status = live.shown(now)
        last = self.rendered
        if last is None or last.version != live.version or last.status != status:
            last = self.rendered = RenderedMap(self.pieces, self.packer, live.version, status)
        return last

    def _renew_in_advance(
        self, last: RenderedMap, live: LiveStates, now: float, at: float
    ) -> RenderedMap:
        """Go on showing the last map of a large hall while the next one is being made."""
        if self._making is None:
            made = self._renew(live, now, at)
            if made is last:
                return last
            self.rendered, self._next = last, made
            self._making = asyncio.create_task(made.make_like(last))
            self._making.add_done_callback(self._made)
        return last

    def _made(self, making: "asyncio.Task[None]") -> None:
        self._making = None
        made, self._next = self._next, None
        if making.cancelled() or making.exception() is not None or made is None:
            return
        # Somebody who was to see the newest may have had a newer one meanwhile.
        if self.rendered is None or made.version > self.rendered.version:
            self.rendered = made


class SeatMaps:
    """Layouts, live states and encoded seat maps of the schedules that are asked for.

    What it says about a seat is good for showing and for refusing, never for accepting. It follows
    this process's own decisions and other pods' notices, and a reading verifies it every
    `seats_verify_ms` while notices come in, every `seats_cache_ms` while they do not. A schedule of a
    concert that is not published does not exist here.

    `clock` counts monotonic seconds, `now` is the database's time in seconds since the epoch, and
    `uncertainty_s` says how wrong `now` may be.
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
        self._store = store
        self._clock = clock
        self._now = now
        self._uncertainty_s = uncertainty_s
        self._refuses = settings.seat_cache
        self._listening = False
        self._followers: dict[UUID, Callable[[], None]] = {}
        self._rest_s = settings.seats_cache_ms / 1000
        self._ages = MaxAge(self._rest_s, max(settings.seats_verify_ms / 1000, self._rest_s))
        self._sheets: Cache[UUID, ScheduleEntry] = Cache(
            self._load_sheet,
            ttl_s=lambda _sheet: math.inf,
            weigh=lambda sheet: 1 + len(sheet.layout.seats),
            weight_max=settings.seats_cached_max,
            clock=clock,
        )

    async def layout(self, schedule_id: UUID) -> Layout:
        """Return where the seats are; raise `ScheduleNotFound`, also for what was never opened.

        It is good for describing what people have, also of a concert that was taken down.
        """
        sheet = self._sheets.at_hand(schedule_id)
        return (sheet or await self._sheets.get(schedule_id)).layout

    async def layout_on_offer(self, schedule_id: UUID) -> Layout:
        """Return where the seats are, for somebody who wants some.

        Raises `ScheduleNotFound` as `layout`, and where it is known that the concert was taken down.
        """
        sheet = self._sheets.at_hand(schedule_id) or await self._sheets.get(schedule_id)
        if not sheet.is_public:
            sheet, _ = await self._watched(schedule_id, None)  # it may have been given back
        return sheet.layout

    async def reading(
        self, schedule_id: UUID, *, max_age_s: float | None = None
    ) -> tuple[Layout, SeatStates]:
        """Return `states` with the layout that they belong to; raise `ScheduleNotFound`."""
        sheet, live = await self._watched(schedule_id, max_age_s)
        now = self._clock()
        states = sheet.states
        if states is None or max_age_s is not None or now - states.read_at >= self._rest_s:
            status = live.shown(self._now())
            states = sheet.states = SeatStates(live.version, now, status)
        return sheet.layout, states

    async def states(self, schedule_id: UUID, *, max_age_s: float | None = None) -> SeatStates:
        """Return the states of the seats, read at most `max_age_s` ago (0: after this call).

        Raises `ScheduleNotFound`.
        """
        return (await self.reading(schedule_id, max_age_s=max_age_s))[1]

    async def seats_left(self, schedule_id: UUID) -> int | None:
        """Return how many seats are free, as they are shown; None where that cannot be said."""
        try:
            status = (await self.states(schedule_id)).status
        except (ScheduleNotFound, Unavailable):
            return None
        return status.count(AVAILABLE) if status else None

    async def rendered(self, schedule_id: UUID) -> RenderedMap:
        """Return the encoded seat map; raise `ScheduleNotFound`.

        While a schedule sells its map is encoded at most every `seats_cache_ms`, that of a large one
        less often: everybody gets the last one meanwhile, and `version` tells.
        """
        sheet, live = await self._watched(schedule_id, None)
        return sheet.show(live, self._now(), self._clock(), self._rest_s)

    async def glimpse(self, schedule_id: UUID) -> SeatSnapshot:
        """Return what is shown of a schedule at this moment; raise `ScheduleNotFound`."""
        began = self._clock()
        await self._sheets.get(schedule_id)
        loading_s = self._clock() - began
        _, live = await self._watched(schedule_id, None)
        now = self._now()
        status = live.shown(now)
        due_at = min(live.next_lapse_at, live.sale.next_turn_at(now))
        on_sale = live.sale.surely_on(now, 0)
        return SeatSnapshot(live.version, status, on_sale, due_at - now, loading_s)

    def follow(self, schedule_id: UUID, wake: Callable[[], None]) -> None:
        """Have `wake` called, one per schedule, when a glimpse of it may differ from the last one."""
        self._followers[schedule_id] = wake

    def unfollow(self, schedule_id: UUID) -> None:
        """End `follow`."""
        self._followers.pop(schedule_id, None)

    def taken(self, schedule_id: UUID, seat_ids: Sequence[str], user_id: UUID) -> list[str] | None:
        """Return which of the seats are surely taken at this moment, without asking anybody.

        None where it is not known, or where it is not for this process to say: on somebody who may have
        had a reservation here only the database decides, because it may be a repetition.
        """
        known = self._known(schedule_id, user_id)
        if known is None:
            return None
        layout, live = known
        surely_before = self._now() + self._uncertainty_s()
        index = layout.index
        taken = [one for one in seat_ids if live.is_taken(index[one], surely_before)]
        if taken:
            _REFUSED.count += 1
        return taken

    def is_sold_out(self, schedule_id: UUID, user_id: UUID) -> bool:
        """Say whether surely no seat is free, and this process may say so to this person."""
        live = self._settled(schedule_id, user_id)
        if live is None or live.free:
            return False
        _REFUSED.count += 1
        return True

    def left_for(self, schedule_id: UUID, user_id: UUID) -> SeatStates | None:
        """Return the states of this moment, where this process may refuse on them; None as `taken`."""
        live = self._settled(schedule_id, user_id)
        if live is None:
            return None
        return SeatStates(live.version, self._clock(), live.shown(self._now()))

    def _settled(self, schedule_id: UUID, user_id: UUID) -> LiveStates | None:
        known = self._known(schedule_id, user_id)
        if known is None:
            return None
        _, live = known
        now = self._now()
        live.lapse(now)
        # A hold that ends within the clock's uncertainty may be free already.
        return None if live.next_lapse_at <= now + self._uncertainty_s() else live

    def knows_as_new(self, schedule_id: UUID, user_id: UUID) -> bool:
        """Say whether this person has surely never had a reservation in the schedule."""
        live = self._believed(schedule_id)
        return live is not None and person_bits(user_id.int) not in live[1].people

    def shows_free(self, schedule_id: UUID, seat_ids: Iterable[str]) -> list[str]:
        """Return which of the seats that the database has refused were believed to be free."""
        sheet = self._sheets.peek(schedule_id)
        seat_ids = list(seat_ids)
        if sheet is not None and seat_ids:
            sheet.watch.want()
        live = sheet.watch.usable() if sheet else None
        if sheet is None or live is None:
            return []
        live.lapse(self._now())
        index = sheet.layout.index
        return [one for one in seat_ids if one in index and live.is_free(index[one])]

    def listening(self, heard: bool) -> None:
        """Say whether other pods' notices come in."""
        self._listening = heard

    def apply(self, schedule_id: UUID, changes: Iterable[PositionChange]) -> None:
        """Take changes over, those that are newer than what is known, if the schedule is kept here."""
        sheet = self._sheets.peek(schedule_id)
        if sheet is None or sheet.watch.live is None:
            if sheet is not None:
                sheet.watch.doubt()  # a first reading may be under way, from before the change
            return
        live = sheet.watch.live
        gaps = live.gaps
        try:
            for change in changes:
                live.apply(change)
        except (IndexError, OverflowError):
            gaps = -1
        if live.gaps != gaps:
            sheet.watch.doubt()
        self._wake(schedule_id)

    def position(self, schedule_id: UUID, seat_ids: Sequence[str]) -> list[int] | None:
        """Return where the seats stand in the layout; None where it is not known."""
        sheet = self._sheets.peek(schedule_id)
        if sheet is None:
            return None
        found = [sheet.layout.index.get(one, -1) for one in seat_ids]
        return None if -1 in found else found

    def doubt(self, schedule_id: UUID) -> None:
        """Believe nothing of a schedule until it has been read again."""
        sheet = self._sheets.peek(schedule_id)
        if sheet is not None:
            sheet.watch.doubt()
        self._wake(schedule_id)

    def doubt_all(self) -> None:
        """Believe nothing until it has been read again: notices were missed."""
        for sheet in self._kept():
            sheet.watch.doubt()
            self._wake(sheet.layout.schedule_id)

    def show_now(self, schedule_id: UUID) -> None:
        """Have the next one who looks at the map see what is known now."""
        sheet = self._sheets.peek(schedule_id)
        if sheet is not None:
            sheet.is_due = True
            sheet.states = None

    def forget(self, schedule_id: UUID) -> None:
        """Forget layout and states: the seats or the status of the schedule were changed."""
        self._sheets.invalidate(schedule_id)
        self._wake(schedule_id)

    def forget_absent(self) -> None:
        """Forget which schedules do not exist: those of a concert do from its publication on."""
        self._sheets.forget_absent()

    def forget_states(self, schedule_id: UUID) -> None:
        """Read the states again before they are shown: a seat was changed, nobody knows how."""
        self.doubt(schedule_id)
        self.show_now(schedule_id)

    def _wake(self, schedule_id: UUID) -> None:
        wake = self._followers.get(schedule_id)
        if wake is not None:
            wake()

    def _kept(self) -> Iterator[ScheduleEntry]:
        return iter(self._sheets.values())

    def _known(self, schedule_id: UUID, user_id: UUID) -> tuple[Layout, LiveStates] | None:
        """Return what may refuse something to this person, if anything may."""
        if not self._refuses:
            return None
        known = self._believed(schedule_id)
        if known is None:
            _UNKNOWN.count += 1
            return None
        if person_bits(user_id.int) in known[1].people:
            _KNOWN_PERSON.count += 1
            return None
        if not known[1].sale.surely_on(self._now(), self._uncertainty_s()):
            return None
        return known

    def _believed(self, schedule_id: UUID) -> tuple[Layout, LiveStates] | None:
        """Return what is known of a schedule, if it is young enough and nobody can be missing."""
        sheet = self._sheets.peek(schedule_id)
        live = sheet.watch.usable() if sheet else None
        if sheet is None or live is None:
            return None
        return sheet.layout, live

    async def _watched(
        self, schedule_id: UUID, max_age_s: float | None
    ) -> tuple[ScheduleEntry, LiveStates]:
        for _ in range(_READS_MAX):
            sheet = await self._sheets.get(schedule_id)
            try:
                live = await sheet.watch.fresh(max_age_s)
            except _LayoutOutdated:
                if self._sheets.peek(schedule_id) is sheet:
                    self._sheets.invalidate(schedule_id)
                continue
            if max_age_s is not None:
                sheet.is_due = True
            return sheet, live
        raise IntegrityError(f"the seats of schedule {schedule_id} do not stand still")

    async def _load_sheet(self, schedule_id: UUID) -> ScheduleEntry:
        # The schedule is read first: seats that are read after it was opened are final.
        schedule = await self._store.public_schedule(schedule_id)
        if schedule is None:
            raise ScheduleNotFound
        layout = await self._load_layout(schedule_id, schedule)
        sheet = ScheduleEntry(layout, is_public=schedule.is_public)
        read = partial(self._read, sheet)
        sheet.watch = SnapshotRefresher(
            read,
            self._ages,
            lambda: self._listening,
            self._clock,
            partial(self._wake, schedule_id),
            eager=len(sheet.layout.seats) <= _EAGER_SEATS_MAX,
        )
        return sheet

    async def _load_layout(self, schedule_id: UUID, schedule: PublicSchedule) -> Layout:
        seats = await packed(self._store.seats(schedule_id))
        index = await offload(len(seats), lambda: positions(seats.ids))
        return Layout(schedule_id, schedule.currency, seats, index)

    async def _read(self, sheet: ScheduleEntry) -> StoredStates:
        began = time.monotonic()
        row = await self._store.seat_states(sheet.layout.schedule_id)
        sheet.is_public = row is not None
        if row is None:
            raise ScheduleNotFound
        if row.seats != len(sheet.layout.seats):
            raise _LayoutOutdated
        before = sheet.watch.live.people_told if sheet.watch.live else b""
        reading = await offload(row.seats, lambda: _unpacked(row, before))
        metrics.SEAT_READ_SECONDS.observe(time.monotonic() - began)
        return reading


def _unpacked(row: StatesRow, people_before: bytes) -> StoredStates:
    return unpack_states(
        now=row.now,
        states=row.states,
        expires_at=row.expires_at,
        versions=row.versions,
        people=row.people,
        people_before=people_before,
        sale=SaleWindow(row.is_open, row.opens_at, row.closes_at),
    )
