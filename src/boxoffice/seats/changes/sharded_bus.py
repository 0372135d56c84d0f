"""Seat changes between pods of a Valkey Cluster: one shard channel per schedule.

A schedule's channel has its hash tag, so a lost node costs only its own schedules. A process
subscribes to the channels of the schedules in memory, with one connection per node. Messages are
numbered per sender and schedule. Each second a process sends a heartbeat to every node, with the last
numbers of what it sent there: a receiver detects a lost message with the next one or the heartbeat.
"""

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

from boxoffice.observability.logs import log
from boxoffice.platform.concurrency.tasks import cancel_and_wait
from boxoffice.platform.valkey import Valkey, ValkeyUnavailable
from boxoffice.platform.valkey.cluster import SLOTS, ClusterServers
from boxoffice.platform.valkey.shard_subscription import (
    ShardEvent,
    ShardMessage,
    ShardSubscription,
)
from boxoffice.seats import metrics
from boxoffice.seats.cache.entries import SeatChangeApplier
from boxoffice.seats.cache.states import PositionChange
from boxoffice.seats.changes import messages
from boxoffice.seats.changes.bus import SeatChangeBus

CHANNEL = "boxoffice:seats"

_FOLLOW_EVERY_S = 0.25
# A heartbeat repeats the numbers of this long, so a lost heartbeat hides nothing.
_RECENT_S = 3.0
_SENT_MAX = 10_000


class _Link:
    """The subscription of this process to one node."""

    def __init__(self, node: str) -> None:
        self.node = node
        self.heartbeat_channel = ""
        self.subscription: ShardSubscription | None = None
        # Asked for, and confirmed by the node.
        self.asked: set[UUID] = set()
        self.followed: set[UUID] = set()
        self.received_own_at = -math.inf
        self.is_receiving = False
        self.has_lost = False


class ShardedSeatChangeBus(SeatChangeBus):
    """Sends this process's changes by schedule, and applies those of other pods."""

    def __init__(
        self,
        valkey: Valkey,
        cluster: ClusterServers,
        applier: SeatChangeApplier,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(valkey, applier, clock)
        self._cluster = cluster
        self._links: dict[str, _Link] = {}
        self._changes_seen = 0
        self._listening: dict[str, asyncio.Task[None]] = {}
        self._locks: dict[str | None, asyncio.Lock] = {}
        # By schedule: the last number sent, and when; oldest first.
        self._sent: dict[UUID, tuple[int, float]] = {}
        # By schedule that is followed, and sender: the last number received.
        self._received: dict[UUID, dict[bytes, int]] = {}

    @property
    def is_receiving(self) -> bool:
        """Whether messages arrive here from every node."""
        return bool(self._links) and all(link.is_receiving for link in self._links.values())

    def follows(self, schedule_id: UUID) -> bool:
        """Whether messages about a schedule arrive here."""
        return any(
            link.is_receiving and schedule_id in link.followed for link in self._links.values()
        )

    async def run(self) -> None:
        """Listen and send heartbeats until cancelled; subscriptions follow their slots."""
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._send_heartbeats())
                both.create_task(self._follow_forever())
        finally:
            await cancel_and_wait(list(self._listening.values()))

    def check(self) -> None:
        """Detect the loss of subscriptions, and of peers."""
        now = self._clock()
        for sender in self._forget_peers(now):
            for numbers in self._received.values():
                numbers.pop(sender, None)
        for link in self._links.values():
            self._check_link(link, now)

    def receive_from(self, link: _Link, message: ShardMessage) -> None:
        """Apply one event of a node."""
        if message.event is ShardEvent.MESSAGE:
            self._receive_shard(link, message.data)
            return
        if message.channel == link.heartbeat_channel:
            if message.event is ShardEvent.ENDED:
                raise ValkeyUnavailable("the slot of the heartbeat has moved")
            self._heartbeat_due.set()
            return
        schedule_id = _schedule_of(message.channel)
        if message.event is ShardEvent.BEGUN:
            if schedule_id in link.asked:
                link.followed.add(schedule_id)
                if link.is_receiving:
                    self._applier.set_schedule_connected(schedule_id, is_connected=True)
        else:
            self._lose_schedule(link, schedule_id)

    def _receive_shard(self, link: _Link, message: bytes) -> None:
        head = messages.head_of(message)
        if head is None:
            self._reject(message)
            return
        if head.sender == self._me:
            if head.schedule_id is None:
                link.received_own_at = self._clock()
                self._check_link(link, link.received_own_at)
            return
        if head.schedule_id is None:
            self._receive_heartbeat(link, head.sender, message)
            return
        if head.schedule_id not in link.followed:
            return
        numbers = self._received.setdefault(head.schedule_id, {})
        # Without an earlier number only the first message surely misses nothing.
        if head.number != numbers.get(head.sender, 0) + 1:
            self._miss(head.schedule_id)
        numbers[head.sender] = head.number
        self._apply_message(head.schedule_id, message)

    def _receive_heartbeat(self, link: _Link, sender: bytes, message: bytes) -> None:
        sent = messages.sent_of(message)
        if sent is None:
            self._reject(message)
            return
        if sender not in self._peers:
            # Before it knew of this process it has sent nothing, and numbered nothing.
            metrics.SEAT_CHANGE_MESSAGES.labels("missed").inc()
            self._applier.invalidate_all()
            self._heartbeat_due.set()  # the new peer must learn of this process soon
        self._note_heard(sender)
        for schedule_id, number in sent:
            if schedule_id not in link.followed:
                continue
            numbers = self._received.setdefault(schedule_id, {})
            if number > numbers.get(sender, 0):
                numbers[sender] = number
                self._miss(schedule_id)

    def _miss(self, schedule_id: UUID) -> None:
        metrics.SEAT_CHANGE_MESSAGES.labels("missed").inc()
        self._applier.invalidate(schedule_id)

    def _check_link(self, link: _Link, now: float) -> None:
        is_receiving = now - link.received_own_at < messages.SILENCE_S
        if is_receiving is link.is_receiving:
            return
        link.is_receiving = is_receiving
        for schedule_id in link.followed:
            self._applier.set_schedule_connected(schedule_id, is_connected=is_receiving)
        if not is_receiving:
            link.has_lost = True
            log.warning("seat_change_bus_lost", node=link.node)
        elif link.has_lost:
            log.info("seat_change_bus_restored", node=link.node)

    def _lose_schedule(self, link: _Link, schedule_id: UUID) -> None:
        """Stop trusting messages of a schedule: its slot has moved, or it is no longer in memory."""
        link.asked.discard(schedule_id)
        link.followed.discard(schedule_id)
        self._received.pop(schedule_id, None)
        self._applier.set_schedule_connected(schedule_id, is_connected=False)
        self._cluster.note_change()

    def _lose_waiting(self) -> None:
        for schedule_id in self._waiting:
            self._count_sent(schedule_id)
        super()._lose_waiting()

    def _count_sent(self, schedule_id: UUID) -> int:
        number = self._sent.pop(schedule_id, (0, 0.0))[0] + 1
        self._sent[schedule_id] = number, self._clock()
        if len(self._sent) > _SENT_MAX:
            del self._sent[next(iter(self._sent))]
        return number

    async def _send(
        self, schedule_id: UUID | None, changes: Sequence[PositionChange | None]
    ) -> None:
        if schedule_id is None:
            await self._send_to_nodes()
            return
        channel = channel_of(schedule_id)
        async with self._sending_to(self._cluster.owner(channel)):
            number = self._count_sent(schedule_id)
            message = messages.encode(schedule_id, self._me, number, changes)
            await self._publish("SPUBLISH", channel, message)

    async def _send_to_nodes(self) -> None:
        """Send a heartbeat to every node; a dead one delays no other."""
        with contextlib.suppress(ValkeyUnavailable):
            await self._cluster.read_slots()
        masters = self._cluster.masters
        since = self._clock() - _RECENT_S
        recent = [(one, number) for one, (number, at) in self._sent.items() if at >= since]
        await asyncio.gather(*(self._send_to_node(node, recent) for node in masters))

    async def _send_to_node(self, node: str, recent: Sequence[tuple[UUID, int]]) -> None:
        link = self._links.get(node)
        if link is None or not link.heartbeat_channel:
            return
        own = [one for one in recent if self._cluster.owner(channel_of(one[0])) == node]
        async with self._sending_to(node):
            self._number += 1
            # A number may have grown while this waited: the message is not sent before this one.
            heartbeat = messages.encode_sent(self._me, self._number, own)
            await self._publish("SPUBLISH", link.heartbeat_channel, heartbeat)

    @asynccontextmanager
    async def _sending_to(self, node: str | None) -> AsyncIterator[None]:
        # Sequential per node: a heartbeat must not overtake the message that it counts.
        async with self._locks.setdefault(node, asyncio.Lock()):
            yield

    async def _follow_forever(self) -> None:
        while True:
            try:
                await self._follow()
            except ValkeyUnavailable:
                pass
            except Exception as error:  # the next round is the retry
                log.error("seat_change_follow_failed", exc_info=error)
            await asyncio.sleep(_FOLLOW_EVERY_S)

    async def _follow(self) -> None:
        """Have one subscription per master, to the channels of the schedules in memory."""
        masters = self._cluster.masters
        for node in self._links.keys() - masters:
            await self._drop_link(node)
        if self._changes_seen != self._cluster.changes:
            await self._drop_outdated()
        for node in masters - self._links.keys():
            self._links[node] = _Link(node)
            self._listening[node] = asyncio.create_task(self._listen_to(self._links[node]))
        wanted: dict[str | None, set[UUID]] = {}
        for schedule_id in self._applier.schedule_ids():
            wanted.setdefault(self._cluster.owner(channel_of(schedule_id)), set()).add(schedule_id)
        for link in list(self._links.values()):
            await self._subscribe(link, wanted.get(link.node, set()))

    async def _drop_outdated(self) -> None:
        """Drop links of nodes that have another first channel now: a later process sends there."""
        self._changes_seen = self._cluster.changes
        for link in list(self._links.values()):
            if link.heartbeat_channel not in ("", self._heartbeat_channel(link.node)):
                await self._drop_link(link.node)

    async def _drop_link(self, node: str) -> None:
        await cancel_and_wait([self._listening.pop(node)])
        self._end_link(self._links.pop(node))

    async def _subscribe(self, link: _Link, wanted: set[UUID]) -> None:
        if link.subscription is None:
            return
        for schedule_id in wanted - link.asked:
            link.asked.add(schedule_id)
            await link.subscription.subscribe(channel_of(schedule_id))
        for schedule_id in link.asked - wanted:
            self._lose_schedule(link, schedule_id)
            await link.subscription.unsubscribe(channel_of(schedule_id))

    async def _listen_to(self, link: _Link) -> None:
        backoff_s = messages.BACKOFF_FIRST_S
        while True:
            try:
                link.heartbeat_channel = self._heartbeat_channel(link.node)
                async with self._cluster.shard_subscription(
                    link.node, messages.SILENCE_S
                ) as subscription:
                    await subscription.subscribe(link.heartbeat_channel)
                    link.subscription = subscription
                    async for message in subscription.messages():
                        backoff_s = messages.BACKOFF_FIRST_S
                        self.receive_from(link, message)
            except ValkeyUnavailable:
                self._cluster.note_change()
            except Exception as error:  # one bad message does not end the subscription
                log.error("seat_change_message_failed", exc_info=error)
            finally:
                self._end_link(link)
            await asyncio.sleep(backoff_s)
            backoff_s = min(2 * backoff_s, messages.BACKOFF_LAST_S)

    def _end_link(self, link: _Link) -> None:
        link.subscription = None
        link.received_own_at = -math.inf
        self._check_link(link, self._clock())
        for schedule_id in link.followed:
            self._received.pop(schedule_id, None)
        link.asked.clear()
        link.followed.clear()

    def _heartbeat_channel(self, node: str) -> str:
        """Return the first numbered channel whose slot the node has: all processes find the same."""
        for number in range(SLOTS):
            channel = f"{CHANNEL}:heartbeat:{{{number}}}"
            if self._cluster.owner(channel) == node:
                return channel
        raise ValkeyUnavailable(f"{node} has no slot")


def channel_of(schedule_id: UUID) -> str:
    """Return the channel of a schedule, in the slot of its keys."""
    return f"{CHANNEL}:{{{schedule_id}}}"


def _schedule_of(channel: str) -> UUID:
    return UUID(channel[len(CHANNEL) + 2 : -1])
