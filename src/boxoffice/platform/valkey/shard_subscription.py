"""A subscription to shard channels of one node of a Cluster; it ends with the connection.

A channel has the slot of its name. When the slot moves the node ends the subscription of that channel
alone, with a message.
"""

import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import NamedTuple

from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from boxoffice.platform.concurrency.tasks import cancellations, raise_if_cancelled
from boxoffice.platform.valkey.node import ValkeyUnavailable


class ShardEvent(StrEnum):
    """What a node sends: a message, or the begin or end of a channel's subscription."""

    MESSAGE = "smessage"
    BEGUN = "ssubscribe"
    ENDED = "sunsubscribe"


class ShardMessage(NamedTuple):
    """One event of a channel; `data` is of a message."""

    event: ShardEvent
    channel: str
    data: bytes


class ShardSubscription:
    """Channels of one node; another task may subscribe while `messages` is read."""

    def __init__(self, pubsub: PubSub, silence_s: float) -> None:
        self._pubsub = pubsub
        self._silence_s = silence_s

    async def subscribe(self, channel: str) -> None:
        """Ask for a channel; `BEGUN` follows. Raises `ValkeyUnavailable`."""
        with _unavailable():
            await self._pubsub.ssubscribe(channel)

    async def unsubscribe(self, channel: str) -> None:
        """End a channel; `ENDED` follows. Raises `ValkeyUnavailable`."""
        with _unavailable():
            await self._pubsub.sunsubscribe(channel)

    async def messages(self) -> AsyncIterator[ShardMessage]:
        """Yield what the node sends; raise `ValkeyUnavailable` at the end, also of a long silence."""
        before = cancellations()
        until = time.monotonic() + self._silence_s
        while True:
            with _unavailable():
                sent = await self._pubsub.get_message(timeout=max(0.001, until - time.monotonic()))
            raise_if_cancelled(before)
            if sent is not None:
                until = time.monotonic() + self._silence_s
                data = sent["data"] if isinstance(sent["data"], bytes) else b""
                yield ShardMessage(ShardEvent(sent["type"]), sent["channel"].decode(), data)
            elif time.monotonic() >= until:
                raise ValkeyUnavailable(f"nothing was heard for {self._silence_s} s")


@asynccontextmanager
async def subscription_of(pubsub: PubSub, silence_s: float) -> AsyncIterator[ShardSubscription]:
    """Lend a subscription without channels; close its connection."""
    try:
        yield ShardSubscription(pubsub, silence_s)
    finally:
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            await pubsub.aclose()  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        raise ValkeyUnavailable(str(error)) from error
