"""Event streams of queue positions, instead of polling.

All streams of a room share one `progress` message, encoded once; a client subtracts `called` from the
place in its first message. A called user gets a `turn` message and then polls once to be admitted.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from uuid import UUID

import msgspec

from boxoffice.http.streams import Channel, Stream, Streams, Subscriber, event
from boxoffice.waiting_room import rules
from boxoffice.waiting_room.queue_tickets import QueueTicket
from boxoffice.waiting_room.registry import WaitingRoomRegistry
from boxoffice.waiting_room.rules import Notice, PositionState, QueueCounters, WaitingRoomState

_TOPIC = "queue"
# Sending so many places blocks the event loop for a millisecond or two.
_PLACES_PER_ITERATION = 32
_encode = msgspec.json.Encoder().encode


class StreamedPositionOut(msgspec.Struct, kw_only=True):
    """The position at the start of the stream and after the draw; `place` is null before the draw.

    `opens_at` is set before the opening.
    """

    state: PositionState
    number: int
    place: int | None
    position: int | None
    called: int
    eta_s: int | None
    notice: Notice | None
    opens_at: datetime | None = None


class QueueProgressOut(msgspec.Struct, kw_only=True):
    """The progress of the queue: a position is the place minus `called`, at least 1."""

    called: int
    rate_per_s: float | None
    notice: Notice | None


class TurnOut(msgspec.Struct, kw_only=True):
    """The user was called: get the queue position within `come_within_s` to be admitted."""

    come_within_s: int


EVENTS = {"position": StreamedPositionOut, "progress": QueueProgressOut, "turn": TurnOut}


@dataclass(eq=False)
class _PositionReader:
    ticket: QueueTicket
    place: int
    subscriber: Subscriber | None = None


@dataclass(eq=False)
class _RoomStream:
    channel: Channel
    sent: tuple[object, ...] = ()
    called: int = 0
    drawn: int = 0
    by_place: dict[int, dict[_PositionReader, None]] = field(default_factory=dict)
    # Readers that have not been sent their drawn place; they are not in `by_place`.
    to_place: dict[_PositionReader, None] = field(default_factory=dict)
    is_placing: bool = False

    def unplace(self) -> None:
        """Forget every place."""
        self.to_place |= {reader: None for one in self.by_place.values() for reader in one}
        self.by_place = {}

    def add(self, reader: _PositionReader) -> None:
        self.by_place.setdefault(reader.place, {})[reader] = None

    def remove(self, reader: _PositionReader) -> None:
        self.to_place.pop(reader, None)
        readers = self.by_place.get(reader.place, {})
        readers.pop(reader, None)
        if not readers:
            self.by_place.pop(reader.place, None)


class PositionStreams:
    """All position streams of this process; `now` is seconds since the epoch."""

    def __init__(
        self, streams: Streams, rooms: WaitingRoomRegistry, now: Callable[[], float]
    ) -> None:
        self._streams = streams
        self._rooms = rooms
        self._now = now
        self._room_streams: dict[UUID, _RoomStream] = {}
        rooms.on_change = self.publish

    def open(self, room: WaitingRoomState, ticket: QueueTicket) -> Stream:
        """Return the stream of a ticket."""
        schedule_id = room.schedule_id
        room_stream = self._room_streams.get(schedule_id)
        if room_stream is None:
            channel = Channel(self._streams, _TOPIC, lambda: self._forget(schedule_id))
            room_stream = self._room_streams[schedule_id] = _RoomStream(channel)
            room_stream.called = self._rooms.counters(schedule_id).called
            room_stream.drawn = room.drawn
        reader = _PositionReader(ticket, room.place_of(ticket.number))

        def opened(subscriber: Subscriber) -> None:
            reader.subscriber = subscriber
            # A draw may have happened since the ticket was read; `_first` uses the same room.
            reader.place = (self._rooms.by_schedule.get(schedule_id) or room).place_of(
                ticket.number
            )
            room_stream.add(reader)

        return Stream(
            room_stream.channel,
            lambda: self._first(schedule_id, room, ticket),
            f"user:{ticket.user_id}",
            opened,
            lambda: room_stream.remove(reader),
        )

    def publish(self, schedule_id: UUID) -> None:
        """Send what has changed since the last message of a room.

        After a draw every reader gets its place first, some in each iteration of the event loop.
        """
        room_stream = self._room_streams.get(schedule_id)
        if room_stream is None:
            return
        room = self._rooms.by_schedule.get(schedule_id)
        if room is None:
            room_stream.unplace()
            for reader in list(room_stream.to_place):
                _send(reader, _turn(0))
            room_stream.channel.end()
            return
        if room.drawn != room_stream.drawn:
            room_stream.drawn = room.drawn
            room_stream.unplace()
            self._send_places_soon(schedule_id, room_stream)
        if not room_stream.to_place:
            self._publish_progress(room_stream, room, self._rooms.counters(schedule_id))

    def _publish_progress(
        self, room_stream: _RoomStream, room: WaitingRoomState, counters: QueueCounters
    ) -> None:
        reason = rules.notice(room, counters, self._now())
        message = (counters.epoch, counters.called, reason)
        if message != room_stream.sent:
            room_stream.sent = message
            rate = counters.rate_per_s
            progress = QueueProgressOut(
                called=counters.called, rate_per_s=rate and round(rate, 2), notice=reason
            )
            room_stream.channel.send(event("progress", _encode(progress), _id(counters)))
        if counters.called > room_stream.called and not room.is_lobby:
            before, room_stream.called = room_stream.called, counters.called
            self._send_turn(
                room_stream, _between(room_stream, before, counters.called), room.grace_s
            )

    def _forget(self, schedule_id: UUID) -> None:
        self._room_streams.pop(schedule_id, None)

    def _first(self, schedule_id: UUID, room: WaitingRoomState, ticket: QueueTicket) -> bytes:
        room = self._rooms.by_schedule.get(schedule_id) or room
        counters = self._rooms.counters(schedule_id)
        position = self._position(room, counters, ticket)
        first = event("position", _encode(position), _id(counters))
        if position.position == 0:
            first += _turn(room.grace_s)
        return first

    def _position(
        self, room: WaitingRoomState, counters: QueueCounters, ticket: QueueTicket
    ) -> StreamedPositionOut:
        now = self._now()
        reason = rules.notice(room, counters, now)
        place = None if room.is_lobby else room.place_of(ticket.number)
        position = None if place is None else rules.position(room, counters, place)
        return StreamedPositionOut(
            state=PositionState.LOBBY if room.is_lobby else PositionState.WAITING,
            number=ticket.number,
            place=place,
            position=position,
            called=counters.called,
            eta_s=rules.eta_s(room, counters, position or 0, reason, now),
            notice=reason,
            opens_at=datetime.fromtimestamp(room.opens_at, UTC)
            if reason is Notice.NOT_OPEN
            else None,
        )

    def _send_places_soon(self, schedule_id: UUID, room_stream: _RoomStream) -> None:
        if not room_stream.is_placing:
            room_stream.is_placing = True
            asyncio.get_running_loop().call_soon(self._send_some_places, schedule_id, room_stream)

    def _send_some_places(self, schedule_id: UUID, room_stream: _RoomStream) -> None:
        """Send some readers their drawn place; after the last one, the progress."""
        room_stream.is_placing = False
        room = self._rooms.by_schedule.get(schedule_id)
        if room is not None:
            counters = self._rooms.counters(schedule_id)
            for reader in list(islice(room_stream.to_place, _PLACES_PER_ITERATION)):
                del room_stream.to_place[reader]
                self._place(room_stream, room, counters, reader)
            if room_stream.to_place:
                self._send_places_soon(schedule_id, room_stream)
                return
        if self._room_streams.get(schedule_id) is room_stream:
            self.publish(schedule_id)

    def _place(
        self,
        room_stream: _RoomStream,
        room: WaitingRoomState,
        counters: QueueCounters,
        reader: _PositionReader,
    ) -> None:
        reader.place = room.place_of(reader.ticket.number)
        room_stream.add(reader)
        position = self._position(room, counters, reader.ticket)
        _send(reader, event("position", _encode(position), _id(counters)))

    @staticmethod
    def _send_turn(room_stream: _RoomStream, places: Iterable[int], come_within_s: int) -> None:
        message = _turn(come_within_s)
        for place in list(places):
            for reader in list(room_stream.by_place.get(place, ())):
                _send(reader, message)


def _send(reader: _PositionReader, message: bytes) -> None:
    if reader.subscriber is not None:
        reader.subscriber.send(message)


def _between(room_stream: _RoomStream, after: int, to: int) -> list[int]:
    """Return the readers' places in (after, to], by the cheaper of two scans."""
    if to - after < len(room_stream.by_place):
        return [place for place in range(after + 1, to + 1) if place in room_stream.by_place]
    return [place for place in room_stream.by_place if after < place <= to]


def _turn(come_within_s: int) -> bytes:
    return event("turn", _encode(TurnOut(come_within_s=come_within_s)))


def _id(counters: QueueCounters) -> str:
    return f"{counters.epoch}.{counters.called}"
