"""Who follows a waiting room by an event stream instead of asking again and again.

Everybody hears the same one message when the line moves, encoded once: how far it is. From it, and from
the place that the first message tells, a reader makes the position. Whose turn it is hears that alone,
and then asks once, which is what lets them in.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from uuid import UUID

import msgspec

from boxoffice.http.streams import Channel, Stream, Streams, Subscriber, event
from boxoffice.observability.logs import log
from boxoffice.waiting_room import rules
from boxoffice.waiting_room.queue_tickets import QueueTicket
from boxoffice.waiting_room.registry import WaitingRoomRegistry
from boxoffice.waiting_room.rules import Notice, PositionState, QueueCounters, WaitingRoomState

_TOPIC = "queue"
# Telling so many their places takes a millisecond or two; others wait for that in each turn of theirs.
_PLACED_AT_ONCE = 32
_encode = msgspec.json.Encoder().encode


class StreamedPositionOut(msgspec.Struct, kw_only=True):
    """Where one stands when the stream begins, and again after the draw; `place` is null before it.

    `opens_at`, before the doors open, is when they do.
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
    """How far the line is: one's position is one's place less `called`, 1 at the least."""

    called: int
    rate_per_s: float | None
    notice: Notice | None


class TurnOut(msgspec.Struct, kw_only=True):
    """It is one's turn: ask for one's place now, within `come_within_s`."""

    come_within_s: int


EVENTS = {"standing": StreamedPositionOut, "line": QueueProgressOut, "turn": TurnOut}


@dataclass(eq=False)
class _PositionReader:
    ticket: QueueTicket
    place: int
    subscriber: Subscriber | None = None


@dataclass(eq=False)
class _RoomStream:
    channel: Channel
    told: tuple[object, ...] = ()
    called: int = 0
    drawn: int = 0
    by_place: dict[int, dict[_PositionReader, None]] = field(default_factory=dict)
    # Who is still to hear what a draw gave them; until then they have no place.
    to_place: dict[_PositionReader, None] = field(default_factory=dict)
    is_placing: bool = False

    def unplace(self) -> None:
        """Take everybody's place away."""
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
    """The followers of all rooms of this process; `now` is seconds since the epoch."""

    def __init__(
        self, streams: Streams, rooms: WaitingRoomRegistry, now: Callable[[], float]
    ) -> None:
        self._streams = streams
        self._rooms = rooms
        self._now = now
        self._topics: dict[UUID, _RoomStream] = {}
        rooms.on_change = self.tell

    def follow(self, room: WaitingRoomState, ticket: QueueTicket) -> Stream:
        """Return the stream of a ticket's owner."""
        schedule_id = room.schedule_id
        topic = self._topics.get(schedule_id)
        if topic is None:
            channel = Channel(self._streams, _TOPIC, lambda: self._forget(schedule_id))
            topic = self._topics[schedule_id] = _RoomStream(channel)
            topic.called = self._rooms.counters(schedule_id).called
            topic.drawn = room.drawn
        reader = _PositionReader(ticket, room.place_of(ticket.number))

        def opened(subscriber: Subscriber) -> None:
            reader.subscriber = subscriber
            # There may have been a draw since the ticket was read; `_first` knows of it too.
            reader.place = (self._rooms.get(schedule_id) or room).place_of(ticket.number)
            topic.add(reader)

        return Stream(
            topic.channel,
            lambda: self._first(schedule_id, room, ticket),
            f"user:{ticket.user_id}",
            opened,
            lambda: topic.remove(reader),
        )

    def tell(self, schedule_id: UUID) -> None:
        """Tell the followers of a room what has changed since they were told last.

        After a draw everybody hears their own place first, some in each turn of the event loop.
        """
        topic = self._topics.get(schedule_id)
        if topic is None:
            return
        room = self._rooms.get(schedule_id)
        if room is None:
            topic.unplace()
            for reader in list(topic.to_place):
                _send(reader, _turn(0))
            topic.channel.end()
            return
        if room.drawn != topic.drawn:
            topic.drawn = room.drawn
            topic.unplace()
            self._place_soon(schedule_id, topic)
        if not topic.to_place:
            self._tell_line(topic, room, self._rooms.counters(schedule_id))

    def _tell_line(
        self, topic: _RoomStream, room: WaitingRoomState, counters: QueueCounters
    ) -> None:
        reason = rules.notice(room, counters, self._now())
        news = (counters.epoch, counters.called, reason)
        if news != topic.told:
            topic.told = news
            rate = counters.rate_per_s
            line = QueueProgressOut(
                called=counters.called, rate_per_s=rate and round(rate, 2), notice=reason
            )
            topic.channel.send(event("line", _encode(line), _id(counters)))
        if counters.called > topic.called and not room.is_lobby:
            before, topic.called = topic.called, counters.called
            self._turn(topic, _between(topic, before, counters.called), room.grace_s)

    def _forget(self, schedule_id: UUID) -> None:
        self._topics.pop(schedule_id, None)

    def _first(self, schedule_id: UUID, room: WaitingRoomState, ticket: QueueTicket) -> bytes:
        room = self._rooms.get(schedule_id) or room
        counters = self._rooms.counters(schedule_id)
        told = self._standing(room, counters, ticket)
        first = event("standing", _encode(told), _id(counters))
        if told.position == 0:
            first += _turn(room.grace_s)
        return first

    def _standing(
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

    def _place_soon(self, schedule_id: UUID, topic: _RoomStream) -> None:
        if not topic.is_placing:
            topic.is_placing = True
            asyncio.get_running_loop().call_soon(self._place_some, schedule_id, topic)

    def _place_some(self, schedule_id: UUID, topic: _RoomStream) -> None:
        """Tell some the place that the draw gave them; after the last one, how far the line is."""
        topic.is_placing = False
        room = self._rooms.get(schedule_id)
        if room is not None:
            counters = self._rooms.counters(schedule_id)
            for reader in list(islice(topic.to_place, _PLACED_AT_ONCE)):
                del topic.to_place[reader]
                self._place(topic, room, counters, reader)
            if topic.to_place:
                self._place_soon(schedule_id, topic)
                return
        if self._topics.get(schedule_id) is topic:
            self.tell(schedule_id)

    def _place(
        self,
        topic: _RoomStream,
        room: WaitingRoomState,
        counters: QueueCounters,
        reader: _PositionReader,
    ) -> None:
        reader.place = room.place_of(reader.ticket.number)
        topic.add(reader)
        told = self._standing(room, counters, reader.ticket)
        try:
            _send(reader, event("standing", _encode(told), _id(counters)))
        except Exception as error:  # the others hear theirs whatever becomes of this one
            log.error("event_not_written", exc_info=error)
            if reader.subscriber is not None:
                reader.subscriber.drop()

    @staticmethod
    def _turn(topic: _RoomStream, places: Iterable[int], come_within_s: int) -> None:
        message = _turn(come_within_s)
        for place in list(places):
            for reader in list(topic.by_place.get(place, ())):
                _send(reader, message)


def _send(reader: _PositionReader, message: bytes) -> None:
    if reader.subscriber is not None:
        reader.subscriber.send(message)


def _between(topic: _RoomStream, after: int, to: int) -> list[int]:
    """Return the places of followers after one and up to another, whichever way is shorter."""
    if to - after < len(topic.by_place):
        return [place for place in range(after + 1, to + 1) if place in topic.by_place]
    return [place for place in topic.by_place if after < place <= to]


def _turn(come_within_s: int) -> bytes:
    return event("turn", _encode(TurnOut(come_within_s=come_within_s)))


def _id(counters: QueueCounters) -> str:
    return f"{counters.epoch}.{counters.called}"
