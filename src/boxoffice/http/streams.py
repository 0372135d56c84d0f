"""Event streams (`text/event-stream`, WHATWG HTML, section 9.2): a connection each, and no task.

A handler answers with a `Stream`. From then on its connection belongs to a `Subscriber` of a
`Channel`: an event of the channel is encoded once and written to all of its subscribers, a slice of
them at a time (`fan_out.py`), so that other requests are served between. Nothing waits for a reader:
one that is too slow is closed, and reconnects with `Last-Event-ID` as after a network failure.
"""

import asyncio
import contextlib
import random
import re
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NoReturn

from boxoffice.errors import Draining, IntegrityError, LastEventIdInvalid, Overloaded, TooMany
from boxoffice.http import metrics
from boxoffice.http.api.headers import FixedHeaders
from boxoffice.http.fan_out import FanOut, MessageQueue, write_or_drop
from boxoffice.http.server.address_limit import AddressLimit
from boxoffice.observability.metrics import BufferedCounter
from boxoffice.platform.client_addresses import address_bucket
from boxoffice.settings import StreamSettings

MEDIA_TYPE = "text/event-stream"

# Messages per channel that wait to be written; a channel that exceeds it closes its subscribers.
_WAITING_MAX = 256
_TICK_S = 1.0
# A drain cuts a reader that has not read the end of its stream by then.
_END_WITHIN_S = 1.0
_ID = re.compile(r"[!-~]{1,128}")
_COMMENT = b":\n\n"
# Without a length: a stream ends with its connection.
HEADERS = FixedHeaders(
    {
        "Content-Type": f"{MEDIA_TYPE}; charset=utf-8",
        "Cache-Control": "no-store",
        "X-Accel-Buffering": "no",
        "Connection": "close",
    }
)


def head(status_line: bytes, request_id: str) -> bytes:
    """Return the head of a stream."""
    return b"%b%bx-content-type-options: nosniff\r\nx-request-id: %b\r\n\r\n" % (
        status_line,
        HEADERS.raw,
        request_id.encode(),
    )


def event(name: str, data: bytes, event_id: str = "") -> bytes:
    """Encode an event; `data` is one line, as JSON is. Without an id the reader keeps the last one."""
    if b"\n" in data or b"\r" in data:
        raise IntegrityError("the data of an event is one line")
    lead = f"id: {event_id}\n" if event_id else ""
    return f"event: {name}\n{lead}data: ".encode() + data + b"\n\n"


def last_event_id(header: str | None) -> str:
    """Return a `Last-Event-ID`, empty without one; raise `LastEventIdInvalid` for an invalid one."""
    if not header:
        return ""
    if not _ID.fullmatch(header):
        raise LastEventIdInvalid
    return header


@dataclass(frozen=True)
class Limits:
    """The limits of streams: the settings that begin with `stream`."""

    streams_max: int
    per_client_max: int
    per_address_max: int
    buffer_max_bytes: int
    socket_buffer_bytes: int
    lifetime_s: float
    heartbeat_s: float
    unread_timeout_ms: int
    retry_ms: int


def limits_of(settings: StreamSettings) -> Limits:
    """Return the limits of the settings."""
    return Limits(
        streams_max=settings.streams_max,
        per_client_max=settings.streams_per_client_max,
        per_address_max=settings.streams_per_address_max,
        buffer_max_bytes=settings.stream_buffer_max_bytes,
        socket_buffer_bytes=settings.stream_socket_buffer_bytes,
        lifetime_s=settings.stream_lifetime_ms / 1000,
        heartbeat_s=settings.stream_heartbeat_ms / 1000,
        unread_timeout_ms=settings.stream_unread_timeout_ms,
        retry_ms=settings.stream_retry_ms,
    )


class Subscriber:
    """One open stream of a channel."""

    __slots__ = ("_channel", "_on_end", "_transport", "bucket", "client", "ends_at", "is_over")

    def __init__(
        self,
        channel: "Channel",
        transport: asyncio.Transport,
        client: str,
        on_end: Callable[[], None] | None,
    ) -> None:
        self.client = client
        # Its bucket in the count of streams per address.
        self.bucket = ""
        self.ends_at = 0.0
        self.is_over = False
        self._channel = channel
        self._transport = transport
        self._on_end = on_end

    def send(self, message: bytes) -> None:
        """Send an encoded event to this subscriber alone; it may overtake events of the channel.

        Where that fails its stream ends, and the caller goes on with the next subscriber.
        """
        if not self.is_over:
            self._channel.counter.count += 1
            write_or_drop(self, message)

    def write(self, message: bytes) -> None:
        """Write an event that is already counted; a full buffer makes the connection call `drop`."""
        if not self.is_over:
            self._transport.write(message)

    def end(self, reason: str) -> None:
        """End the stream; events that were sent still arrive."""
        for message in self._channel.waiting_for(self):
            write_or_drop(self, message)
        self.close(reason)

    def close(self, reason: str) -> None:
        """End the stream without the events that are not written yet."""
        if self._finish(reason):
            self._transport.close()

    def drop(self) -> None:
        """End the stream of a slow reader, and discard unread events."""
        if self._finish("slow"):
            self._transport.abort()

    def cut(self) -> None:
        """Close the connection of an ended stream at once, and discard unread events."""
        self._transport.abort()

    def lost(self) -> None:
        """Hear that the connection is gone."""
        self._finish("left")

    def _finish(self, reason: str) -> bool:
        if self.is_over:
            return False
        self.is_over = True
        self._channel.forget(self, reason)
        if self._on_end is not None:
            self._on_end()
        return True


class Channel:
    """A topic: its subscribers get later events, in order.

    `topic` is its name in the metrics; `on_empty` hears when the last subscriber has gone. `sent_at` is
    when the event loop's clock saw the last message, or the first subscriber where that came later;
    signs of life, which no reader sees, count in `written_at` only.
    """

    def __init__(
        self, streams: "Streams", topic: str, on_empty: Callable[[], None] | None = None
    ) -> None:
        self.streams = streams
        self.counter = streams.counter(topic)
        self.topic = topic
        self.sent_at = self.written_at = 0.0
        self._on_empty = on_empty
        self._members: dict[Subscriber, None] = {}
        self._queue = MessageQueue(streams.fan_out)

    def __len__(self) -> int:
        return len(self._members)

    def send(self, message: bytes) -> None:
        """Write `message` (see `event`) to all current subscribers, a slice of them at a time."""
        if not self._members:
            return
        if len(self._queue) >= _WAITING_MAX:
            for subscriber in list(self._members):
                subscriber.close("slow")
            return
        self.counter.count += len(self._members)
        self._post(message)
        self.sent_at = self.written_at

    def beat(self) -> None:
        """Send the sign of life, a comment that no reader sees."""
        self._post(_COMMENT)

    async def sent(self) -> None:
        """Return when everything is written, so that a caller can wait before it sends more."""
        await self._queue.written()

    def waiting_for(self, subscriber: Subscriber) -> list[bytes]:
        """Return the messages that are not yet written to a subscriber."""
        return self._queue.waiting_for(subscriber)

    def flush(self) -> None:
        """Write everything now."""
        self.streams.fan_out.flush(self._queue)

    def end(self) -> None:
        """End the streams of all subscribers; messages that were sent still arrive."""
        self.flush()
        for subscriber in list(self._members):
            subscriber.end("ended")

    def admit(self, subscriber: Subscriber) -> None:
        """Add `subscriber`, which gets the events from now on."""
        if not self._members:
            # What it gets first is all that was sent: silence begins with it.
            self.sent_at = self.written_at = asyncio.get_running_loop().time()
        self._members[subscriber] = None

    def forget(self, subscriber: Subscriber, reason: str) -> None:
        """Hear of the end of a subscriber's stream."""
        self._members.pop(subscriber, None)
        self.streams.forget(subscriber, self, reason)
        if not self._members and self._on_empty is not None:
            self._on_empty()

    def _post(self, message: bytes) -> None:
        self.written_at = asyncio.get_running_loop().time()
        # A later subscriber's first event includes this message's effect.
        self._queue.post(message, list(self._members))


@dataclass(frozen=True, slots=True)
class Stream:
    """The answer of a handler that opens a stream.

    `first` is called when the subscription begins and returns what this reader gets before anything
    that is sent from then on. `client` is whom the stream counts for, the address where it is empty.
    `opened` gets the subscriber, for messages of its own; `closed` is called once, at the end.
    """

    channel: Channel
    first: Callable[[], bytes]
    client: str = ""
    opened: Callable[[Subscriber], None] | None = None
    closed: Callable[[], None] | None = None


class Streams:
    """All streams of a process: how many there may be, their signs of life and their ends."""

    def __init__(self, limits: Limits) -> None:
        self.fan_out = FanOut()
        self._limits = limits
        self._open: dict[Subscriber, Channel] = {}
        self._by_client: dict[str, int] = {}
        self._by_address = AddressLimit(limits.per_address_max)
        self._counters: dict[str, BufferedCounter] = {}
        self._is_draining = False
        self._timer: asyncio.TimerHandle | None = None
        self._tick_s = min(_TICK_S, limits.lifetime_s / 4, limits.heartbeat_s / 4)

    def __len__(self) -> int:
        return len(self._open)

    def counter(self, topic: str) -> BufferedCounter:
        """Return what counts the events of a topic."""
        if topic not in self._counters:
            self._counters[topic] = BufferedCounter(metrics.STREAM_EVENTS.labels(topic))
        return self._counters[topic]

    def open(
        self, stream: Stream, transport: asyncio.Transport, answer_head: bytes, address: str
    ) -> Subscriber:
        """Begin a stream on a connection, which belongs to it from now on, for a client's address.

        Raises `Draining`, `Overloaded` or `TooMany`; then nothing was written.
        """
        client = stream.client or address_bucket(address)
        self._check(client, address)
        channel = stream.channel
        subscriber = Subscriber(channel, transport, client, stream.closed)
        first = stream.first()
        self._bound(transport, len(first))
        subscriber.bucket = self._by_address.add(address)
        self._remember(subscriber, channel)
        write_or_drop(subscriber, b"%bretry: %d\n\n" % (answer_head, self._retry_ms()))
        # Apart from the head, so that it is not copied for each new subscriber.
        subscriber.send(first)
        if subscriber.is_over:
            return subscriber
        channel.admit(subscriber)
        if stream.opened is not None:
            stream.opened(subscriber)
        return subscriber

    def forget(self, subscriber: Subscriber, channel: Channel, reason: str) -> None:
        """Hear of the end of a stream."""
        if self._open.pop(subscriber, None) is None:
            return
        self._by_address.remove(subscriber.bucket)
        left = self._by_client[subscriber.client] - 1
        if left:
            self._by_client[subscriber.client] = left
        else:
            del self._by_client[subscriber.client]
        metrics.STREAMS_OPEN.labels(channel.topic).dec()
        metrics.STREAMS_ENDED.labels(channel.topic, reason).inc()

    def drain(self) -> None:
        """End all streams, and begin no more."""
        self._is_draining = True
        ended = list(self._open)
        for channel in set(self._open.values()):
            channel.flush()
        for subscriber in ended:
            subscriber.end("drained")
        if ended:
            asyncio.get_running_loop().call_later(_END_WITHIN_S, _cut, ended)

    def _check(self, client: str, address: str) -> None:
        limits = self._limits
        if self._is_draining:
            raise Draining
        if len(self._open) >= limits.streams_max:
            raise Overloaded("This process has as many open streams as it may have.")
        if self._by_client.get(client, 0) >= limits.per_client_max:
            self._refuse(f"One client may have {limits.per_client_max} open streams.")
        if self._by_address.is_reached(address):
            self._refuse(f"One address may have {limits.per_address_max} open streams.")

    def _refuse(self, detail: str) -> NoReturn:
        raise TooMany(detail, retry_after_s=max(1, self._limits.retry_ms // 1000))

    def _retry_ms(self) -> int:
        """Return when to come back; spread, because a process ends all of its streams at once."""
        wanted_ms = self._limits.retry_ms
        return random.randint(wanted_ms // 2, wanted_ms * 3 // 2)  # noqa: S311 — no secret

    def _bound(self, transport: asyncio.Transport, first_bytes: int) -> None:
        """Bound what waits for a slow reader, here and in the kernel, and for how long."""
        limits = self._limits
        transport.set_write_buffer_limits(high=limits.buffer_max_bytes + first_bytes)
        sock = transport.get_extra_info("socket")
        if sock is None:
            return
        with contextlib.suppress(OSError):  # hung up just now
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, limits.socket_buffer_bytes)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, limits.unread_timeout_ms)

    def _remember(self, subscriber: Subscriber, channel: Channel) -> None:
        loop = asyncio.get_running_loop()
        # Streams that were opened together do not end together.
        share = random.uniform(0.75, 1)  # noqa: S311 — no secret
        subscriber.ends_at = loop.time() + self._limits.lifetime_s * share
        self._open[subscriber] = channel
        self._by_client[subscriber.client] = self._by_client.get(subscriber.client, 0) + 1
        metrics.STREAMS_OPEN.labels(channel.topic).inc()
        if self._timer is None:
            self._timer = loop.call_later(self._tick_s, self._tick)

    def _tick(self) -> None:
        """Give signs of life where nothing was sent for a while, and end what has lived long enough."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for channel in set(self._open.values()):
            if now - channel.written_at >= self._limits.heartbeat_s:
                channel.beat()
        for subscriber in [one for one in self._open if one.ends_at <= now]:
            subscriber.end("lifetime")
        self._timer = loop.call_later(self._tick_s, self._tick) if self._open else None


def _cut(subscribers: Iterable[Subscriber]) -> None:
    for subscriber in subscribers:
        subscriber.cut()
