"""Writes messages to thousands of receivers beside the other work of the event loop.

A slice of the receivers gets its message in one turn of the event loop. Then writing rests, so that
other requests, which need several turns each, rarely meet a slice.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Protocol

from boxoffice.observability.logs import log

# Writes per turn of the event loop: 32 take a fifth of a millisecond.
_SLICE = 32
# Writing takes at most this share of the time, as long as no message is late.
_SHARE = 1 / 4
# The timers of the event loop count milliseconds; a shorter rest would be none.
_REST_MIN_S = 0.001
# Rests become shorter where they would delay a message by more than about this.
_DELAY_S = 0.5
# More than any message has receivers.
_ALL = 1 << 30


class MessageReceiver(Protocol):
    """One of many that get the same message."""

    def write(self, message: bytes) -> None:
        """Write without waiting."""

    def drop(self) -> None:
        """End it: it cannot be written to."""


def write_or_drop(receiver: MessageReceiver, message: bytes) -> None:
    """Write to a receiver, or end it where that fails; the other receivers go on."""
    try:
        receiver.write(message)
    except Exception as error:  # the other receivers still get the message
        log.error("event_not_written", exc_info=error)
        _drop(receiver)


def _drop(receiver: MessageReceiver) -> None:
    try:
        receiver.drop()
    except Exception as error:  # or no stream of the process would be written to any more
        log.error("event_not_written", exc_info=error)


class FanOut:
    """Writes what waits in all message queues of a process, a slice at a time."""

    def __init__(self) -> None:
        self._queues: deque[MessageQueue] = deque()
        # Writes to single receivers that wait.
        self._pending = 0
        self._is_writing = False

    def add(self, queue: "MessageQueue", writes: int) -> None:
        """Note a queue's new message with so many receivers; queues take turns."""
        self._pending += writes
        if len(queue) == 1:
            self._queues.append(queue)
        if not self._is_writing:
            self._is_writing = True
            asyncio.get_running_loop().call_soon(self._write)

    def flush(self, queue: "MessageQueue") -> None:
        """Write at once all that waits in a queue: its receivers are about to be closed."""
        while len(queue):
            self._pending -= queue.write(_ALL)
        if queue in self._queues:
            self._queues.remove(queue)

    def _write(self) -> None:
        began, left = time.monotonic(), _SLICE
        while left and self._queues:
            queue = self._queues.popleft()
            written = queue.write(left)
            left -= written
            self._pending -= written
            if len(queue):
                self._queues.append(queue)
        # The event loop hands the bytes to the kernel at the end of this turn.
        asyncio.get_running_loop().call_soon(self._rest, began)

    def _rest(self, began: float) -> None:
        self._is_writing = bool(self._queues)
        if self._is_writing:
            rest_s = max(_REST_MIN_S, (time.monotonic() - began) * (1 / _SHARE - 1))
            slices = max(1.0, self._pending / _SLICE)
            asyncio.get_running_loop().call_later(min(rest_s, _DELAY_S / slices), self._write)


class MessageQueue:
    """Messages to the receivers of one topic that wait to be written, in order."""

    def __init__(self, fan_out: FanOut) -> None:
        self._fan_out = fan_out
        self._waiting: deque[tuple[bytes, Sequence[MessageReceiver]]] = deque()
        self._at = 0
        self._written: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def post(self, message: bytes, receivers: Sequence[MessageReceiver]) -> None:
        """Have a message written to these receivers."""
        self._waiting.append((message, receivers))
        self._fan_out.add(self, len(receivers))

    def waiting_for(self, receiver: MessageReceiver) -> list[bytes]:
        """Return what is not yet written to a receiver, in order."""
        at = self._at
        unwritten = [(message, receivers[at:]) for message, receivers in islice(self._waiting, 1)]
        unwritten += islice(self._waiting, 1, None)
        return [message for message, receivers in unwritten if receiver in receivers]

    async def written(self) -> None:
        """Return when everything is written."""
        while self._waiting:
            if self._written is None:
                self._written = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._written)

    def write(self, writes_max: int) -> int:
        """Write the first message to some of its receivers; return to how many."""
        message, receivers = self._waiting[0]
        part = receivers[self._at : self._at + writes_max]
        for receiver in part:
            write_or_drop(receiver, message)
        self._at += len(part)
        if self._at >= len(receivers):
            self._end_first()
        return len(part)

    def _end_first(self) -> None:
        self._at = 0
        self._waiting.popleft()
        if not self._waiting and self._written is not None:
            written, self._written = self._written, None
            written.set_result(None)
