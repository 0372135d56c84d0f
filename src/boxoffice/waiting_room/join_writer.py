"""Records issued numbers in PostgreSQL a tenth of a second later, thousands to a row.

Numbers not yet recorded when Valkey is lost are known only from the tickets of their owners.
"""

import asyncio
from uuid import UUID

from boxoffice.observability.logs import log
from boxoffice.waiting_room.engine.queue_state import IssuedNumbers
from boxoffice.waiting_room.store import QueueStore

_EVERY_S = 0.1
# Exceeded by one batch at most.
_ROW_MAX = 4_000
# Numbers kept while PostgreSQL is unavailable; beyond it all are dropped.
_WAITING_MAX = 200_000


class JoinWriter:
    """Buffers issued numbers; `run` writes them until cancelled."""

    def __init__(self, store: QueueStore) -> None:
        self._store = store
        self._waiting: dict[UUID, list[IssuedNumbers]] = {}
        self._count = 0
        self._writing = asyncio.Lock()

    def add(self, schedule_id: UUID, given: IssuedNumbers) -> None:
        """Buffer the numbers of a batch."""
        # guard: join_writer_is_bounded => if False:
        if self._count > _WAITING_MAX:
            log.error("waiting_room_joins_dropped", count=self._count)
            self._waiting, self._count = {}, 0
        self._waiting.setdefault(schedule_id, []).append(given)
        self._count += len(given.numbers)

    async def run(self) -> None:
        """Write every tenth of a second; a failed write is repeated."""
        while True:
            await asyncio.sleep(_EVERY_S)
            try:
                await self.flush()
            except Exception as error:  # the writer survives any failed write
                log.warning("waiting_room_joins_not_written", error=repr(error))

    async def flush(self) -> None:
        """Write the buffer; on a database error keep it and raise.

        Waits for a write in progress, so that nothing is lost at shutdown.
        """
        async with self._writing:
            await self._write()

    async def _write(self) -> None:
        waiting, self._waiting, self._count = self._waiting, {}, 0
        try:
            for schedule_id, batches in waiting.items():
                while batches:
                    row = _next_row(batches)
                    await self._store.record_joins(schedule_id, _merged(row))
                    del batches[: len(row)]
        finally:
            for schedule_id, batches in waiting.items():
                # guard: join_writer_keeps_what_was_not_written { => pass
                for given in batches:
                    self.add(schedule_id, given)
                # guard: }


def _next_row(batches: list[IssuedNumbers]) -> list[IssuedNumbers]:
    """Return the first batches that fill a row."""
    count = 0
    for at, given in enumerate(batches, start=1):
        count += len(given.numbers)
        if count >= _ROW_MAX:
            return batches[:at]
    return list(batches)


def _merged(batches: list[IssuedNumbers]) -> IssuedNumbers:
    numbers = [number for given in batches for number in given.numbers]
    return IssuedNumbers(numbers, b"".join([given.accounts for given in batches]))
