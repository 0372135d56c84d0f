"""The masters of a Valkey Cluster: calls go to the node of their slot, and follow it when it moves.

Each node has a pool and a circuit breaker of its own, so a dead node costs only its own slots. A call
keeps one deadline through all redirections.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from redis.crc import key_slot
from redis.exceptions import AskError, MovedError, TryAgainError

from boxoffice.observability.logs import log
from boxoffice.platform.valkey.address import HostPort, ValkeyAddress
from boxoffice.platform.valkey.node import Script, SlotElsewhere, ValkeyNode, ValkeyUnavailable
from boxoffice.platform.valkey.shard_subscription import ShardSubscription, subscription_of
from boxoffice.settings import ValkeySettings

SLOTS = 16_384
_REDIRECTIONS_MAX = 5
# A slot that is being moved key by key answers TRYAGAIN while it has some of a script's keys.
_TRY_AGAIN_S = 0.01
_READ_EVERY_S = 5.0
# After a redirection or a failure the slots are read this often.
_READ_AFTER_CHANGE_S = 0.1
_LOG_FAILURE_EVERY_S = 5.0

Words = Sequence[str | bytes | float]


def slot_of(key: str | bytes) -> int:
    """Return the slot of a key or of a shard channel."""
    return key_slot(key.encode() if isinstance(key, str) else key)


class ClusterServers:
    """Calls go by the first key to the master of its slot."""

    def __init__(self, settings: ValkeySettings, address: ValkeyAddress) -> None:
        self._settings = settings
        self._address = address
        self._timeout_s = settings.valkey_timeout_ms / 1000
        self._nodes: dict[HostPort, ValkeyNode] = {}
        self._slots: list[HostPort | None] = [None] * SLOTS
        # The names of the masters, as of the last reading.
        self.masters: frozenset[str] = frozenset()
        # How often a reading differed from the one before.
        self.changes = 0
        self._is_stale = False
        self._read_at = -_READ_EVERY_S
        self._logged_at = -_LOG_FAILURE_EVERY_S
        self._reading: asyncio.Task[None] | None = None

    @property
    def is_breaker_open(self) -> bool:
        """Whether calls of every node are skipped."""
        return bool(self._nodes) and all(one.is_breaker_open for one in self._nodes.values())

    async def close(self) -> None:
        """Close every connection."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        for node in self._nodes.values():
            await node.close()

    async def run(
        self, script: Script, keys: Sequence[str], args: Sequence[str | bytes | int]
    ) -> Any:
        """Run `script` at the node of its keys."""
        slot, until = slot_of(keys[0]), self._deadline()
        node = await self._node_of(slot)
        try:
            return await node.run(script, keys, args, until - time.monotonic())
        except SlotElsewhere as answer:
            # Rare: the source goes along, because the other node may not have the script.
            words = ("EVAL", script.source, len(keys), *keys, *args)
            return await self._follow(slot, words, answer, until)
        except ValkeyUnavailable:
            self._is_stale = True
            raise

    async def command(self, *words: str | bytes | float, key: str | bytes | None = None) -> Any:
        """Send one command to the node of `key`, by default its first argument."""
        slot, until = slot_of(key if key is not None else _key(words)), self._deadline()
        node = await self._node_of(slot)
        try:
            return await node.command(*words, timeout_s=until - time.monotonic())
        except SlotElsewhere as answer:
            return await self._follow(slot, words, answer, until)
        except ValkeyUnavailable:
            self._is_stale = True
            raise

    @asynccontextmanager
    async def subscribed(
        self, channel: str, silence_s: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Lend the messages of a channel, which every node has."""
        node = await self._node_of(slot_of(channel))
        async with node.subscribed(channel, silence_s) as messages:
            yield messages

    def owner(self, name: str) -> str | None:
        """Return the name of the master of a key or shard channel, None before the first reading."""
        at = self._slots[slot_of(name)]
        return None if at is None else self._node(at).name

    async def read_slots(self) -> None:
        """Read the slots if they are not known; raise `ValkeyUnavailable` where no node answers."""
        await self._node_of(0)

    @asynccontextmanager
    async def shard_subscription(
        self, node: str, silence_s: float
    ) -> AsyncIterator[ShardSubscription]:
        """Lend a subscription to shard channels of the master of that name.

        Raises `ValkeyUnavailable` where it ends, and where there is no such master.
        """
        one = next((known for known in self._nodes.values() if known.name == node), None)
        if one is None:
            raise ValkeyUnavailable(f"{node} is no master")
        try:
            async with subscription_of(one.pubsub(), silence_s) as subscription:
                yield subscription
        except ValkeyUnavailable:
            self._is_stale = True
            raise

    def note_change(self) -> None:
        """Read the slots soon: a node has answered that one has moved."""
        self._is_stale = True

    async def _follow(self, slot: int, words: Words, answer: SlotElsewhere, until: float) -> Any:
        """Send a command where the nodes say, within the deadline."""
        for _ in range(_REDIRECTIONS_MAX):
            self._is_stale = True
            is_asking = False
            if isinstance(answer.error, AskError):
                node = self._node(answer.error.node_addr)
                is_asking = not isinstance(answer.error, MovedError)
                if not is_asking:
                    self._note_owner(slot, answer.error.node_addr)
            elif isinstance(answer.error, TryAgainError):
                await asyncio.sleep(_TRY_AGAIN_S)
                node = await self._node_of(slot)
            else:
                raise ValkeyUnavailable(str(answer)) from answer
            left_s = until - time.monotonic()
            if left_s <= 0:
                break
            try:
                if is_asking:
                    return await node.command_asking(words, left_s)
                return await node.command(*words, timeout_s=left_s)
            except SlotElsewhere as next_answer:
                answer = next_answer
        raise ValkeyUnavailable(f"slot {slot} is on the move: {answer}") from answer

    def _note_owner(self, slot: int, at: HostPort) -> None:
        """Note a slot's owner; the next reading of all slots finds no change, so it counts here."""
        self.changes += self._slots[slot] != at
        self._slots[slot] = at

    def _deadline(self) -> float:
        return time.monotonic() + self._timeout_s

    def _node(self, at: HostPort) -> ValkeyNode:
        node = self._nodes.get(at)
        if node is None:
            connection = {**self._address.server, "host": at[0], "port": at[1]}
            node = self._nodes[at] = ValkeyNode(self._settings, connection, in_cluster=True)
        return node

    async def _node_of(self, slot: int) -> ValkeyNode:
        now = time.monotonic()
        wait_s = _READ_AFTER_CHANGE_S if self._is_stale else _READ_EVERY_S
        if self._reading is None and now - self._read_at >= wait_s:
            self._read_at, self._is_stale = now, False
            self._reading = asyncio.create_task(self._read())
            self._reading.add_done_callback(self._ended)
        if self._slots[slot] is None and self._reading is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._timeout_s):
                    await asyncio.shield(self._reading)
        at = self._slots[slot]
        if at is None:
            self._is_stale = True
            raise ValkeyUnavailable(f"no node is known for slot {slot}")
        return self._node(at)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._reading = None
        error = None if task.cancelled() else task.exception()
        now = time.monotonic()
        if error is not None and now - self._logged_at >= _LOG_FAILURE_EVERY_S:
            self._logged_at = now
            log.warning("valkey_slots_not_read", error=repr(error))

    async def _read(self) -> None:
        """Read the slots from the first node that answers, known ones first."""
        known = list(self._nodes)
        random.shuffle(known)
        known.sort(key=lambda at: self._nodes[at].is_breaker_open)
        for at in dict.fromkeys((*known, *self._address.hosts)):
            try:
                reply = await self._node(at).command("CLUSTER", "SLOTS")
            except (ValkeyUnavailable, SlotElsewhere):
                continue
            await self._replace_slots(at, reply)
            return
        raise ValkeyUnavailable("no node of the cluster has answered")

    async def _replace_slots(self, asked: HostPort, reply: Sequence[Sequence[Any]]) -> None:
        slots: list[HostPort | None] = [None] * SLOTS
        for first, last, master, *_ in reply:
            # A node that does not know its own address is the one that was asked.
            host = master[0].decode() if master[0] else asked[0]
            slots[first : last + 1] = [(host, int(master[1]))] * (last + 1 - first)
        before, self._slots = self._slots, slots
        self.changes += before != slots
        self.masters = frozenset(self._node(at).name for at in set(slots) if at is not None)
        if before != slots and any(before):
            log.info("valkey_slots_changed", masters=sorted(self.masters))
        kept = set(slots)
        for at in [one for one in self._nodes if one not in kept]:
            await self._nodes.pop(at).close()


def _key(words: Words) -> str | bytes:
    key = words[1] if len(words) > 1 else ""
    return key if isinstance(key, (str, bytes)) else str(key)
