"""Live seats: follows the schedules that somebody watches, and tells what changes.

A feed looks when it hears that something has changed, when a hold lapses or the sale opens or closes,
and so often that a missed notice is made up for: like somebody who asks for the seat map, for everybody
who watches. While nobody does, it does nothing.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar
from uuid import UUID

from boxoffice.errors import ScheduleNotFound, Unavailable
from boxoffice.observability.logs import log
from boxoffice.seats.feed.history import SeatHistory, Told
from boxoffice.seats.seat_maps import SeatMaps

# Telling many readers takes time; of a process's time it gets one part in so many at most.
_TELL_SHARE = 4
# So does reading a layout that did not stay in memory.
_LOAD_SHARE = 20
_BACKOFF_FIRST_S = 0.25
_BACKOFF_LAST_S = 2.0
# Feeds that nobody watches keep what they have told, for those who come back.
_IDLE_MAX = 64


class Broadcast(Protocol):
    """Who watches a schedule."""

    def tell(self, events: Sequence[Told]) -> None:
        """Tell everybody."""

    async def told(self) -> None:
        """Return when everybody has been told."""

    def confirm(self) -> None:
        """The seats were looked at this moment: what was told still holds."""

    def end(self) -> None:
        """There is nothing more to tell."""


B = TypeVar("B", bound=Broadcast)


@dataclass(frozen=True)
class Pace:
    """`every_s`: changes of that time are told together; `look_s`: how often to look unasked."""

    every_s: float
    look_s: float


class SeatFeed(Generic[B]):
    """What is told of one schedule, and who is told."""

    def __init__(
        self, schedule_id: UUID, seat_maps: SeatMaps, pace: Pace, history: SeatHistory
    ) -> None:
        self.asked = 0
        self.history = history
        self.broadcast: B
        self._schedule_id = schedule_id
        self._seat_maps = seat_maps
        self._pace = pace
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._due_in_s = 0.0
        self._loading_s = 0.0

    @property
    def is_running(self) -> bool:
        """Whether it follows the seats, because somebody watches."""
        return self._task is not None

    async def look(self) -> None:
        """Take the newest states over and tell of them; raise what a look at the map raises."""
        seen = await self._seat_maps.glimpse(self._schedule_id)
        self._due_in_s, self._loading_s = seen.due_in_s, seen.loading_s
        events = self.history.take(seen.version, seen.status, on_sale=seen.on_sale)
        if events:
            self.broadcast.tell(events)
        else:
            self.broadcast.confirm()

    def start(self) -> None:
        """Follow the seats from now on; `stop` ends it."""
        if self._task is None:
            self._seat_maps.follow(self._schedule_id, self._woken.set)
            self._task = asyncio.create_task(self._run())

    def stop(self) -> None:
        """Nobody watches any more."""
        if self._task is not None:
            self._seat_maps.unfollow(self._schedule_id)
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        backoff_s = _BACKOFF_FIRST_S
        # A cancellation that something on the way has swallowed ends it with the next turn.
        while self._task is asyncio.current_task():
            await self._rest()
            try:
                await self.look()
            except ScheduleNotFound:
                self.broadcast.end()
                return
            except Exception as error:  # it goes on as long as somebody watches
                if not isinstance(error, Unavailable):
                    log.error(
                        "seat_feed_failed", schedule_id=str(self._schedule_id), exc_info=error
                    )
                await asyncio.sleep(backoff_s)
                backoff_s = min(2 * backoff_s, _BACKOFF_LAST_S)
            else:
                backoff_s = _BACKOFF_FIRST_S

    async def _rest(self) -> None:
        """Wait until what was told has been written, and then until there is a reason to look."""
        began = time.monotonic()
        await self.broadcast.told()
        telling_s = time.monotonic() - began
        least_s = max(
            self._pace.every_s, telling_s * (_TELL_SHARE - 1), self._loading_s * _LOAD_SHARE
        )
        await asyncio.sleep(least_s)
        rest_s = min(self._due_in_s, self._pace.look_s) - telling_s - least_s
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, rest_s)):
                await self._woken.wait()
        self._woken.clear()


class SeatFeeds(Generic[B]):
    """The feeds by schedule; `broadcast` makes who is told, given what it calls when it is empty."""

    def __init__(
        self,
        seat_maps: SeatMaps,
        pace: Pace,
        steps_max: int,
        broadcast: Callable[[Callable[[], None]], B],
    ) -> None:
        self._seat_maps = seat_maps
        self._pace = pace
        self._steps_max = steps_max
        self._broadcast = broadcast
        self._feeds: dict[UUID, SeatFeed[B]] = {}

    async def of(self, schedule_id: UUID) -> SeatFeed[B]:
        """Return the feed of a schedule with states that may be shown.

        Raises `ScheduleNotFound`, and `Unavailable` where the database cannot be asked.
        """
        feed = self._feeds.get(schedule_id)
        if feed is not None and feed.is_running:
            return feed
        feed = self._feeds.pop(schedule_id, None) or self._make(schedule_id)
        self._feeds[schedule_id] = feed  # the last one to be forgotten
        feed.asked += 1
        try:
            await feed.look()
        finally:
            feed.asked -= 1
            self._tidy()
        return feed

    def _make(self, schedule_id: UUID) -> SeatFeed[B]:
        history = SeatHistory(self._steps_max)
        feed: SeatFeed[B] = SeatFeed(schedule_id, self._seat_maps, self._pace, history)
        feed.broadcast = self._broadcast(feed.stop)
        return feed

    def _tidy(self) -> None:
        """Forget feeds that have nothing to tell, and the oldest of those that nobody watches."""
        idle = [
            schedule_id
            for schedule_id, feed in self._feeds.items()
            if not feed.is_running and not feed.asked
        ]
        empty = [one for one in idle if not self._feeds[one].history.is_known]
        for schedule_id in {*empty, *idle[:-_IDLE_MAX]}:
            del self._feeds[schedule_id]
