"""Packs issued numbers in PostgreSQL while they are recorded, and restores them from the packs."""

import asyncio
from collections.abc import Iterator, Sequence
from uuid import UUID

from boxoffice.errors import Unavailable
from boxoffice.observability.logs import log
from boxoffice.platform.concurrency.tasks import cancel_and_wait
from boxoffice.platform.valkey import ValkeyUnavailable
from boxoffice.waiting_room.engine import number_packs
from boxoffice.waiting_room.engine.queue_state import NumberBucket, QueueState
from boxoffice.waiting_room.rules import WaitingRoomState
from boxoffice.waiting_room.store import QueueStore

# PostgreSQL packs as many in half a second.
PACK_NUMBERS = 250_000
# A slow server packs fewer within its timeout.
_PACK_NUMBERS_MIN = 4_000
_READERS = 3
# Read together; to sort 50,000 into small buckets outlasts the deadline of a call of another reader.
_NUMBERS_AT_ONCE = 10_000
# Keeps a call well within its deadline.
_CALL_BYTES_MAX = 400_000
# Between the attempts of one call; the last outlasts an open circuit breaker.
_PAUSES_S = (0.05, 0.2, 1.2)


class NumberRestorer:
    """Packs numbers in the background, at most one waiting room at a time."""

    def __init__(self, store: QueueStore, queue_state: QueueState) -> None:
        self._store = store
        self._queue_state = queue_state
        self._packing: asyncio.Task[None] | None = None
        self._at_most = PACK_NUMBERS

    def pack(self, schedule_id: UUID) -> bool:
        """Pack in the background what was recorded; return False while another packing runs."""
        if self._packing is not None and not self._packing.done():
            return False
        self._packing = asyncio.create_task(self._pack(schedule_id))
        return True

    async def _pack(self, schedule_id: UUID) -> None:
        try:
            while await self._pack_some(schedule_id, PACK_NUMBERS):
                pass
        except Unavailable as error:
            log.warning("waiting_room_numbers_not_packed", error=str(error))
        except Exception as error:  # a rebuild packs them
            log.error("waiting_room_numbers_not_packed", exc_info=error)

    async def _pack_some(self, schedule_id: UUID, at_least: int) -> int:
        """Pack some numbers; after a failure the next attempt packs half as many."""
        try:
            return await self._store.pack_joins(schedule_id, self._at_most, at_least)
        except Exception:
            # guard: restorer_slow_server_packs_fewer => pass
            self._at_most = max(_PACK_NUMBERS_MIN, self._at_most // 2)
            raise

    async def stop(self) -> None:
        """End a packing in progress; PostgreSQL keeps nothing of it."""
        if self._packing is not None:
            await cancel_and_wait([self._packing])

    async def restore(self, room: WaitingRoomState) -> None:
        """Write the recorded numbers into state that is being rebuilt, several parts at a time."""
        if self._packing is not None:
            # It locks the rows that are next, and the wait for a lock ends sooner than a packing.
            await asyncio.wait([self._packing])
        while await self._pack_some(room.schedule_id, 1):
            pass
        parts = number_packs.part_ranges(room.joined, _NUMBERS_AT_ONCE)
        readers = [asyncio.create_task(self._restore_parts(room, parts)) for _ in range(_READERS)]
        try:
            await asyncio.gather(*readers)
        finally:
            await cancel_and_wait(readers)
        async for spent in self._store.spent_numbers(room.schedule_id):
            await self._queue_state.forget(room, spent)

    async def _restore_parts(self, room: WaitingRoomState, parts: Iterator[range]) -> None:
        """Restore parts that no other reader has taken."""
        for some in parts:
            packs = await self._store.number_packs(room.schedule_id, some)
            buckets = number_packs.buckets_of(packs)
            for part in number_packs.in_calls(buckets, _CALL_BYTES_MAX):
                await self._restore_buckets(room, part)

    async def _restore_buckets(self, room: WaitingRoomState, part: Sequence[NumberBucket]) -> None:
        """Write buckets; where no answer comes in time, again: it is the same then.

        A rebuild has hundreds of calls. If each late one began it anew, it would not end on a busy
        machine.
        """
        for pause_s in _PAUSES_S:
            try:
                await self._queue_state.restore(room, part)
            except ValkeyUnavailable:
                await asyncio.sleep(pause_s)
            else:
                return
        await self._queue_state.restore(room, part)
