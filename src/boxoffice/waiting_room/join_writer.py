"""Who got which number, on record a moment later: many to a row, so that a join costs next to nothing.

What was not written when Valkey is lost is known to its owners alone, who have their tickets.
"""

import asyncio
from uuid import UUID

from boxoffice.observability.logs import log
from boxoffice.waiting_room.engine.queue_state import IssuedNumbers
from boxoffice.waiting_room.store import QueueStore

_EVERY_S = 0.1
# A batch more than that at the most.
_ROW_MAX = 4_000
# What waits while PostgreSQL is away; past it the oldest are given up.
_WAITING_MAX = 200_000


class JoinWriter:
    """Keeps numbers that were given out for a tenth of a second; `run` writes until cancelled."""

    def __init__(self, store: QueueStore) -> None:
        self._store = store
        self._waiting: dict[UUID, list[IssuedNumbers]] = {}
        self._count = 0
        self._writing = asyncio.Lock()

    def note(self, schedule_id: UUID, given: IssuedNumbers) -> None:
        """Take what a batch was given."""
        # guard: journal_what_waits_is_bounded => if False:
        if self._count > _WAITING_MAX:
            log.error("waiting_room_joins_dropped", count=self._count)
            self._waiting, self._count = {}, 0
        self._waiting.setdefault(schedule_id, []).append(given)
        self._count += len(given.numbers)

    async def run(self) -> None:
        """Write again and again; what fails is written later."""
        while True:
            await asyncio.sleep(_EVERY_S)
            try:
                await self.flush()
            except Exception as error:  # the journal outlives whatever one writing meets
                log.warning("waiting_room_joins_not_written", error=repr(error))

    async def flush(self) -> None:
        """Write what waits; raise what the database raises, and keep it then.

        It returns after every writing that was begun before: who stops after it loses nothing.
        """
        async with self._writing:
            await self._write()

    async def _write(self) -> None:
        waiting, self._waiting, self._count = self._waiting, {}, 0
        try:
            for schedule_id, batches in waiting.items():
                while batches:
                    row = _first(batches)
                    await self._store.record_joins(schedule_id, _joined(row))
                    del batches[: len(row)]
        finally:
            for schedule_id, batches in waiting.items():
                # guard: journal_what_was_not_written_is_kept { => pass
                for given in batches:
                    self.note(schedule_id, given)
                # guard: }


def _first(batches: list[IssuedNumbers]) -> list[IssuedNumbers]:
    """Return the first batches, as many as make a row."""
    count = 0
    for at, given in enumerate(batches, start=1):
        count += len(given.numbers)
        if count >= _ROW_MAX:
            return batches[:at]
    return list(batches)


def _joined(batches: list[IssuedNumbers]) -> IssuedNumbers:
    numbers = [number for given in batches for number in given.numbers]
    return IssuedNumbers(numbers, b"".join([given.accounts for given in batches]))
