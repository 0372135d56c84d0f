"""Who got which number, on record a moment later: many to a row, so that a join costs next to nothing.

What was not written when Valkey is lost is known to its owners alone, who have their tickets.
"""

import asyncio
from uuid import UUID

from boxoffice.platform import telemetry
from boxoffice.queue.store import QueueStore

_EVERY_S = 0.1
_ROW_MAX = 5_000
# What waits while PostgreSQL is away; past it the oldest are given up.
_WAITING_MAX = 200_000


class JoinJournal:
    """Keeps numbers that were given out for a tenth of a second; `run` writes until cancelled."""

    def __init__(self, store: QueueStore) -> None:
        self._store = store
        self._waiting: dict[UUID, list[tuple[int, bytes]]] = {}
        self._count = 0

    def note(self, schedule_id: UUID, given: list[tuple[int, bytes]]) -> None:
        """Take numbers with their accounts, 16 bytes each."""
        self._waiting.setdefault(schedule_id, []).extend(given)
        self._count += len(given)
        if self._count > _WAITING_MAX:
            telemetry.log.error("queue_joins_given_up", count=self._count)
            self._waiting, self._count = {}, 0

    async def run(self) -> None:
        """Write again and again; what fails is written later."""
        while True:
            await asyncio.sleep(_EVERY_S)
            try:
                await self.flush()
            except Exception as error:  # the journal outlives whatever one writing meets
                telemetry.log.warning("queue_joins_not_written", error=repr(error))

    async def flush(self) -> None:
        """Write what waits; raise what the database raises, and keep it then."""
        for schedule_id in list(self._waiting):
            while given := self._waiting[schedule_id][:_ROW_MAX]:
                await self._store.note_joins(schedule_id, given)
                del self._waiting[schedule_id][: len(given)]
                self._count -= len(given)
            del self._waiting[schedule_id]
