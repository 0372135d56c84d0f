"""Sends the events of one schedule to its streams; each event is encoded once."""

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from boxoffice.http.streams import Channel, Streams, event
from boxoffice.seats.feed.history import ALIVE, FeedEvent
from boxoffice.seats.views import SeatsAlive
from boxoffice.settings import SeatSettings

_encode = msgspec.json.Encoder().encode


class KeepAlive(NamedTuple):
    """The event that is sent after `after_s` without another one."""

    after_s: float
    event: bytes


def keep_alive_of(settings: SeatSettings) -> KeepAlive:
    """Return the keep-alive of the streams; it is late by one look of the feed at the most."""
    within_ms = settings.seat_events_keepalive_ms + settings.seats_cache_ms
    alive = SeatsAlive(next_within_ms=within_ms)
    return KeepAlive(settings.seat_events_keepalive_ms / 1000, event(ALIVE, _encode(alive)))


class SeatBroadcast:
    """The open streams of one schedule; `on_empty` is called when the last one ends."""

    def __init__(
        self, streams: Streams, keep_alive: KeepAlive, on_empty: Callable[[], None]
    ) -> None:
        self.channel = Channel(streams, "seats", on_empty)
        self._keep_alive = keep_alive
        self._last: tuple[FeedEvent | None, bytes] = None, b""

    def send(self, events: Sequence[FeedEvent]) -> None:
        """Send events to every stream."""
        for one in events:
            self.channel.send(self.encoded(one))

    async def sent(self) -> None:
        """Return when everything is written."""
        await self.channel.sent()

    def confirm(self) -> None:
        """Send the keep-alive where no event was sent for a while.

        A page cannot see the heartbeat of a stream, which goes on without PostgreSQL: the keep-alive
        says that the seats were read.
        """
        silent_s = asyncio.get_running_loop().time() - self.channel.sent_at
        if silent_s >= self._keep_alive.after_s:
            self.channel.send(self._keep_alive.event)

    def end(self) -> None:
        """End all streams."""
        self.channel.end()

    def encoded(self, one: FeedEvent) -> bytes:
        """Return the encoded event; newcomers share the encoding of a snapshot."""
        if self._last[0] is not one:
            self._last = one, event(one.name, _encode(one.data), one.state)
        return self._last[1]
