"""Seat changes between pods, over one Valkey channel.

Messages may be lost. A sender numbers its messages and sends a heartbeat every second, so that a
receiver detects a gap and reads the database again. A sender without peers sends no changes.
"""

import asyncio
import contextlib
import math
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from boxoffice.observability.logs import log
from boxoffice.platform.valkey import Valkey, ValkeyUnavailable
from boxoffice.seats import metrics
from boxoffice.seats.cache.entries import SeatChangeApplier
from boxoffice.seats.cache.states import PositionChange
from boxoffice.seats.changes import messages

CHANNEL = "boxoffice:seats"

_HEARTBEAT_S = 1.0
_FORGET_PEER_S = 5.0
# After a message the next one waits for so long; a lone one does not wait.
_PAUSE_S = 0.01
# Changes that wait to be sent; beyond it they are dropped, and other pods read the schedules.
_WAITING_MAX = 20_000


@dataclass(slots=True)
class _Peer:
    number: int
    received_at: float


class SeatChangeBus:
    """Sends this process's changes and applies those of other pods; `run` listens until cancelled."""

    def __init__(
        self,
        valkey: Valkey,
        applier: SeatChangeApplier,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._valkey = valkey
        self._applier = applier
        self._clock = clock
        self._me = secrets.token_bytes(8)
        self._number = 0
        self._peers: dict[bytes, _Peer] = {}
        self._received_own_at = -math.inf
        self._is_receiving = False
        self._has_lost = False
        # None among a schedule's changes: other pods must read it again.
        self._waiting: dict[UUID, list[PositionChange | None]] = {}
        self._waiting_count = 0
        self._sending = asyncio.Lock()
        # The next heartbeat is sent at once.
        self._heartbeat_due = asyncio.Event()
        self._flushing: asyncio.Task[None] | None = None

    @property
    def has_peers(self) -> bool:
        """Whether other processes have sent a message recently."""
        return bool(self._peers)

    @property
    def processes(self) -> int:
        """How many processes share changes, this one included."""
        return 1 + len(self._peers)

    @property
    def is_receiving(self) -> bool:
        """Whether messages arrive here."""
        return self._is_receiving

    def post(self, schedule_id: UUID, changes: Sequence[PositionChange]) -> None:
        """Send changes in the background; without changes, other pods read the schedule again."""
        if not self._peers:
            return
        self._waiting_count += len(changes)
        if self._waiting_count > _WAITING_MAX:
            self._lose_waiting()
            return
        self._waiting.setdefault(schedule_id, []).extend(changes or [None])
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())

    async def deliver(self, schedule_id: UUID, changes: Sequence[PositionChange]) -> None:
        """Send changes; return when Valkey has them or cannot be reached."""
        if self._peers:
            await self._send(schedule_id, changes)

    async def finish(self) -> None:
        """Return when all posted changes are sent."""
        if self._flushing is not None:
            await asyncio.gather(self._flushing, return_exceptions=True)

    async def run(self) -> None:
        """Listen and send heartbeats until cancelled; a lost subscription is renewed."""
        # Neither is of use without the other, so the end of one ends both.
        async with asyncio.TaskGroup() as both:
            both.create_task(self._send_heartbeats())
            both.create_task(self._listen())

    def receive(self, message: bytes) -> None:
        """Apply one message."""
        head = messages.head_of(message)
        if head is None:
            self._reject(message)
            return
        if head.sender == self._me:
            self._received_own_at = self._clock()
            if not self._is_receiving:
                self.check()
            return
        self._note_peer(head.sender, head.number)
        if head.schedule_id is not None:
            self._apply_message(head.schedule_id, message)

    def check(self) -> None:
        """Detect the loss of this process's subscription, and of peers."""
        now = self._clock()
        self._forget_peers(now)
        # The subscription counts as lost without any message, own heartbeats included, for so long.
        is_receiving = now - self._received_own_at < messages.SILENCE_S
        if is_receiving is not self._is_receiving:
            self._is_receiving = is_receiving
            self._applier.set_connected(is_receiving)
            if not is_receiving:
                self._has_lost = True
                log.warning("seat_change_bus_lost")
            elif self._has_lost:
                log.info("seat_change_bus_restored")

    def _apply_message(self, schedule_id: UUID, message: bytes) -> None:
        changes = messages.changes_of(message)
        if changes is None:
            self._reject(message)
            return
        metrics.SEAT_CHANGE_MESSAGES.labels("received").inc()
        if changes:
            self._applier.apply(schedule_id, changes)
        else:
            self._applier.invalidate(schedule_id)

    def _note_peer(self, sender: bytes, number: int) -> None:
        peer = self._peers.get(sender)
        if peer is None or number != peer.number + 1:
            metrics.SEAT_CHANGE_MESSAGES.labels("missed").inc()
            self._applier.invalidate_all()
        if peer is None:
            self._heartbeat_due.set()  # the new peer must learn of this process soon
        self._note_heard(sender, number)

    def _note_heard(self, sender: bytes, number: int = 0) -> None:
        self._peers[sender] = _Peer(number, self._clock())

    def _forget_peers(self, now: float) -> list[bytes]:
        """Forget the senders that are silent, and return them."""
        silent = [
            one for one, peer in self._peers.items() if now - peer.received_at > _FORGET_PEER_S
        ]
        for sender in silent:
            del self._peers[sender]
        return silent

    def _reject(self, message: bytes) -> None:
        metrics.SEAT_CHANGE_MESSAGES.labels("invalid").inc()
        try:
            schedule_id = messages.damaged_schedule(message)
        except ValueError:
            self._applier.invalidate_all()
            return
        if schedule_id is not None:
            self._applier.invalidate(schedule_id)

    def _lose_waiting(self) -> None:
        """Drop waiting changes; other pods detect the gap in the numbers."""
        self._waiting.clear()
        self._waiting_count = 0
        self._number += 1
        metrics.SEAT_CHANGE_MESSAGES.labels("unsent").inc()

    async def _flush(self) -> None:
        while self._waiting:
            waiting, self._waiting, self._waiting_count = self._waiting, {}, 0
            for schedule_id, changes in waiting.items():
                await self._send(schedule_id, () if None in changes else changes)
            # The next message has the changes of some batches: most of its cost is not in them.
            await asyncio.sleep(_PAUSE_S)

    async def _send(
        self, schedule_id: UUID | None, changes: Sequence[PositionChange | None]
    ) -> None:
        # Sequential: messages on two connections could overtake each other, which looks like a loss.
        async with self._sending:
            self._number += 1
            message = messages.encode(schedule_id, self._me, self._number, changes)
            await self._publish("PUBLISH", CHANNEL, message)

    async def _publish(self, command: str, channel: str, message: bytes) -> None:
        try:
            await self._valkey.command(command, channel, message)
        except ValkeyUnavailable:
            metrics.SEAT_CHANGE_MESSAGES.labels("unsent").inc()
        else:
            metrics.SEAT_CHANGE_MESSAGES.labels("sent").inc()

    async def _send_heartbeats(self) -> None:
        while True:
            await self._send(None, ())
            self.check()
            self._heartbeat_due.clear()
            # Not `wait_for`: it swallows a cancellation that comes together with the event.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_HEARTBEAT_S):
                    await self._heartbeat_due.wait()

    async def _listen(self) -> None:
        backoff_s = messages.BACKOFF_FIRST_S
        while True:
            try:
                async with self._valkey.subscribed(CHANNEL, messages.SILENCE_S) as received:
                    self._heartbeat_due.set()
                    async for message in received:
                        backoff_s = messages.BACKOFF_FIRST_S
                        self.receive(message)
            except ValkeyUnavailable:
                pass
            except Exception as error:  # one bad message does not end the subscription
                log.error("seat_change_message_failed", exc_info=error)
            self._received_own_at = -math.inf
            self.check()
            await asyncio.sleep(backoff_s)
            backoff_s = min(2 * backoff_s, messages.BACKOFF_LAST_S)
