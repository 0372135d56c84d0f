"""What is shown of a schedule's seats: layouts, states, encoded maps, snapshots for followers.

Good for showing and for choosing, never for accepting a hold.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple
from uuid import UUID

from boxoffice.errors import ScheduleNotFound, Unavailable
from boxoffice.seats.cache.entries import ScheduleEntries, SeatStates
from boxoffice.seats.cache.states import AVAILABLE
from boxoffice.seats.layout import Layout
from boxoffice.seats.rendering.seat_map import RenderedMap


class SeatSnapshot(NamedTuple):
    """A schedule at one moment, with a byte per seat as in `SeatStates`.

    `due_in_s` is the time until it changes by itself (a hold lapses, the sale opens or closes), and
    `loading_s` the time that reading the layout took, 0 where it was in memory.
    """

    version: int
    status: bytes
    on_sale: bool
    due_in_s: float
    loading_s: float
    layout_version: int


class SeatReadModel:
    """Reads of seats from memory; every method raises `ScheduleNotFound` unless it says otherwise."""

    def __init__(self, entries: ScheduleEntries) -> None:
        self._entries = entries
        self._cache = entries.cache
        self._clock = entries.clock
        self._now = entries.now

    async def layout(self, schedule_id: UUID) -> Layout:
        """Return where the seats are, also of a concert that was taken down."""
        entry = self._cache.get_cached(schedule_id)
        return (entry or await self._cache.get(schedule_id)).layout

    async def layout_with(
        self, schedule_id: UUID, seat_ids: Sequence[str], amount_minor: int | None = None
    ) -> Layout:
        """Return a layout that has these seats, and their prices where these make up an amount.

        A layout in memory may be older than the database's decision about the seats.
        """
        entry = self._cache.get_cached(schedule_id)
        layout = (entry or await self._cache.get(schedule_id)).layout
        price_minor = layout.price_minor(seat_ids)
        if price_minor is None or amount_minor not in (None, price_minor):
            layout = (await self._entries.current(schedule_id)).layout
        return layout

    async def layout_on_offer(self, schedule_id: UUID) -> Layout:
        """Return where the seats are, for a hold; not of a concert that is known to be taken down."""
        entry = self._cache.get_cached(schedule_id) or await self._cache.get(schedule_id)
        if not entry.is_public:
            entry, _ = await self._entries.fresh(schedule_id, None)  # it may have been restored
        return entry.layout

    async def layout_and_states(
        self, schedule_id: UUID, *, max_age_s: float | None = None
    ) -> tuple[Layout, SeatStates]:
        """Return `states` with the layout that they belong to."""
        entry, live = await self._entries.fresh(schedule_id, max_age_s)
        at = self._clock()
        states = entry.states
        if states is None or max_age_s is not None or at - states.read_at >= self._entries.cache_s:
            status = live.shown(self._now())
            states = entry.states = SeatStates(live.version, at, status)
        return entry.layout, states

    async def states(self, schedule_id: UUID, *, max_age_s: float | None = None) -> SeatStates:
        """Return the states of the seats, read at most `max_age_s` ago (0: after this call)."""
        return (await self.layout_and_states(schedule_id, max_age_s=max_age_s))[1]

    async def seats_left(self, schedule_id: UUID) -> int | None:
        """Return how many seats are shown as available; None where that is not known."""
        try:
            status = (await self.states(schedule_id)).status
        except (ScheduleNotFound, Unavailable):
            return None
        return status.count(AVAILABLE) if status else None

    async def rendered(self, schedule_id: UUID) -> RenderedMap:
        """Return the encoded seat map.

        It is encoded at most every `seats_cache_ms`, a large map less often; callers in between get
        the last one, whose `version` says so.
        """
        entry, live = await self._entries.fresh(schedule_id, None)
        return entry.shown_map.show(live, self._clock(), self._entries.cache_s)

    async def snapshot(self, schedule_id: UUID) -> SeatSnapshot:
        """Return the schedule as shown at this moment."""
        began = self._clock()
        await self._cache.get(schedule_id)
        loading_s = self._clock() - began
        entry, live = await self._entries.fresh(schedule_id, None)
        now = self._now()
        status = live.shown(now)
        due_at = min(live.next_lapse_at, live.sale.next_turn_at(now))
        on_sale = live.sale.surely_on(now, 0)
        layout_version = entry.layout.version
        return SeatSnapshot(live.version, status, on_sale, due_at - now, loading_s, layout_version)

    def show_newest(self, schedule_id: UUID) -> None:
        """Have the next reader see the newest states; never raises."""
        entry = self._cache.peek(schedule_id)
        if entry is not None:
            entry.expire_shown()

    def follow(self, schedule_id: UUID, wake: Callable[[], None]) -> None:
        """Call `wake`, one per schedule, whenever its snapshot may have changed; never raises."""
        self._entries.follow(schedule_id, wake)

    def unfollow(self, schedule_id: UUID) -> None:
        """End `follow`."""
        self._entries.unfollow(schedule_id)
