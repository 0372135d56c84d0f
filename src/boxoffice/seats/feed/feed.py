"""Follows the seats of schedules with open streams, and sends what has changed.

A feed reads a snapshot when it is woken by a change, when a hold lapses or the sale opens or closes,
and at a fixed interval, which makes up for lost messages. Without open streams it does nothing.
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
from boxoffice.seats.feed.history import FeedEvent, SeatHistory
from boxoffice.seats.read_model import SeatReadModel

# Reading a layout that was evicted from memory takes at most this share.
_LOAD_SHARE = 1 / 20
_BACKOFF_FIRST_S = 0.25
_BACKOFF_LAST_S = 2.0
# Feeds without streams that keep their history, for clients that reconnect.
_IDLE_MAX = 64


class Broadcast(Protocol):
    """The open streams of a schedule."""

    def send(self, events: Sequence[FeedEvent]) -> None:
        """Send events to every stream."""

    async def sent(self) -> None:
        """Return when everything is written."""

    def confirm(self) -> None:
        """Note that the seats were read just now, without a change."""

    def end(self) -> None:
        """End all streams."""


B = TypeVar("B", bound=Broadcast)


@dataclass(frozen=True)
class FeedInterval:
    """Changes within `min_s` are sent together; without a wake-up the seats are read every `max_s`."""

    min_s: float
    max_s: float


class SeatFeed(Generic[B]):
    """The feed of one schedule; `readers` counts callers that are about to open a stream."""

    def __init__(
        self, schedule_id: UUID, seats: SeatReadModel, interval: FeedInterval, history: SeatHistory
    ) -> None:
        self.readers = 0
        self.history = history
        self.broadcast: B
        self._schedule_id = schedule_id
        self._seats = seats
        self._interval = interval
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._due_in_s = 0.0
        self._loading_s = 0.0

    @property
    def is_running(self) -> bool:
        """Whether it follows the seats, because streams are open."""
        return self._task is not None

    async def refresh(self) -> None:
        """Read a snapshot and send its changes; raise what reading raises."""
        seen = await self._seats.snapshot(self._schedule_id)
        self._due_in_s, self._loading_s = seen.due_in_s, seen.loading_s
        events = self.history.update(
            seen.version, seen.status, on_sale=seen.on_sale, layout_version=seen.layout_version
        )
        if events:
            self.broadcast.send(events)
        else:
            self.broadcast.confirm()

    def start(self) -> None:
        """Follow the seats from now on; `stop` ends it."""
        if self._task is None:
            self._seats.follow(self._schedule_id, self._woken.set)
            self._task = asyncio.create_task(self._run())

    def stop(self) -> None:
        """Stop following: no stream is open."""
        if self._task is not None:
            self._seats.unfollow(self._schedule_id)
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        backoff_s = _BACKOFF_FIRST_S
        # Ends with the next iteration where a callee has swallowed the cancellation.
        while self._task is asyncio.current_task():
            await self._rest()
            try:
                await self.refresh()
            except ScheduleNotFound:
                self.broadcast.end()
                return
            except Exception as error:  # it goes on while streams are open
                if not isinstance(error, Unavailable):
                    log.error(
                        "seat_feed_failed", schedule_id=str(self._schedule_id), exc_info=error
                    )
                await asyncio.sleep(backoff_s)
                backoff_s = min(2 * backoff_s, _BACKOFF_LAST_S)
            else:
                backoff_s = _BACKOFF_FIRST_S

    async def _rest(self) -> None:
        """Wait until all events are written, and then until there is a reason to read."""
        began = time.monotonic()
        await self.broadcast.sent()
        sending_s = time.monotonic() - began
        least_s = max(self._interval.min_s, self._loading_s / _LOAD_SHARE)
        await asyncio.sleep(least_s)
        rest_s = min(self._due_in_s, self._interval.max_s) - sending_s - least_s
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, rest_s)):
                await self._woken.wait()
        self._woken.clear()


class SeatFeeds(Generic[B]):
    """The feeds by schedule; `broadcast` makes one from the callback for its last stream's end."""

    def __init__(
        self,
        seats: SeatReadModel,
        interval: FeedInterval,
        steps_max: int,
        broadcast: Callable[[Callable[[], None]], B],
    ) -> None:
        self._seats = seats
        self._interval = interval
        self._steps_max = steps_max
        self._broadcast = broadcast
        self._feeds: dict[UUID, SeatFeed[B]] = {}

    async def of(self, schedule_id: UUID) -> SeatFeed[B]:
        """Return the feed of a schedule, refreshed.

        Raises `ScheduleNotFound`, and `Unavailable` without the database.
        """
        feed = self._feeds.get(schedule_id)
        if feed is not None and feed.is_running:
            return feed
        feed = self._feeds.pop(schedule_id, None) or self._make(schedule_id)
        self._feeds[schedule_id] = feed  # the last one to be evicted
        feed.readers += 1
        try:
            await feed.refresh()
        finally:
            feed.readers -= 1
            self._tidy()
        return feed

    def _make(self, schedule_id: UUID) -> SeatFeed[B]:
        history = SeatHistory(self._steps_max)
        feed: SeatFeed[B] = SeatFeed(schedule_id, self._seats, self._interval, history)
        feed.broadcast = self._broadcast(feed.stop)
        return feed

    def _tidy(self) -> None:
        """Drop feeds without history, and the oldest of those without streams."""
        idle = [
            schedule_id
            for schedule_id, feed in self._feeds.items()
            if not feed.is_running and not feed.readers
        ]
        empty = [one for one in idle if not self._feeds[one].history.is_known]
        for schedule_id in {*empty, *idle[:-_IDLE_MAX]}:
            del self._feeds[schedule_id]
